/*
 * Doubly linked lists through a member of the items, for queues of connections that are left from
 * the middle. One thread. A node that is in no list is linked with itself.
 */
#ifndef BROKER_LIST_H
#define BROKER_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

static inline void list_init(struct list *node)
{
    node->prev = node;
    node->next = node;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

/* Harmless for a node that is in no list. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next; /* NOLINT(clang-analyzer-unix.Malloc): it loses track of rings */
    node->next->prev = node->prev;
    list_init(node);
}

/* Leaves the list the node is in, if any, and becomes the last of this one. */
static inline void list_append(struct list *list, struct list *node)
{
    list_remove(node);
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

/* Moves all of `from`, in order, behind what is in `to`. */
static inline void list_append_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Moves all of `from`, in order, to the empty list `to`. */
static inline void list_take(struct list *from, struct list *to)
{
    list_init(to);
    list_append_all(to, from);
}

#endif
