/* What the tables of the mesh file share. Private to this room. */
#pragma once

#include "config/decode.h"
#include "model/edit.h"

/* A pod's place in the file, until all workloads are known. */
struct hbk_pod_place {
    struct hbk_slice uid;
    uint32_t line;
    uint32_t column;
};

struct hbk_mesh_decoder {
    struct hbk_decoder base; /* its arena holds one record at a time */
    struct hbk_edit *edit;   /* borrowed */
    enum hbk_mesh_tls_engine tls_engine;
    struct hbk_arena places_arena; /* lives as long as the reading */
    struct hbk_growing places;     /* struct hbk_pod_place */
};

/*
 * A list of records at the top of the file. The struct that the table fills in starts with the
 * record's spec.
 */
struct hbk_record_list {
    const struct hbk_table *table;
    size_t size;                 /* of the struct */
    void (*prepare)(void *spec); /* sets defaults that are not zero; may be NULL */

    /* Completes the spec: keys, merged lists. Reports what it finds wrong. Fails: HBK_NO_MEMORY. */
    hbk_status (*complete)(struct hbk_mesh_decoder *decoder, const struct hbk_yaml_event *event,
                           void *spec);
    hbk_status (*put)(struct hbk_edit *edit, const void *spec);
};

/* Decodes and puts each record of a list. detail: struct hbk_record_list. */
hbk_decode_fn hbk_decode_records;

/* Tells why an edit did not take a record; passes HBK_NO_MEMORY on. */
HBK_MUST_USE hbk_status hbk_decode_put_result(struct hbk_mesh_decoder *decoder,
                                              const struct hbk_yaml_event *event, const char *title,
                                              const struct hbk_record *spec, hbk_status result);

/* Joins namespace and name to the key of a record: "namespace/name". Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_decode_join_key(struct hbk_decoder *decoder, struct hbk_slice namespace,
                                            struct hbk_slice name, struct hbk_slice *out_key);

/* A name: not empty, without blanks and slashes. struct hbk_slice. */
hbk_decode_fn hbk_decode_name;

/* "namespace/name". struct hbk_slice. */
hbk_decode_fn hbk_decode_key;

/* A SPIFFE id, spiffe://... struct hbk_slice. */
hbk_decode_fn hbk_decode_spiffe_id;

/* "network/ip", where the network may be empty. struct hbk_vip; as a block "network/ip/bits". */
hbk_decode_fn hbk_decode_vip;
hbk_decode_fn hbk_decode_block_vip;

/* "network/ip" or "namespace/hostname". struct hbk_gateway. */
hbk_decode_fn hbk_decode_destination;

/* {80: 9000}. An array of struct hbk_port_pair. */
extern const struct hbk_map_of hbk_port_pairs;

/* Lists of struct hbk_text: names, keys. */
extern const struct hbk_list_of hbk_text_list;
extern const struct hbk_list_of hbk_key_list;

/* {destination, hboneMtlsPort}. struct hbk_gateway behind a pointer. */
extern const struct hbk_optional hbk_gateway_optional;

extern const struct hbk_word hbk_health_words[];

/* One for each kind of record at the top of the file. */
extern const struct hbk_record_list hbk_workload_list;
extern const struct hbk_record_list hbk_service_list;
extern const struct hbk_record_list hbk_policy_list;
extern const struct hbk_record_list hbk_peer_authentication_list;

/* pods: {uid: {netns, ...}} and outboundPlainText: {namespace: allow}. */
hbk_decode_fn hbk_decode_pods;
hbk_decode_fn hbk_decode_plain_texts;
