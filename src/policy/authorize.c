#include "policy/authorize.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

/* What the fields of a match are compared with. Texts are empty without an identity. */
struct subject {
    const struct hbk_authorize_input *input;
    struct hbk_slice principal;
    struct hbk_slice namespace;
    struct hbk_slice service_account;
    bool has_identity;
};

/* --- one field --- */

static bool text_matches(const struct hbk_text_match *match, struct hbk_slice text)
{
    switch (match->kind) {
    case HBK_TEXT_EXACT:
        return hbk_slice_equal(text, match->text);
    case HBK_TEXT_PREFIX:
        return hbk_slice_starts_with(text, match->text);
    case HBK_TEXT_SUFFIX:
        return hbk_slice_ends_with(text, match->text);
    case HBK_TEXT_PRESENCE:
        return text.size > 0;
    }
    HBK_UNREACHABLE();
}

static bool any_text(const struct hbk_text_match *matches, uint32_t count, struct hbk_slice text)
{
    bool has_match = false;
    for (uint32_t i = 0; i < count && !has_match; i++) {
        has_match = text_matches(&matches[i], text);
    }
    return has_match;
}

static bool any_account(const struct hbk_account_match *matches, uint32_t count,
                        const struct subject *subject)
{
    bool has_match = false;
    for (uint32_t i = 0; i < count && !has_match; i++) {
        has_match = subject->has_identity &&
                    hbk_slice_equal(matches[i].namespace, subject->namespace) &&
                    hbk_slice_equal(matches[i].service_account, subject->service_account);
    }
    return has_match;
}

static bool any_cidr(const struct hbk_cidr_match *matches, uint32_t count, const struct hbk_ip *ip)
{
    bool has_match = false;
    for (uint32_t i = 0; i < count && !has_match; i++) {
        has_match = hbk_cidr_contains(&matches[i].cidr, ip);
    }
    return has_match;
}

static bool any_port(const struct hbk_port_match *matches, uint32_t count, uint16_t port)
{
    bool has_match = false;
    for (uint32_t i = 0; i < count && !has_match; i++) {
        has_match = matches[i].port == port;
    }
    return has_match;
}

/*
 * One of the wanted values if there are any, and none of the refused. `any` is one of the functions
 * above, `value` what it compares with.
 */
#define FIELD_MATCHES(field, any, value)                                                  \
    (((field).wanted_count == 0 || any((field).wanted, (field).wanted_count, (value))) && \
     !any((field).refused, (field).refused_count, (value)))

/* --- matches, clauses, rules, policies --- */

static bool has_any_field(const struct hbk_policy_match *match)
{
    return match->namespaces.wanted_count + match->namespaces.refused_count +
               match->principals.wanted_count + match->principals.refused_count +
               match->service_accounts.wanted_count + match->service_accounts.refused_count +
               match->source_ips.wanted_count + match->source_ips.refused_count +
               match->destination_ips.wanted_count + match->destination_ips.refused_count +
               match->destination_ports.wanted_count + match->destination_ports.refused_count >
           0;
}

static bool match_matches(const struct hbk_policy_match *match, const struct subject *subject)
{
    const struct hbk_authorize_input *input = subject->input;
    return has_any_field(match) &&
           FIELD_MATCHES(match->destination_ports, any_port, input->destination.port) &&
           FIELD_MATCHES(match->source_ips, any_cidr, &input->source.ip) &&
           FIELD_MATCHES(match->destination_ips, any_cidr, &input->destination.ip) &&
           FIELD_MATCHES(match->service_accounts, any_account, subject) &&
           FIELD_MATCHES(match->namespaces, any_text, subject->namespace) &&
           FIELD_MATCHES(match->principals, any_text, subject->principal);
}

static bool clause_matches(const struct hbk_policy_clause *clause, const struct subject *subject)
{
    bool has_match = clause->match_count == 0;
    for (uint32_t i = 0; i < clause->match_count && !has_match; i++) {
        has_match = match_matches(&clause->matches[i], subject);
    }
    return has_match;
}

static bool rule_matches(const struct hbk_policy_rule *rule, const struct subject *subject)
{
    bool is_matching = true;
    for (uint32_t i = 0; i < rule->clause_count && is_matching; i++) {
        is_matching = clause_matches(&rule->clauses[i], subject);
    }
    return is_matching;
}

static bool policy_matches(const struct hbk_policy *policy, const struct subject *subject)
{
    bool has_match = false;
    for (uint32_t i = 0; i < policy->rule_count && !has_match; i++) {
        has_match = rule_matches(&policy->rules[i], subject);
    }
    return has_match;
}

