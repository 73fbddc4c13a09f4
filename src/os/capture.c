/*
 * The kernel writes packets into blocks of a ring that is mapped into this process (TPACKET_V3), so
 * its size does not depend on limits of socket buffers. A block is handed over when it is full or
 * 10 ms old. At the end the thread waits for two such periods and takes what is there: then every
 * packet that passed before hbk_capture_stop() was seen. (packet(7), packet_mmap in the kernel's
 * documentation)
 */
#include "os/capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "os/fd.h"
#include "os/marker.h"
#include "os/netns.h"
#include "os/poll.h"

enum {
    BLOCK_BYTES = 256 << 10, /* holds the largest packet with its headers */
    BLOCKS = 64,
    FRAME_BYTES = 2048, /* a unit of the interface; frames may be longer */
    RETIRE_MS = 10,
};

struct hbk_capture {
    int socket;
    int stop; /* eventfd */
    uint8_t *ring;
    unsigned next_block;
    struct hbk_marker *marker;
    struct hbk_capture_counts counts; /* of the thread until it is joined */
    pthread_t thread;
};

static void search_packet(struct hbk_capture *capture, const struct tpacket3_hdr *packet)
{
    const uint8_t *bytes = (const uint8_t *)packet + packet->tp_mac;
    capture->counts.packets++;
    capture->counts.bytes += packet->tp_len;
    capture->counts.lost += packet->tp_snaplen < packet->tp_len;
    capture->counts.markers +=
        hbk_marker_search(capture->marker, hbk_slice_of(bytes, packet->tp_snaplen));
}

/* Takes all blocks that the kernel has handed over. */
static void take_blocks(struct hbk_capture *capture)
{
    for (;;) {
        uint8_t *start = capture->ring + (size_t)capture->next_block * BLOCK_BYTES;
        struct tpacket_block_desc *block = (struct tpacket_block_desc *)(void *)start;
        struct tpacket_hdr_v1 *header = &block->hdr.bh1;
        if ((__atomic_load_n(&header->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
            return;
        }
        const uint8_t *at = start + header->offset_to_first_pkt;
        for (unsigned i = 0; i < header->num_pkts; i++) {
            const struct tpacket3_hdr *packet = (const struct tpacket3_hdr *)(const void *)at;
            search_packet(capture, packet);
            at += packet->tp_next_offset;
        }
        /* Release: the kernel may write again only after we have read. */
        __atomic_store_n(&header->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        capture->next_block = (capture->next_block + 1) % BLOCKS;
    }
}

static void *run_thread(void *argument)
{
    struct hbk_capture *capture = argument;
    struct pollfd ready[] = {{.fd = capture->socket, .events = POLLIN},
                             {.fd = capture->stop, .events = POLLIN}};
    while ((ready[1].revents & POLLIN) == 0) {
        (void)poll(ready, HBK_COUNT(ready), -1);
        take_blocks(capture);
    }
    (void)poll(NULL, 0, 2 * RETIRE_MS); /* the last blocks become ours by age */
    take_blocks(capture);
    return NULL;
}

static hbk_status open_ring(struct hbk_capture *capture)
{
    int version = TPACKET_V3;
    struct tpacket_req3 ring = {
        .tp_block_size = BLOCK_BYTES,
        .tp_block_nr = BLOCKS,
        .tp_frame_size = FRAME_BYTES,
        .tp_frame_nr = BLOCK_BYTES / FRAME_BYTES * BLOCKS,
        .tp_retire_blk_tov = RETIRE_MS,
    };
    if (setsockopt(capture->socket, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(capture->socket, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0) {
        return hbk_status_from_errno(errno);
    }
    void *mapped = mmap(NULL, (size_t)BLOCK_BYTES * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED,
                        capture->socket, 0);
    if (mapped == MAP_FAILED) {
        return hbk_status_from_errno(errno);
    }
    capture->ring = mapped;
    return HBK_OK;
}

/* The socket is bound last, so that no packet of another interface gets into the ring. */
static hbk_status open_socket(struct hbk_capture *capture, int netns_fd, const char *interface)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_TRY(hbk_netns_enter(netns_fd, &visit));
    capture->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (capture->socket < 0) {
        return hbk_status_from_errno(errno);
    }
    struct sockaddr_ll where = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    if (where.sll_ifindex == 0) {
        return HBK_NOT_FOUND;
    }
    HBK_TRY(open_ring(capture));
    if (bind(capture->socket, (struct sockaddr *)&where, sizeof where) < 0) {
        return hbk_status_from_errno(errno);
    }
    return HBK_OK;
}

static void release(struct hbk_capture **capture)
{
    if ((*capture)->ring != NULL) {
        (void)munmap((*capture)->ring, (size_t)BLOCK_BYTES * BLOCKS);
    }
    hbk_fd_close(&(*capture)->socket);
    hbk_fd_close(&(*capture)->stop);
    hbk_marker_free(&(*capture)->marker);
    free(*capture);
    *capture = NULL;
}

static hbk_status start(struct hbk_capture *capture, int netns_fd, const char *interface,
                        struct hbk_slice marker)
{
    HBK_TRY(hbk_marker_new(marker, &capture->marker));
    HBK_TRY(hbk_event_open(&capture->stop));
    HBK_TRY(open_socket(capture, netns_fd, interface));
    int failed = pthread_create(&capture->thread, NULL, run_thread, capture);
    return failed == 0 ? HBK_OK : hbk_status_from_errno(failed);
}

hbk_status hbk_capture_start(int netns_fd, const char *interface, struct hbk_slice marker,
                             struct hbk_capture **out_capture, struct hbk_error *error)
{
    struct hbk_capture *capture = calloc(1, sizeof *capture);
    if (capture == NULL) {
        return HBK_NO_MEMORY;
    }
    capture->socket = -1;
    capture->stop = -1;
    hbk_status status = start(capture, netns_fd, interface, marker);
    if (status != HBK_OK) {
        release(&capture);
        return hbk_error_set(error, status, "cannot capture packets on %s: %s", interface,
                             hbk_status_text(status));
    }
    *out_capture = capture;
    return HBK_OK;
}

struct hbk_capture_counts hbk_capture_stop(struct hbk_capture **capture)
{
    hbk_event_set((*capture)->stop);
    (void)pthread_join((*capture)->thread, NULL);
    struct hbk_capture_counts counts = (*capture)->counts;
    struct tpacket_stats_v3 stats = {0};
    socklen_t size = sizeof stats;
    if (getsockopt((*capture)->socket, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
        counts.lost += stats.tp_drops;
    }
    release(capture);
    return counts;
}
