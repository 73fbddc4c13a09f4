/*
 * Whether a connection may reach a workload: authorization policies of layer 4 and the modes of
 * plain text. Pure decisions over a mesh: no I/O, no allocation. Any thread.
 */
#pragma once

#include "model/mesh.h"

enum {
    HBK_AUTHORIZATION_DRY_RUNS_MAX = 4, /* dry-run matches that are named; the others are counted */
    HBK_AUTHORIZATION_ALLOWS_MAX = 4,   /* the same for allow policies that did not match */
    HBK_AUTHORIZATION_TEXT_BYTES_MAX = 256,
};

struct hbk_authorize_input {
    struct hbk_address source;
    struct hbk_address destination;              /* what will be dialled, ports resolved */
    const struct hbk_spiffe_id *source_identity; /* from the certificate; NULL: none */
};

enum hbk_authorization_reason {
    HBK_AUTHORIZATION_NO_ALLOW_POLICIES, /* allowed: nobody said that only some are */
    HBK_AUTHORIZATION_ALLOWED,           /* by `policy` */
    HBK_AUTHORIZATION_DENIED,            /* by `policy` */
    HBK_AUTHORIZATION_NONE_ALLOWED,      /* denied: allow policies exist, but none matched */
};

/* Policies are borrowed from the mesh. */
struct hbk_authorization {
    bool is_allowed;
    enum hbk_authorization_reason reason;
    const struct hbk_policy *policy; /* that decided; NULL where none did */

    /* Policies on trial that matched: in effect they would have decided otherwise or the same. */
    const struct hbk_policy *dry_runs[HBK_AUTHORIZATION_DRY_RUNS_MAX];
    uint32_t dry_run_count; /* all that matched, also those that are not named */

    /* Denied since none of these allow policies, which apply to the workload, matched. */
    const struct hbk_policy *allows[HBK_AUTHORIZATION_ALLOWS_MAX];
    uint32_t allow_count; /* all of them, also those that are not named */

    uint32_t unknown_policies; /* names in the workload's list that the mesh does not have */
};

/*
 * Applies the policies of the workload's namespace, the global ones, and those that the workload
 * names: deny before allow. (ambient.md 1.5)
 *
 * Policies on trial are all heard, whatever decides.
 */
void hbk_authorize(const struct hbk_mesh *mesh, const struct hbk_workload *workload,
                   const struct hbk_authorize_input *input, struct hbk_authorization *out_verdict);

/*
 * True when both meshes surely give equal verdicts for connections to the workload, so that those
 * that live need no second look: its policies and the workload itself are the same objects.
 * `workload` is of the new mesh.
 */
bool hbk_authorize_is_same(const struct hbk_mesh *old_mesh, const struct hbk_mesh *new_mesh,
                           const struct hbk_workload *workload);

/*
 * The sentence for the access log: "connection closed due to policy rejection: explicitly denied
 * by: shop/no-batch", or "...: allow policies exist, but none allowed: shop/front-only". Writes it,
 * terminated and cut where it is too long, and returns `text`; empty for a verdict that allows.
 */
const char *hbk_authorization_text(const struct hbk_authorization *verdict,
                                   char text[static HBK_AUTHORIZATION_TEXT_BYTES_MAX]);

/* Whether the workload takes plain text on that port: everywhere but where the mode is STRICT. */
bool hbk_inbound_plain_allowed(const struct hbk_mesh *mesh, const struct hbk_workload *workload,
                               uint16_t port);

/* What becomes of a live inbound connection after a change of the mesh. */
enum hbk_review {
    HBK_REVIEW_STAYS,
    HBK_REVIEW_WORKLOAD_GONE,
    HBK_REVIEW_POLICY_DENIED,     /* "connection closed due to policy change" */
    HBK_REVIEW_PLAIN_TEXT_DENIED, /* the mode is STRICT now */
};

/*
 * Looks again at a connection to the workload with that uid. Without a source identity it is taken
 * for plain text. hbk_authorize_is_same() spares the look at policies where nothing changed.
 */
enum hbk_review hbk_authorize_review(const struct hbk_mesh *mesh, struct hbk_slice uid,
                                     const struct hbk_authorize_input *input);
