/* The tables of authorization policies and peer authentications. */
#include "config/mesh_decoder.h"

/* --- authorization policies --- */

static const struct hbk_word scope_words[] = {
    {"Global", HBK_POLICY_GLOBAL},
    {"Namespace", HBK_POLICY_NAMESPACE},
    {"WorkloadSelector", HBK_POLICY_SELECTOR},
    {NULL, 0},
};

static const struct hbk_word action_words[] = {
    {"Allow", HBK_POLICY_ALLOW},
    {"Deny", HBK_POLICY_DENY},
    {NULL, 0},
};

static const struct hbk_word text_match_words[] = {
    {"Exact", HBK_TEXT_EXACT},
    {"Prefix", HBK_TEXT_PREFIX},
    {"Suffix", HBK_TEXT_SUFFIX},
    {"Presence", HBK_TEXT_PRESENCE},
    {NULL, 0},
};

#define TEXT_MATCH_SYNTAX                                          \
    "!Exact text, !Prefix text, !Suffix text or !Presence [], or " \
    "the same as {Exact: text}"

static const struct hbk_word *find_match_word(struct hbk_slice name)
{
    const struct hbk_word *word = text_match_words;
    while (word->text != NULL && !hbk_slice_equal(name, hbk_slice_text(word->text))) {
        word++;
    }
    return word->text == NULL ? NULL : word;
}

static hbk_status refuse_match(struct hbk_decoder *decoder, const struct hbk_field *field,
                               const struct hbk_yaml_event *event)
{
    char found[HBK_FOUND_TEXT_BYTES_MAX];
    hbk_decode_error(decoder, event, "%s has %s%s%.*s; allowed: " TEXT_MATCH_SYNTAX, field->key,
                     hbk_decode_found(event, found), event->tag.size > 0 ? " tagged !" : "",
                     HBK_SLICE_ARGS(event->tag));
    return hbk_yaml_skip(decoder->yaml, event);
}

/* The value of a match whose kind is known: a text, or whatever stands behind Presence. */
static hbk_status decode_match_value(struct hbk_decoder *decoder, const struct hbk_field *field,
                                     const struct hbk_yaml_event *event,
                                     const struct hbk_word *word, struct hbk_text_match *match)
{
    match->kind = (enum hbk_text_match_kind)word->value;
    return match->kind == HBK_TEXT_PRESENCE
               ? hbk_yaml_skip(decoder->yaml, event)
               : hbk_decode_any_text(decoder, field, event, &match->text);
}

/* {Exact: text}: a mapping with one key. */
static hbk_status decode_mapped_match(struct hbk_decoder *decoder, const struct hbk_field *field,
                                      const struct hbk_yaml_event *event,
                                      struct hbk_text_match *match)
{
    struct hbk_yaml_event start = *event;
    start.tag = hbk_slice_of(NULL, 0);
    struct hbk_yaml_event key;
    uint32_t pairs = 0;
    for (;; pairs++) {
        HBK_TRY(hbk_yaml_next(decoder->yaml, &key));
        if (key.kind == HBK_YAML_END) {
            break;
        }
        const struct hbk_word *word =
            key.kind == HBK_YAML_SCALAR ? find_match_word(key.text) : NULL;
        HBK_TRY(word == NULL ? refuse_match(decoder, field, &key) : HBK_OK);
        struct hbk_yaml_event value;
        HBK_TRY(hbk_yaml_next(decoder->yaml, &value));
        HBK_TRY(word == NULL ? hbk_yaml_skip(decoder->yaml, &value)
                             : decode_match_value(decoder, field, &value, word, match));
    }
    if (pairs != 1) {
        hbk_decode_error(decoder, &start,
                         "%s has a mapping with %u keys; allowed: one of Exact, "
                         "Prefix, Suffix, Presence",
                         field->key, pairs);
    }
    return HBK_OK;
}

static hbk_status decode_text_match(struct hbk_decoder *decoder, const struct hbk_field *field,
                                    const struct hbk_yaml_event *event, void *target)
{
    const struct hbk_word *word = find_match_word(event->tag);
    if (word != NULL) {
        return decode_match_value(decoder, field, event, word, target);
    }
    return event->kind == HBK_YAML_MAPPING ? decode_mapped_match(decoder, field, event, target)
                                           : refuse_match(decoder, field, event);
}

