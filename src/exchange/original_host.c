/*
 * Hosts of clusters of type ORIGINAL_DST: whoever a connection was redirected away from, or whom a
 * header names. Each worker makes its own when the first exchange wants one, finds it by its
 * address, and lets it go when a whole cleanup_interval has passed in which nobody asked for it and
 * nobody used it. So their number follows from traffic, which strangers make: it is bounded.
 */
#include "exchange/downstream.h"
#include "exchange/upstream.h"

static bool has_address(const void *object, const void *key)
{
    return hbk_address_equal(&((const struct hbk_gw_host *)object)->address, key);
}

static void on_cleanup(struct hbk_timer *timer)
{
    struct hbk_gw_pool *pool = HBK_CONTAINER(timer, struct hbk_gw_pool, cleanup);
    HBK_LIST_EACH (link, &pool->hosts) {
        struct hbk_gw_host *host = HBK_CONTAINER(link, struct hbk_gw_host, link);
        bool is_kept = host->is_recent || host->active > 0;
        host->is_recent = false;
        if (!is_kept) {
            (void)hbk_map_remove(&pool->originals, hbk_address_hash(&host->address), host);
            hbk_gw_uncount(&pool->original_count);
            hbk_gw_host_remove(host);
        }
    }
    if (pool->host_count > 0) {
        hbk_loop_timer(pool->shard->net.loop, timer, pool->cluster->config->cleanup_interval);
    }
}

void hbk_gw_original_init(struct hbk_gw_pool *pool)
{
    hbk_map_init(&pool->originals);
    hbk_timer_init(&pool->cleanup, on_cleanup);
}

void hbk_gw_original_fini(struct hbk_gw_pool *pool)
{
    hbk_map_fini(&pool->originals);
}

static struct hbk_gw_host *make_host(struct hbk_gw_pool *pool, const struct hbk_address *address)
{
    struct hbk_gw_host *host =
        pool->host_count >= HBK_GW_HOSTS_MAX ? NULL : hbk_gw_host_new(pool, address);
    if (host == NULL) {
        hbk_gw_count(&pool->stats[HBK_GW_C_ORIGINAL_OVERFLOW], 1);
        return NULL;
    }
    if (hbk_map_add(&pool->originals, hbk_address_hash(address), host) != HBK_OK) {
        hbk_gw_count(&pool->stats[HBK_GW_C_ORIGINAL_OVERFLOW], 1);
        hbk_gw_host_remove(host);
        return NULL;
    }
    hbk_gw_count(&pool->original_count, 1);
    if (!hbk_timer_is_set(&pool->cleanup)) {
        hbk_loop_timer(pool->shard->net.loop, &pool->cleanup,
                       pool->cluster->config->cleanup_interval);
    }
    return host;
}

struct hbk_gw_host *hbk_gw_original_pick(struct hbk_gw_pool *pool,
                                         const struct hbk_address *destination)
{
    const struct hbk_gw_original_dst_config *config = pool->cluster->config->original_dst_lb_config;
    if (destination == NULL) {
        return NULL;
    }
    struct hbk_address address = *destination;
    if (config != NULL && config->upstream_port_override > 0) {
        address.port = (uint16_t)config->upstream_port_override;
    }
    struct hbk_gw_host *host =
        hbk_map_find(&pool->originals, hbk_address_hash(&address), has_address, &address);
    host = host == NULL ? make_host(pool, &address) : host;
    if (host != NULL) {
        host->is_recent = true;
    }
    return host;
}

struct hbk_gw_host *hbk_gw_original_pick_for(const struct hbk_gw_stream *stream)
{
    struct hbk_gw_pool *pool = stream->pool;
    const struct hbk_gw_original_dst_config *config = pool->cluster->config->original_dst_lb_config;
    const struct hbk_gw_connection *connection = stream->connection;
    struct hbk_address named;
    if (config != NULL && config->use_http_header) {
        struct hbk_slice value = hbk_slice_of(NULL, 0);
        for (uint32_t i = 0; i < stream->request.count && value.bytes == NULL; i++) {
            const struct hbk_h2_field *field = &stream->request.fields[i];
            value = hbk_slice_equal_nocase(field->name, config->http_header_name) ? field->value
                                                                                  : value;
        }
        if (value.bytes != NULL && hbk_address_parse(value, &named) && named.port > 0) {
            return hbk_gw_original_pick(pool, &named);
        }
        hbk_gw_count(&pool->stats[HBK_GW_C_ORIGINAL_INVALID], value.bytes == NULL ? 0 : 1);
    }
    return hbk_gw_original_pick(
        pool, connection != NULL && connection->is_restored ? &connection->local : NULL);
}
