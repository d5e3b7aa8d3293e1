/*
 * The index of held batches: a hash table by (session, first client sequence) over a pool with
 * room for every slot of every lane, so that it cannot be full while a lane has a slot to give.
 * Each held batch is also in its lane's list (in slot order) and its session's.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "sequencer/state.h"

int hold_init(struct hold *hold, uint32_t capacity, uint32_t places)
{
    *hold = (struct hold){.capacity = capacity, .active = HELD_NONE};
    uint32_t buckets = 64;
    while (buckets < 2 * capacity)
        buckets *= 2;
    hold->mask = buckets - 1;
    hold->pool = calloc(capacity, sizeof *hold->pool);
    hold->buckets = malloc(buckets * sizeof *hold->buckets);
    hold->sessions = calloc(places, sizeof *hold->sessions);
    if (!hold->pool || !hold->buckets || !hold->sessions)
        return EMB_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < buckets; i++)
        hold->buckets[i] = HELD_NONE;
    for (uint32_t i = 0; i < capacity; i++)
        hold->pool[i].hash_next = i + 1 < capacity ? i + 1 : HELD_NONE;
    for (uint32_t i = 0; i < places; i++)
        hold->sessions[i].first = HELD_NONE;
    return EMB_OK;
}

void hold_free(struct hold *hold)
{
    free(hold->pool);
    free(hold->buckets);
    free(hold->sessions);
    *hold = (struct hold){0};
}

static uint32_t bucket_of(const struct hold *hold, uint64_t session, uint64_t client_sequence)
{
    return (uint32_t)hash_u64(session * 0x9e3779b97f4a7c15ULL + client_sequence) & hold->mask;
}

uint32_t hold_find(const struct hold *hold, uint64_t session, uint64_t client_sequence)
{
    uint32_t at = hold->buckets[bucket_of(hold, session, client_sequence)];
    while (at != HELD_NONE && (hold->pool[at].batch.entry.session != session ||
                               hold->pool[at].batch.entry.client_sequence != client_sequence))
        at = hold->pool[at].hash_next;
    return at;
}

uint32_t hold_place(const struct sequencer *s, const struct meta_session *session)
{
    return (uint32_t)(session - s->meta.sessions);
}

static void activate(struct hold *hold, uint32_t place)
{
    struct session_hold *session = &hold->sessions[place];
    session->active = true;
    session->active_prev = HELD_NONE;
    session->active_next = hold->active;
    if (hold->active != HELD_NONE)
        hold->sessions[hold->active].active_prev = place;
    hold->active = place;
}

static void deactivate(struct hold *hold, uint32_t place)
{
    struct session_hold *session = &hold->sessions[place];
    session->active = false;
    if (session->active_prev != HELD_NONE)
        hold->sessions[session->active_prev].active_next = session->active_next;
    else
        hold->active = session->active_next;
    if (session->active_next != HELD_NONE)
        hold->sessions[session->active_next].active_prev = session->active_prev;
}

void hold_add(struct sequencer *s, const struct collected *c, const struct meta_session *session)
{
    struct hold *hold = &s->hold;
    uint32_t at = hold->free;
    ASSERT(at != HELD_NONE);
    struct held *held = &hold->pool[at];
    hold->free = held->hash_next;
    held->batch = *c;
    uint32_t bucket = bucket_of(hold, c->entry.session, c->entry.client_sequence);
    held->hash_next = hold->buckets[bucket];
    hold->buckets[bucket] = at;

    struct lane_in *lane = &s->lanes[c->lane];
    held->lane_next = HELD_NONE;
    held->lane_prev = lane->held_newest;
    *(lane->held_newest == HELD_NONE ? &lane->held_oldest
                                     : &hold->pool[lane->held_newest].lane_next) = at;
    lane->held_newest = at;

    uint32_t place = hold_place(s, session);
    struct session_hold *of = &hold->sessions[place];
    held->place = place;
    held->session_prev = HELD_NONE;
    held->session_next = of->first;
    if (of->first != HELD_NONE)
        hold->pool[of->first].session_prev = at;
    of->first = at;
    if (of->count++ == 0)
        activate(hold, place);
    s->counters.held++;
    s->counters.held_now++;
}

static void unlink_hash(struct hold *hold, uint32_t at)
{
    const struct pbr_entry_shared *entry = &hold->pool[at].batch.entry;
    uint32_t *link = &hold->buckets[bucket_of(hold, entry->session, entry->client_sequence)];
    while (*link != at)
        link = &hold->pool[*link].hash_next;
    *link = hold->pool[at].hash_next;
}

void hold_remove(struct sequencer *s, uint32_t at)
{
    struct hold *hold = &s->hold;
    struct held *held = &hold->pool[at];
    unlink_hash(hold, at);

    struct lane_in *lane = &s->lanes[held->batch.lane];
    *(held->lane_prev == HELD_NONE ? &lane->held_oldest : &hold->pool[held->lane_prev].lane_next) =
        held->lane_next;
    *(held->lane_next == HELD_NONE ? &lane->held_newest : &hold->pool[held->lane_next].lane_prev) =
        held->lane_prev;

    struct session_hold *of = &hold->sessions[held->place];
    if (held->session_prev == HELD_NONE)
        of->first = held->session_next;
    else
        hold->pool[held->session_prev].session_next = held->session_next;
    if (held->session_next != HELD_NONE)
        hold->pool[held->session_next].session_prev = held->session_prev;
    if (--of->count == 0)
        deactivate(hold, held->place);

    held->hash_next = hold->free;
    hold->free = at;
    s->counters.held_now--;
}