static const struct hbk_field account_fields[] = {
    {.key = "namespace",
     .decode = hbk_decode_name,
     .offset = offsetof(struct hbk_account_match, namespace),
     .is_required = true},
    {.key = "serviceAccount",
     .decode = hbk_decode_name,
     .offset = offsetof(struct hbk_account_match, service_account),
     .is_required = true},
};
static const struct hbk_table account_table = HBK_TABLE_OF("service account", account_fields);

static const struct hbk_list_of text_matches = {
    .size = sizeof(struct hbk_text_match),
    .element = {.key = "text match", .decode = decode_text_match},
};
static const struct hbk_list_of account_matches = {
    .size = sizeof(struct hbk_account_match),
    .element = {.key = "service account", .decode = hbk_decode_object, .detail = &account_table},
};
static const struct hbk_list_of cidr_matches = {
    .size = sizeof(struct hbk_cidr_match),
    .element = {.key = "address block", .decode = hbk_decode_cidr},
};
static const struct hbk_list_of port_matches = {
    .size = sizeof(struct hbk_port_match),
    .element = {.key = "port", .decode = hbk_decode_port},
};

#define MATCH_LIST(name, list, elements)                                                       \
    {                                                                                          \
        .key = (name), .decode = hbk_decode_list,                                              \
        .offset = offsetof(struct hbk_policy_match, list),                                     \
        .count_offset = offsetof(struct hbk_policy_match, list##_count), .detail = &(elements) \
    }

static const struct hbk_field match_fields[] = {
    MATCH_LIST("namespaces", namespaces.wanted, text_matches),
    MATCH_LIST("notNamespaces", namespaces.refused, text_matches),
    MATCH_LIST("principals", principals.wanted, text_matches),
    MATCH_LIST("notPrincipals", principals.refused, text_matches),
    MATCH_LIST("serviceAccounts", service_accounts.wanted, account_matches),
    MATCH_LIST("notServiceAccounts", service_accounts.refused, account_matches),
    MATCH_LIST("sourceIps", source_ips.wanted, cidr_matches),
    MATCH_LIST("notSourceIps", source_ips.refused, cidr_matches),
    MATCH_LIST("destinationIps", destination_ips.wanted, cidr_matches),
    MATCH_LIST("notDestinationIps", destination_ips.refused, cidr_matches),
    MATCH_LIST("destinationPorts", destination_ports.wanted, port_matches),
    MATCH_LIST("notDestinationPorts", destination_ports.refused, port_matches),
};
static const struct hbk_table match_table = HBK_TABLE_OF("match", match_fields);

/* rules > clauses > matches: three lists, one inside the other. */
static const struct hbk_list_of match_list = {
    .size = sizeof(struct hbk_policy_match),
    .element = {.key = "match", .decode = hbk_decode_object, .detail = &match_table},
};
static const struct hbk_list_of clause_list = {
    .size = sizeof(struct hbk_policy_clause),
    .element = {.key = "clause",
                .decode = hbk_decode_list,
                .offset = offsetof(struct hbk_policy_clause, matches),
                .count_offset = offsetof(struct hbk_policy_clause, match_count),
                .detail = &match_list},
};
static const struct hbk_list_of rule_list = {
    .size = sizeof(struct hbk_policy_rule),
    .element = {.key = "rule",
                .decode = hbk_decode_list,
                .offset = offsetof(struct hbk_policy_rule, clauses),
                .count_offset = offsetof(struct hbk_policy_rule, clause_count),
                .detail = &clause_list},
};

static const struct hbk_field policy_fields[] = {
    {.key = "name",
     .decode = hbk_decode_name,
     .offset = offsetof(struct hbk_policy, name),
     .is_required = true},
    {.key = "namespace",
     .decode = hbk_decode_any_text,
     .offset = offsetof(struct hbk_policy, namespace),
     .is_required = true},
    {.key = "scope",
     .decode = hbk_decode_word,
     .offset = offsetof(struct hbk_policy, scope),
     .is_required = true,
     .detail = scope_words},
    {.key = "action",
     .decode = hbk_decode_word,
     .offset = offsetof(struct hbk_policy, action),
     .is_required = true,
     .detail = action_words},
    {.key = "dryRun", .decode = hbk_decode_bool, .offset = offsetof(struct hbk_policy, is_dry_run)},
    {.key = "rules",
     .decode = hbk_decode_list,
     .offset = offsetof(struct hbk_policy, rules),
     .count_offset = offsetof(struct hbk_policy, rule_count),
     .detail = &rule_list},
};
static const struct hbk_table policy_table = HBK_TABLE_OF("policy", policy_fields);

static hbk_status complete_policy(struct hbk_mesh_decoder *decoder,
                                  const struct hbk_yaml_event *event, void *spec)
{
    (void)event;
    struct hbk_policy *policy = spec;
    return hbk_decode_join_key(&decoder->base, policy->namespace, policy->name,
                               &policy->record.key);
}

static hbk_status put_policy(struct hbk_edit *edit, const void *spec)
{
    return hbk_edit_put_policy(edit, spec);
}

const struct hbk_record_list hbk_policy_list = {
    .table = &policy_table,
    .size = sizeof(struct hbk_policy),
    .complete = complete_policy,
    .put = put_policy,
};

/* --- peer authentications --- */

static const struct hbk_word mode_words[] = {
    {"PERMISSIVE", HBK_PEER_PERMISSIVE},
    {"STRICT", HBK_PEER_STRICT},
    {"DISABLE", HBK_PEER_DISABLE},
    {"UNSET", HBK_PEER_UNSET},
    {NULL, 0},
};

static const struct hbk_map_of port_modes = {
    .size = sizeof(struct hbk_peer_port_mode),
    .key = {.key = "port",
            .decode = hbk_decode_port,
            .offset = offsetof(struct hbk_peer_port_mode, port)},
    .value = {.key = "mode",
              .decode = hbk_decode_word,
              .offset = offsetof(struct hbk_peer_port_mode, mode),
              .detail = mode_words},
};

#define SELECTOR_LIST(name, list, list_count)                                          \
    {                                                                                  \
        .key = (name), .decode = hbk_decode_list,                                      \
        .offset = offsetof(struct hbk_peer_authentication, selector.list),             \
        .count_offset = offsetof(struct hbk_peer_authentication, selector.list_count), \
        .detail = &hbk_text_list                                                       \
    }

static const struct hbk_field selector_fields[] = {
    SELECTOR_LIST("uids", uids, uid_count),
    SELECTOR_LIST("workloadNames", names, name_count),
    SELECTOR_LIST("serviceAccounts", service_accounts, service_account_count),
};
static const struct hbk_table selector_table = HBK_TABLE_OF("selector", selector_fields);

static const struct hbk_field peer_authentication_fields[] = {
    {.key = "name",
     .decode = hbk_decode_name,
     .offset = offsetof(struct hbk_peer_authentication, name),
     .is_required = true},
    {.key = "namespace",
     .decode = hbk_decode_any_text,
     .offset = offsetof(struct hbk_peer_authentication, namespace),
     .is_required = true},
    {.key = "selector", .decode = hbk_decode_object, .detail = &selector_table},
    {.key = "mode",
     .decode = hbk_decode_word,
     .offset = offsetof(struct hbk_peer_authentication, mode),
     .detail = mode_words},
    {.key = "portModes",
     .decode = hbk_decode_map,
     .offset = offsetof(struct hbk_peer_authentication, port_modes),
     .count_offset = offsetof(struct hbk_peer_authentication, port_mode_count),
     .detail = &port_modes},
};
static const struct hbk_table peer_authentication_table =
    HBK_TABLE_OF("peerAuthentication", peer_authentication_fields);

static hbk_status complete_peer_authentication(struct hbk_mesh_decoder *decoder,
                                               const struct hbk_yaml_event *event, void *spec)
{
    struct hbk_peer_authentication *settings = spec;
    if (settings->namespace.size == 0 && hbk_peer_authentication_has_selector(settings)) {
        hbk_decode_error(&decoder->base, event,
                         "peerAuthentication with a selector and an empty namespace; allowed: the "
                         "namespace of the workloads that it selects");
    }
    return hbk_decode_join_key(&decoder->base, settings->namespace, settings->name,
                               &settings->record.key);
}

static hbk_status put_peer_authentication(struct hbk_edit *edit, const void *spec)
{
    return hbk_edit_put_peer_authentication(edit, spec);
}

const struct hbk_record_list hbk_peer_authentication_list = {
    .table = &peer_authentication_table,
    .size = sizeof(struct hbk_peer_authentication),
    .complete = complete_peer_authentication,
    .put = put_peer_authentication,
};
