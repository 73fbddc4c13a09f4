/* An authorization policy of layer 4: who may connect to a workload, and to which port. */
#pragma once

#include "model/workload.h"

enum hbk_policy_scope {
    HBK_POLICY_GLOBAL,    /* every workload */
    HBK_POLICY_NAMESPACE, /* the workloads of its namespace */
    HBK_POLICY_SELECTOR,  /* the workloads that name it */
};

enum hbk_policy_action {
    HBK_POLICY_ALLOW,
    HBK_POLICY_DENY,
};

enum hbk_text_match_kind {
    HBK_TEXT_EXACT,
    HBK_TEXT_PREFIX,
    HBK_TEXT_SUFFIX,
    HBK_TEXT_PRESENCE, /* anything that is not empty */
};

struct hbk_text_match {
    enum hbk_text_match_kind kind;
    struct hbk_slice text;
};

struct hbk_account_match {
    struct hbk_slice namespace;
    struct hbk_slice service_account;
};

struct hbk_cidr_match {
    struct hbk_cidr cidr;
};

struct hbk_port_match {
    uint16_t port;
};

/* The values of one field: one of `wanted` must match, unless there are none; and none of
 * `refused` may. */
struct hbk_text_field {
    const struct hbk_text_match *wanted;
    const struct hbk_text_match *refused;
    uint32_t wanted_count;
    uint32_t refused_count;
};

struct hbk_account_field {
    const struct hbk_account_match *wanted;
    const struct hbk_account_match *refused;
    uint32_t wanted_count;
    uint32_t refused_count;
};

struct hbk_cidr_field {
    const struct hbk_cidr_match *wanted;
    const struct hbk_cidr_match *refused;
    uint32_t wanted_count;
    uint32_t refused_count;
};

struct hbk_port_field {
    const struct hbk_port_match *wanted;
    const struct hbk_port_match *refused;
    uint32_t wanted_count;
    uint32_t refused_count;
};

/* All fields must match. A match without any field never does. */
struct hbk_policy_match {
    struct hbk_text_field namespaces;
    struct hbk_text_field principals; /* the SPIFFE id without spiffe:// */
    struct hbk_account_field service_accounts;
    struct hbk_cidr_field source_ips;
    struct hbk_cidr_field destination_ips;
    struct hbk_port_field destination_ports;
};

/* One of the matches must match; true without any. */
struct hbk_policy_clause {
    const struct hbk_policy_match *matches;
    uint32_t match_count;
};

/* All clauses must match; true without any. */
struct hbk_policy_rule {
    const struct hbk_policy_clause *clauses;
    uint32_t clause_count;
};

/* One of the rules must match; a policy without rules never does. */
struct hbk_policy {
    struct hbk_record record; /* key: "namespace/name" */
    struct hbk_slice name;
    struct hbk_slice namespace;
    const struct hbk_policy_rule *rules;
    uint32_t rule_count;
    enum hbk_policy_scope scope;
    enum hbk_policy_action action;
    bool is_dry_run; /* its matches are reported and change nothing */
};

extern const struct hbk_record_kind hbk_policy_kind;
