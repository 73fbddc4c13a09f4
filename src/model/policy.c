#include "model/policy.h"

static const struct hbk_shape_field text_match_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_text_match, kind),
    HBK_SHAPE_TEXT(struct hbk_text_match, text),
};
static const struct hbk_shape text_match = HBK_SHAPE_OF(struct hbk_text_match, text_match_fields);

static const struct hbk_shape_field account_match_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_account_match, namespace),
    HBK_SHAPE_TEXT(struct hbk_account_match, service_account),
};
static const struct hbk_shape account_match =
    HBK_SHAPE_OF(struct hbk_account_match, account_match_fields);

static const struct hbk_shape_field cidr_match_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_cidr_match, cidr.ip.size),
    HBK_SHAPE_VALUE(struct hbk_cidr_match, cidr.ip.bytes),
    HBK_SHAPE_VALUE(struct hbk_cidr_match, cidr.prefix_bits),
};
static const struct hbk_shape cidr_match = HBK_SHAPE_OF(struct hbk_cidr_match, cidr_match_fields);

static const struct hbk_shape_field port_match_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_port_match, port),
};
static const struct hbk_shape port_match = HBK_SHAPE_OF(struct hbk_port_match, port_match_fields);

/* Both lists of one field of a match. */
#define MATCH_FIELD(field, element)                                                      \
    HBK_SHAPE_ARRAY(struct hbk_policy_match, field.wanted, field.wanted_count, element), \
        HBK_SHAPE_ARRAY(struct hbk_policy_match, field.refused, field.refused_count, element)

static const struct hbk_shape_field match_fields[] = {
    MATCH_FIELD(namespaces, &text_match),          MATCH_FIELD(principals, &text_match),
    MATCH_FIELD(service_accounts, &account_match), MATCH_FIELD(source_ips, &cidr_match),
    MATCH_FIELD(destination_ips, &cidr_match),     MATCH_FIELD(destination_ports, &port_match),
};
static const struct hbk_shape match_shape = HBK_SHAPE_OF(struct hbk_policy_match, match_fields);

static const struct hbk_shape_field clause_fields[] = {
    HBK_SHAPE_ARRAY(struct hbk_policy_clause, matches, match_count, &match_shape),
};
static const struct hbk_shape clause_shape = HBK_SHAPE_OF(struct hbk_policy_clause, clause_fields);

static const struct hbk_shape_field rule_fields[] = {
    HBK_SHAPE_ARRAY(struct hbk_policy_rule, clauses, clause_count, &clause_shape),
};
static const struct hbk_shape rule_shape = HBK_SHAPE_OF(struct hbk_policy_rule, rule_fields);

static const struct hbk_shape_field policy_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_policy, record.key),
    HBK_SHAPE_TEXT(struct hbk_policy, name),
    HBK_SHAPE_TEXT(struct hbk_policy, namespace),
    HBK_SHAPE_ARRAY(struct hbk_policy, rules, rule_count, &rule_shape),
    HBK_SHAPE_VALUE(struct hbk_policy, scope),
    HBK_SHAPE_VALUE(struct hbk_policy, action),
    HBK_SHAPE_VALUE(struct hbk_policy, is_dry_run),
};

const struct hbk_record_kind hbk_policy_kind = {
    .name = "policy",
    .shape = HBK_SHAPE_OF(struct hbk_policy, policy_fields),
};
