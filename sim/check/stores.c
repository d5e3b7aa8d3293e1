/*
 * "A publish is acknowledged only once it stands on the stable storage of every replica of its
 * chain." (1-requirements, P4) And nothing else stands there.
 *
 * In the end all power is lost, and each host's store is scanned as a restart would do it. Each
 * entry found is the log's at its position, each payload what was published; an entry at or beyond
 * the log's end (or a successor's old end) has been copied from a sequencer that was over. Every
 * act that was acknowledged at level 2 is found, with its payload, in the store of every member of
 * its chain. A torn tail is fine, damage is not, unless the disk was damaged on purpose: then
 * things may be missing there, but none may be wrong. What disks held while they ran is followed in
 * disks.c. Each store's first snapshot, and the log from there on, make the same META state as the
 * whole log.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "sim/check/internal.h"
#include "sim/env/sim_env.h"
#include "store/store.h"

#define ENTRY_FOUND   1
#define PAYLOAD_FOUND 2

static uint8_t *found[HOSTS_MAX]; /* by position */
static uint64_t found_capacity[HOSTS_MAX];
static bool damaged[HOSTS_MAX];
static bool snapshot_judged[HOSTS_MAX]; /* the first of each store */

static void begin(void)
{
    memset(damaged, 0, sizeof damaged);
    memset(snapshot_judged, 0, sizeof snapshot_judged);
    for (uint32_t i = 0; i < HOSTS_MAX; i++)
        if (found[i])
            memset(found[i], 0, found_capacity[i]);
}

