/*
 * What a batcher counts, by the names under which it is shown: the node agent's metrics put
 * "hauberk_crypto_" in front, the gateway's statistics "batcher.".
 */
#pragma once

#define HBK_BATCHER_NAME_OPERATIONS "operations" /* by path */
#define HBK_BATCHER_NAME_REDONE "operations_redone"
#define HBK_BATCHER_NAME_CANCELLED "operations_cancelled"
#define HBK_BATCHER_NAME_REFUSED "operations_refused"
#define HBK_BATCHER_NAME_BATCHES "batches" /* by their number of lanes in use */
#define HBK_BATCHER_NAME_LANES "lanes"     /* the same as a histogram */
#define HBK_BATCHER_NAME_QUEUE "queue"     /* time in it, with its unit behind */

#define HBK_BATCHER_LABEL_PATH "path"
#define HBK_BATCHER_LABEL_LANES "lanes"
#define HBK_BATCHER_LABEL_QUEUE "queue" /* hbk_batch_queue_name */

#define HBK_BATCHER_VALUE_VECTOR "vector"
#define HBK_BATCHER_VALUE_LIBCRYPTO "libcrypto"
