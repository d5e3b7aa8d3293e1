/* What happens next: a heap of events, by time and then by the order in which they were asked. */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/core/internal.h"

struct event {
    uint64_t time_ns;
    uint64_t order;
    world_event_fn *fn;
    void *arg;
    uint64_t number;
};

static struct {
    struct event *heap;
    size_t count, capacity;
    uint64_t next_order;
} events;

static bool comes_before(const struct event *a, const struct event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

void events_begin(void)
{
    events.count = 0;
    events.next_order = 0;
}

static void grow(void)
{
    events.capacity = events.capacity ? events.capacity * 2 : 1024;
    events.heap = realloc(events.heap, events.capacity * sizeof *events.heap);
    ASSERT(events.heap);
}

void world_at(uint64_t time_ns, world_event_fn *fn, void *arg, uint64_t number)
{
    if (events.count == events.capacity)
        grow();
    uint64_t now_ns = world_now_ns();
    struct event event = {.time_ns = time_ns > now_ns ? time_ns : now_ns,
                          .order = events.next_order++,
                          .fn = fn,
                          .arg = arg,
                          .number = number};
    size_t at = events.count++;
    for (; at > 0 && comes_before(&event, &events.heap[(at - 1) / 2]); at = (at - 1) / 2)
        events.heap[at] = events.heap[(at - 1) / 2];
    events.heap[at] = event;
}

bool events_next_time(uint64_t *time_ns)
{
    if (events.count == 0)
        return false;
    *time_ns = events.heap[0].time_ns;
    return true;
}

static void sink(struct event event)
{
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= events.count)
            break;
        if (child + 1 < events.count && comes_before(&events.heap[child + 1], &events.heap[child]))
            child++;
        if (comes_before(&event, &events.heap[child]))
            break;
        events.heap[at] = events.heap[child];
        at = child;
    }
    events.heap[at] = event;
}

void events_call_next(void)
{
    struct event event = events.heap[0];
    struct event last = events.heap[--events.count];
    if (events.count)
        sink(last);
    event.fn(event.arg, event.number);
}
