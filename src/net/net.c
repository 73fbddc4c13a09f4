#include "net/net.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/tunnel.h"

hbk_status hbk_net_init(struct hbk_net *net, struct hbk_loop *loop,
                        const struct hbk_net_config *config)
{
    const struct hbk_batch_options batch = {.batcher = config->batcher};
    *net = (struct hbk_net){.loop = loop, .config = *config};
    /* Untouched pages of scratch cost nothing, so both can be as large as the largest turn. */
    size_t input_bytes = HBK_NET_INPUT_BYTES + HBK_RECORD_BYTES_MAX;
    net->input = hbk_span_of(malloc(input_bytes), input_bytes);
    net->output = hbk_span_of(malloc(HBK_NET_OUTPUT_BYTES), HBK_NET_OUTPUT_BYTES);
    hbk_pool_init(&net->tunnels, "tunnel", sizeof(struct hbk_tunnel), HBK_TUNNELS_MAX);
    hbk_status status = net->input.bytes == NULL || net->output.bytes == NULL
                            ? HBK_NO_MEMORY
                            : hbk_batch_init(&net->batch, loop, &batch);
    if (status != HBK_OK) {
        hbk_net_fini(net);
    }
    return status;
}

void hbk_net_fini(struct hbk_net *net)
{
    hbk_pool_fini(&net->tunnels);
    hbk_batch_fini(&net->batch);
    hbk_block_pool_fini(&net->blocks);
    free(net->input.bytes);
    free(net->output.bytes);
    *net = (struct hbk_net){0};
}

struct hbk_span hbk_net_take_back(struct hbk_net *net, struct hbk_buffer *partial)
{
    struct hbk_slice kept = hbk_buffer_slice(partial);
    HBK_ASSERT(kept.size <= net->input.size);
    if (kept.size > 0) {
        memcpy(net->input.bytes, kept.bytes, kept.size);
        hbk_buffer_consume(partial, kept.size);
    }
    return hbk_span_of(net->input.bytes, kept.size);
}