/* --- the policies that apply --- */

/* All sources of policies of one workload, walked one after the other. */
struct policy_walk {
    const struct hbk_mesh *mesh;
    const struct hbk_workload *workload;
    const struct hbk_group *groups[2]; /* of the namespace, global */
    uint32_t group;
    uint32_t next;
    uint32_t unknown;
};

static struct policy_walk begin_walk(const struct hbk_mesh *mesh,
                                     const struct hbk_workload *workload)
{
    struct policy_walk walk = {.mesh = mesh, .workload = workload};
    if (hbk_mesh_count(mesh, HBK_MESH_POLICIES_OF) > 0) {
        walk.groups[0] = hbk_mesh_policies_of(mesh, HBK_SLICE(""));
        walk.groups[1] =
            workload->namespace.size > 0 ? hbk_mesh_policies_of(mesh, workload->namespace) : NULL;
    }
    return walk;
}

/* A policy that the workload names and that its scope did not bring in already. */
static const struct hbk_policy *named_policy(struct policy_walk *walk, struct hbk_slice key)
{
    const struct hbk_policy *policy = hbk_mesh_policy(walk->mesh, key);
    if (policy == NULL) {
        walk->unknown++;
        return NULL;
    }
    bool is_seen = policy->scope == HBK_POLICY_GLOBAL ||
                   (policy->scope == HBK_POLICY_NAMESPACE &&
                    (policy->namespace.size == 0 ||
                     hbk_slice_equal(policy->namespace, walk->workload->namespace)));
    return is_seen ? NULL : policy;
}

static const struct hbk_policy *next_policy(struct policy_walk *walk)
{
    for (; walk->group < HBK_COUNT(walk->groups); walk->group++, walk->next = 0) {
        const struct hbk_group *group = walk->groups[walk->group];
        if (group != NULL && walk->next < group->count) {
            return (const struct hbk_policy *)group->members[walk->next++];
        }
    }
    while (walk->next < walk->workload->authorization_policy_count) {
        const struct hbk_policy *policy =
            named_policy(walk, walk->workload->authorization_policies[walk->next++].text);
        if (policy != NULL) {
            return policy;
        }
    }
    return NULL;
}

static void note_dry_run(struct hbk_authorization *verdict, const struct hbk_policy *policy)
{
    if (verdict->dry_run_count < HBK_AUTHORIZATION_DRY_RUNS_MAX) {
        verdict->dry_runs[verdict->dry_run_count] = policy;
    }
    verdict->dry_run_count++;
}

/* What the policies of one action say together. */
struct opinion {
    const struct hbk_policy *match; /* the first in effect that matches */
    /* Those in effect, in the order of the walk: the first few, and how many. */
    const struct hbk_policy *applicable[HBK_AUTHORIZATION_ALLOWS_MAX];
    uint32_t count;
};

static void note_applicable(struct opinion *opinion, const struct hbk_policy *policy)
{
    if (opinion->count < HBK_AUTHORIZATION_ALLOWS_MAX) {
        opinion->applicable[opinion->count] = policy;
    }
    opinion->count++;
}

/*
 * Asks the policies of a walk that has just begun. Those on trial are heard to the end, also when
 * one in effect has matched already.
 */
static struct opinion ask(struct policy_walk walk, enum hbk_policy_action action,
                          const struct subject *subject, struct hbk_authorization *verdict)
{
    struct opinion opinion = {0};
    const struct hbk_policy *policy;
    while ((policy = next_policy(&walk)) != NULL) {
        bool is_asked = policy->action == action && (policy->is_dry_run || opinion.match == NULL);
        bool is_match = is_asked && policy_matches(policy, subject);
        if (is_match && policy->is_dry_run) {
            note_dry_run(verdict, policy);
        } else if (is_match) {
            opinion.match = policy;
        }
        if (policy->action == action && !policy->is_dry_run) {
            note_applicable(&opinion, policy);
        }
    }
    verdict->unknown_policies = walk.unknown;
    return opinion;
}

static struct subject subject_of(const struct hbk_authorize_input *input)
{
    struct subject subject = {.input = input, .has_identity = input->source_identity != NULL};
    if (subject.has_identity) {
        subject.principal = input->source_identity->without_scheme;
        subject.namespace = input->source_identity->parts.namespace_;
        subject.service_account = input->source_identity->parts.service_account;
    }
    return subject;
}

