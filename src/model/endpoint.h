/* Finds the endpoints of services and renews their tables when an edit is committed. */
#pragma once

#include "model/change.h"

/*
 * Gives the service the table of those endpoints in `mesh` that it may choose. The service is not
 * published yet and has no table. Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_endpoints_attach(const struct hbk_mesh *mesh,
                                             struct hbk_service *service);

/*
 * Renews the service with that key in `mesh`: one without a table gets it; one that has a table is
 * replaced by a copy with a new one, which is noted in `groups`. Nothing happens without such a
 * service. Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_endpoints_renew(struct hbk_mesh *mesh, uint64_t hash,
                                            struct hbk_slice key, struct hbk_change_list *groups);
