/*
 * How it works: topics stand by id; sessions stand in places, found through an open-addressing
 * map (linear probing, deletion by shifting back). A session that ended keeps its place, so that
 * late batches are told "ended", until the place is needed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "meta/state.h"

int meta_state_init(struct meta_state *state, uint32_t topics_max, uint32_t sessions_max)
{
    *state = (struct meta_state){.topics_max = topics_max, .sessions_max = sessions_max};
    /* Not more than a checkpoint has room for: region/geometry.c counts 544 bytes a session. */
    state->session_places =
        sessions_max + sessions_max / 8 + (uint32_t)min_u64(16, sessions_max / 4 + 1);
    uint32_t map = 64;
    while (map < 2 * state->session_places)
        map *= 2;
    state->session_map_mask = map - 1;
    state->topics = calloc(topics_max, sizeof *state->topics);
    state->sessions = calloc(state->session_places, sizeof *state->sessions);
    state->session_map = calloc(map, sizeof *state->session_map);
    if (!state->topics || !state->sessions || !state->session_map) {
        meta_state_free(state);
        return EMB_ERR_NO_MEMORY;
    }
    for (uint32_t lane = 0; lane <= LANE_MAX; lane++)
        state->lanes[lane].node = NODE_MAX;
    state->next_producer = 1;
    return EMB_OK;
}

void meta_state_free(struct meta_state *state)
{
    free(state->topics);
    free(state->sessions);
    free(state->session_map);
    *state = (struct meta_state){0};
}

struct meta_topic *meta_topic_by_id(const struct meta_state *state, uint32_t id)
{
    if (id == 0 || id > state->topics_max || state->topics[id - 1].id == 0)
        return NULL;
    return &state->topics[id - 1];
}

bool meta_node_in_chain(const struct meta_state *state, uint32_t node)
{
    for (uint32_t lane = 0; lane <= LANE_MAX; lane++)
        for (uint32_t i = 0; i < state->lanes[lane].chain.count; i++)
            if (state->lanes[lane].chain.members[i] == node)
                return true;
    return false;
}

struct meta_topic *meta_topic_by_name(const struct meta_state *state, const char *name)
{
    for (uint32_t i = 0; i < state->topics_max; i++) {
        struct meta_topic *topic = &state->topics[i];
        if (topic->id && !topic->deleted && !strcmp(topic->name, name))
            return topic;
    }
    return NULL;
}

static uint32_t map_home(const struct meta_state *state, uint64_t session)
{
    return (uint32_t)hash_u64(session) & state->session_map_mask;
}

static uint32_t map_find(const struct meta_state *state, uint64_t session)
{
    uint32_t at = map_home(state, session);
    while (state->session_map[at] && state->sessions[state->session_map[at] - 1].session != session)
        at = (at + 1) & state->session_map_mask;
    return at;
}

struct meta_session *meta_session_find(const struct meta_state *state, uint64_t session)
{
    if (session == 0 || session == NO_SESSION)
        return NULL;
    uint32_t place = state->session_map[map_find(state, session)];
    return place ? &state->sessions[place - 1] : NULL;
}

static void map_remove(struct meta_state *state, uint64_t session)
{
    uint32_t mask = state->session_map_mask;
    uint32_t hole = map_find(state, session);
    for (uint32_t at = (hole + 1) & mask; state->session_map[at]; at = (at + 1) & mask) {
        uint32_t home = map_home(state, state->sessions[state->session_map[at] - 1].session);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            state->session_map[hole] = state->session_map[at];
            hole = at;
        }
    }
    state->session_map[hole] = 0;
}

uint32_t meta_session_next_place(const struct meta_state *state)
{
    for (uint32_t tried = 0; tried < state->session_places; tried++) {
        uint32_t place = (state->session_hint + tried) % state->session_places;
        if (state->sessions[place].session == 0 || state->sessions[place].ended)
            return place;
    }
    ASSERT(!"more sessions than places");
    return 0;
}

static uint32_t place_take(struct meta_state *state)
{
    uint32_t place = meta_session_next_place(state);
    state->session_hint = (place + 1) % state->session_places;
    if (state->sessions[place].session)
        map_remove(state, state->sessions[place].session);
    return place;
}

struct meta_session *meta_session_add(struct meta_state *state, uint64_t session)
{
    uint32_t place = place_take(state);
    state->sessions[place] = (struct meta_session){.session = session};
    state->session_map[map_find(state, session)] = place + 1;
    return &state->sessions[place];
}

const struct session_batch *meta_session_batch(const struct meta_session *session,
                                               uint64_t client_sequence)
{
    uint64_t kept = min_u64(session->window_count, SESSION_WINDOW);
    for (uint64_t i = session->window_count - kept; i < session->window_count; i++) {
        const struct session_batch *batch = &session->window[i % SESSION_WINDOW];
        if (batch->client_sequence == client_sequence)
            return batch;
    }
    return NULL;
}