void hbk_authorize(const struct hbk_mesh *mesh, const struct hbk_workload *workload,
                   const struct hbk_authorize_input *input, struct hbk_authorization *out_verdict)
{
    struct hbk_authorization verdict = {.is_allowed = true,
                                        .reason = HBK_AUTHORIZATION_NO_ALLOW_POLICIES};
    struct subject subject = subject_of(input);
    struct policy_walk walk = begin_walk(mesh, workload);
    struct opinion deny = ask(walk, HBK_POLICY_DENY, &subject, &verdict);
    if (deny.match != NULL) {
        verdict.is_allowed = false;
        verdict.reason = HBK_AUTHORIZATION_DENIED;
        verdict.policy = deny.match;
        *out_verdict = verdict;
        return;
    }
    struct opinion allow = ask(walk, HBK_POLICY_ALLOW, &subject, &verdict);
    if (allow.match != NULL) {
        verdict.reason = HBK_AUTHORIZATION_ALLOWED;
        verdict.policy = allow.match;
    } else if (allow.count > 0) {
        verdict.is_allowed = false;
        verdict.reason = HBK_AUTHORIZATION_NONE_ALLOWED;
        memcpy(verdict.allows, allow.applicable, sizeof verdict.allows);
        verdict.allow_count = allow.count;
    }
    *out_verdict = verdict;
}

bool hbk_authorize_is_same(const struct hbk_mesh *old_mesh, const struct hbk_mesh *new_mesh,
                           const struct hbk_workload *workload)
{
    bool is_same = hbk_mesh_workload(old_mesh, hbk_workload_uid(workload)) == workload;
    struct policy_walk old_walk = begin_walk(old_mesh, workload);
    struct policy_walk new_walk = begin_walk(new_mesh, workload);
    const struct hbk_policy *policy = NULL;
    do {
        policy = next_policy(&new_walk);
        is_same = is_same && next_policy(&old_walk) == policy;
    } while (is_same && policy != NULL);
    return is_same;
}

/* Appends ": shop/front-only, shop/admin and 3 more", as far as there is room. */
static void name_allows(const struct hbk_authorization *verdict,
                        char text[static HBK_AUTHORIZATION_TEXT_BYTES_MAX])
{
    uint32_t named = 0;
    for (; named < verdict->allow_count && named < HBK_AUTHORIZATION_ALLOWS_MAX; named++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, HBK_AUTHORIZATION_TEXT_BYTES_MAX - used, "%s%.*s",
                       named == 0 ? ": " : ", ",
                       HBK_SLICE_ARGS(verdict->allows[named]->record.key));
    }
    if (named < verdict->allow_count) {
        size_t used = strlen(text);
        (void)snprintf(text + used, HBK_AUTHORIZATION_TEXT_BYTES_MAX - used, " and %u more",
                       verdict->allow_count - named);
    }
}

const char *hbk_authorization_text(const struct hbk_authorization *verdict,
                                   char text[static HBK_AUTHORIZATION_TEXT_BYTES_MAX])
{
    static const char prefix[] = "connection closed due to policy rejection: ";
    text[0] = '\0';
    if (verdict->reason == HBK_AUTHORIZATION_DENIED) {
        (void)snprintf(text, HBK_AUTHORIZATION_TEXT_BYTES_MAX, "%sexplicitly denied by: %.*s",
                       prefix, HBK_SLICE_ARGS(verdict->policy->record.key));
    } else if (verdict->reason == HBK_AUTHORIZATION_NONE_ALLOWED) {
        (void)snprintf(text, HBK_AUTHORIZATION_TEXT_BYTES_MAX,
                       "%sallow policies exist, but none allowed", prefix);
        name_allows(verdict, text);
    }
    return text;
}

bool hbk_inbound_plain_allowed(const struct hbk_mesh *mesh, const struct hbk_workload *workload,
                               uint16_t port)
{
    return hbk_mesh_peer_mode(mesh, workload, port) != HBK_PEER_STRICT;
}

enum hbk_review hbk_authorize_review(const struct hbk_mesh *mesh, struct hbk_slice uid,
                                     const struct hbk_authorize_input *input)
{
    const struct hbk_workload *workload = hbk_mesh_workload(mesh, uid);
    if (workload == NULL) {
        return HBK_REVIEW_WORKLOAD_GONE;
    }
    if (input->source_identity == NULL &&
        !hbk_inbound_plain_allowed(mesh, workload, input->destination.port)) {
        return HBK_REVIEW_PLAIN_TEXT_DENIED;
    }
    struct hbk_authorization verdict;
    hbk_authorize(mesh, workload, input, &verdict);
    return verdict.is_allowed ? HBK_REVIEW_STAYS : HBK_REVIEW_POLICY_DENIED;
}
