/*
 * Intrusive, circular, doubly linked lists. A link lies in the struct that it links; the list owns
 * nothing. A link that is on no list is empty: it points to itself, so removing it twice is
 * harmless.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct hbk_link {
    struct hbk_link *next;
    struct hbk_link *previous;
};

struct hbk_list {
    struct hbk_link head;
};

static inline void hbk_link_init(struct hbk_link *link)
{
    link->next = link;
    link->previous = link;
}

static inline void hbk_list_init(struct hbk_list *list)
{
    hbk_link_init(&list->head);
}

static inline bool hbk_link_is_linked(const struct hbk_link *link)
{
    return link->next != link;
}

static inline bool hbk_list_is_empty(const struct hbk_list *list)
{
    return !hbk_link_is_linked(&list->head);
}

static inline void hbk_link_insert_before(struct hbk_link *place, struct hbk_link *link)
{
    link->previous = place->previous;
    link->next = place;
    place->previous->next = link;
    place->previous = link;
}

static inline void hbk_list_append(struct hbk_list *list, struct hbk_link *link)
{
    hbk_link_insert_before(&list->head, link);
}

static inline void hbk_list_prepend(struct hbk_list *list, struct hbk_link *link)
{
    hbk_link_insert_before(list->head.next, link);
}

static inline void hbk_link_remove(struct hbk_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    hbk_link_init(link);
}

/* Takes the first link off the list; NULL when it is empty. */
static inline struct hbk_link *hbk_list_pop(struct hbk_list *list)
{
    if (hbk_list_is_empty(list)) {
        return NULL;
    }
    struct hbk_link *first = list->head.next;
    hbk_link_remove(first);
    return first;
}

/* Moves all links of `from` to the end of `to`; `from` is empty afterwards. */
static inline void hbk_list_move(struct hbk_list *to, struct hbk_list *from)
{
    if (hbk_list_is_empty(from)) {
        return;
    }
    from->head.next->previous = to->head.previous;
    to->head.previous->next = from->head.next;
    from->head.previous->next = &to->head;
    to->head.previous = from->head.previous;
    hbk_list_init(from);
}

/* Walks the links of a list; the current link may be removed in the body, no other. */
#define HBK_LIST_EACH(link, list)                                              \
    for (struct hbk_link *link = (list)->head.next, *link##_next = link->next; \
         link != &(list)->head; link = link##_next, link##_next = link->next)