void stores_expect_damage(const struct host *host)
{
    damaged[host->number] = true;
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/* All but the sessions, as bytes; the caller frees. */
static unsigned char *encode(const struct meta_state *state, size_t *used)
{
    enum { CAPACITY = 1 << 18 };
    struct meta_state without = *state;
    struct meta_cursor cursor = {0};
    unsigned char *bytes = malloc(CAPACITY);
    ASSERT(bytes);
    without.session_places = 0;
    for (*used = 0; !meta_encode_done(&cursor);) {
        int64_t more =
            meta_encode(&without, &cursor, 0, UINT16_MAX - 1, bytes + *used, CAPACITY - *used);
        ASSERT(more >= 0);
        *used += (size_t)more;
    }
    return bytes;
}

static bool same_but_sessions(const struct meta_state *a, const struct meta_state *b)
{
    size_t used_a, used_b;
    unsigned char *bytes_a = encode(a, &used_a), *bytes_b = encode(b, &used_b);
    bool same = used_a == used_b && !memcmp(bytes_a, bytes_b, used_a);
    free(bytes_a);
    free(bytes_b);
    return same;
}

/* Places of sessions may differ. */
static bool same_sessions(const struct meta_state *state, const struct meta_state *truth)
{
    for (uint32_t i = 0; i < truth->session_places; i++) {
        const struct meta_session *session = &truth->sessions[i];
        const struct meta_session *other =
            session->session ? meta_session_find(state, session->session) : NULL;
        if (session->session && !session->ended &&
            (!other || other->ended || other->next != session->next ||
             other->topic != session->topic || other->lost_below != session->lost_below))
            return false;
    }
    return state->session_count == truth->session_count;
}

static void apply_rest(struct meta_state *state, uint64_t position)
{
    struct meta_record record;
    for (; position < log_end(); position++) {
        const struct goi_entry_shared *entry = &log_at(position)->entry;
        uint32_t bytes = 0;
        const unsigned char *payload = log_payload(position, &bytes);
        bool meta = entry->kind == ENTRY_META && payload &&
                    meta_batch_read(payload, bytes, &record, NULL) == EMB_OK;
        if (meta || entry->kind != ENTRY_META)
            meta_apply(state, position, entry, meta ? &record : NULL);
    }
}

static void judge_snapshot(const struct host *host, const struct store_frame *frame)
{
    struct meta_state state;
    struct error err;
    const struct meta_state *truth = log_meta();
    ASSERT(meta_state_init(&state, truth->topics_max, truth->sessions_max) == EMB_OK);
    if (meta_decode(&state, frame->payload, frame->payload_bytes, &err))
        finding("stores", "the snapshot at the head of the store of %s: %s", host->name, err.text);
    apply_rest(&state, frame->position);
    bool others = !same_but_sessions(&state, truth);
    if (others || !same_sessions(&state, truth))
        finding("stores",
                "the store of %s begins at position %llu; its snapshot and the log from there on "
                "make other %s than the whole log",
                host->name, (ull)frame->position,
                others ? "topics, nodes, lanes or marks" : "sessions");
    meta_state_free(&state);
}

static int snapshot_found(const struct host *host, const struct store_frame *frame)
{
    if (!snapshot_judged[host->number] && log_meta() && frame->position < log_end())
        judge_snapshot(host, frame);
    snapshot_judged[host->number] = true;
    return 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

static int entry_found(void *arg, const struct store_frame *frame)
{
    const struct host *host = arg;
    uint32_t number = host->number, bytes;
    if (frame->kind == STORE_FRAME_SNAPSHOT)
        return snapshot_found(host, frame);
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    if (frame->position >= log_end()) {
        finding("stores",
                "after power was lost the store of %s holds position %llu, but the log ends "
                "at %llu",
                host->name, (ull)frame->position, (ull)log_end());
        return 0;
    }
    const struct committed *committed = log_at(frame->position);
    const unsigned char *payload = log_payload(frame->position, &bytes);
    found[number] = array_grow(found[number], &found_capacity[number], frame->position + 1, 1);
    if (memcmp(&frame->entry, &committed->entry, sizeof frame->entry))
        finding("stores", "after power was lost the store of %s holds another entry for %s",
                host->name, entry_text(committed));
    else if (frame->payload_bytes && payload &&
             (frame->payload_bytes != bytes || !batch_is_same(frame->payload, payload, bytes)))
        finding("stores",
                "after power was lost the store of %s holds other bytes than were published "
                "for %s",
                host->name, entry_text(committed));
    else
        found[number][frame->position] |=
            (uint8_t)(ENTRY_FOUND | (frame->payload_bytes ? PAYLOAD_FOUND : 0));
    return 0;
}

static void scan(struct host *host)
{
    struct store_summary summary;
    struct error err = {0};
    int rc = store_scan(env_of_host(host), STORE_PATH, entry_found, host, &summary, &err);
    if (rc == EMB_ERR_NOT_FOUND)
        return;
    COVER(STORE_RECOVERED);
    if (summary.torn_tail)
        COVER(STORE_TORN);
    if (rc != EMB_OK && !damaged[host->number])
        finding("stores", "after power was lost the store of %s does not scan (%llu damaged): %s",
                host->name, (ull)summary.corrupt, err.text);
}

static bool is_found(uint32_t host, uint64_t position)
{
    return position < found_capacity[host] && (found[host][position] & PAYLOAD_FOUND);
}

static void judge_act(const struct act *act)
{
    uint64_t position = log_first_data(act);
    if (act->acks != 2 || act->state != ACT_ACKED || position == NO_POSITION)
        return; /* a duplicate of others' range has none */
    const struct committed *committed = log_at(position);
    const struct meta_chain *chain = log_chain(committed->entry.lane);
    if (!(committed->entry.flags & ENTRY_ASKS_SYNC) || !chain)
        return;
    for (uint32_t i = 0; i < chain->count; i++) {
        uint32_t member = chain->members[i];
        if (member < HOSTS_MAX && !damaged[member] && !is_found(member, position))
            finding("stores",
                    "%s was acknowledged as durable, but after power was lost the store of "
                    "%s, of its chain, lacks %s",
                    act_text(act), world_host(member)->name, entry_text(committed));
    }
}

static void end(void)
{
    for (uint32_t i = 0; i < world_host_count(); i++)
        if (world_host(i)->in_rack)
            scan(world_host(i));
    for (uint32_t i = 0; i < history_count(); i++)
        judge_act(history_at(i));
}

const struct checker check_stores = {
    .name = "stores",
    .invariant = "an acknowledged batch is synced on its whole chain if the ack says so",
    .begin = begin,
    .end = end,
};
