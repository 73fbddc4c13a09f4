/* What the client's two files share: client.c, which sends by the clock, and client_event.c, which
 * hears what came of it. Not for others. */
#pragma once

#include "load/connection.h"

static inline void wake_at(struct hbk_load_client *client, uint64_t due_ns)
{
    if (due_ns < client->alarm.due_ns) {
        client->alarm.due_ns = due_ns;
    }
}

static inline bool is_open_loop(const struct hbk_load_client *client)
{
    return hbk_load_plan_is_open(client->plan);
}

static inline bool is_fortio(const struct hbk_load_client *client)
{
    return client->plan->arrival == HBK_LOAD_FORTIO;
}

static inline bool opens_late(const struct hbk_load_client *client)
{
    return hbk_load_plan_opens_late(client->plan);
}

static inline struct hbk_load_connection *connection_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct hbk_load_connection, link);
}

static inline struct hbk_load_connection *first_of(struct hbk_load_client *client,
                                                   enum hbk_load_state state)
{
    struct hbk_list *list = &client->lists[state];
    return hbk_list_is_empty(list) ? NULL : connection_of(list->head.next);
}

static inline void move_to(struct hbk_load_connection *connection, enum hbk_load_state state)
{
    struct hbk_load_client *client = connection->client;
    hbk_link_remove(&connection->link);
    client->counts[connection->state]--;
    connection->state = (uint8_t)state;
    client->counts[state]++;
    hbk_list_append(&client->lists[state], &connection->link);
}

static inline void set_deadline(struct hbk_load_connection *connection, uint64_t deadline_ns)
{
    connection->deadline_ns = deadline_ns;
    wake_at(connection->client, deadline_ns);
}

/* When the next scheduled call is due by the clock; HBK_SCHEDULE_OVER when there is none. */
static inline uint64_t next_due_ns(const struct hbk_load_client *client)
{
    uint64_t due_ns = hbk_schedule_due_ns(&client->schedule);
    return due_ns == HBK_SCHEDULE_OVER ? due_ns : client->start_ns + due_ns;
}

static inline bool has_calls_left(const struct hbk_load_client *client, uint64_t now_ns)
{
    if (is_fortio(client)) {
        return client->clocks_left > 0;
    }
    if (is_open_loop(client)) {
        return hbk_schedule_due_ns(&client->schedule) != HBK_SCHEDULE_OVER;
    }
    return client->calls_left > 0 && now_ns < client->end_ns;
}

/* Ends the run when no call is under way and none will follow. */
void hbk_load_end_if_over(struct hbk_load_client *client, uint64_t now_ns);

/* Gives an idle connection a call. */
void hbk_load_start_call(struct hbk_load_connection *connection, bool is_warming,
                         uint64_t intended_ns, uint64_t now_ns);

/* A call that was never sent, since no connection could be had. */
void hbk_load_record_unsent(struct hbk_load_client *client, enum hbk_load_failure failure,
                            uint64_t intended_ns, uint64_t now_ns);

/* The connection can take a call, as was found at `now_ns`. */
void hbk_load_make_idle(struct hbk_load_connection *connection, uint64_t now_ns);

/* The connection could not be opened, or was closed before it was of any use. */
void hbk_load_fail_opening(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                           uint64_t now_ns);

/* A call has had its time. */
void hbk_load_time_out(struct hbk_load_call *call, uint64_t now_ns);
