/*
 * How it works. Each batch is a parcel with a time at which its next copy is to be sent: its first
 * one, a second one on purpose, or one that a broker asked for. Delays and lanes are drawn, so that
 * batches overtake each other between brokers. A parcel has its outcome once no copy is without
 * answer and none is planned: acknowledged if any copy was, else refused if all were, for a refusal
 * of one copy says nothing of another that the session's end found committed.
 */
#include "base/assert.h"
#include "base/bits.h"
#include "sim/client/unruly.h"

#define HELD_LONGEST_NS (20 * MS)

static const struct topic_settings *settings_of(const struct unruly *u)
{
    return &u->publisher->topic->settings;
}

static bool topic_skips(const struct unruly *u)
{
    return settings_of(u)->gap == TOPIC_GAP_SKIP;
}

static uint64_t gap_timeout_ns(const struct unruly *u)
{
    return settings_of(u)->gap_timeout_us * US;
}

/* ---- parcels --------------------------------------------------------------------------------- */

static struct parcel *parcel_take(struct unruly *u)
{
    for (uint32_t i = 0; i < UNRULY_PARCELS; i++) {
        struct parcel *parcel = &u->parcels[i];
        if (parcel->used)
            continue;
        *parcel = (struct parcel){.used = true, .lane = UNRULY_NO_LANE};
        return parcel;
    }
    return NULL;
}

void parcel_settle(struct unruly *u, struct parcel *parcel)
{
    if (parcel->copies > 0 || parcel->send_at_ns != 0)
        return;
    if (parcel->act != NULL && !parcel->acked) {
        if (parcel->refused != EMB_OK && !parcel->lost_copy)
            message_answer(u->publisher, parcel->act, parcel->refused_by, parcel->refused,
                           CLIENT_NO_NUMBER, false);
        else
            message_unknown(u->publisher, parcel->act);
    }
    if (u->straddle == parcel)
        u->straddle = NULL;
    parcel->used = false;
}

static uint64_t oldest_order(const struct unruly *u)
{
    uint64_t oldest = u->order;

    for (uint32_t i = 0; i < UNRULY_PARCELS; i++)
        if (u->parcels[i].used && !u->parcels[i].late)
            oldest = min_u64(oldest, u->parcels[i].order);
    return oldest;
}

static bool is_quiet(const struct unruly *u)
{
    for (uint32_t i = 0; i < UNRULY_PARCELS; i++)
        if (u->parcels[i].used)
            return false;
    return true;
}

/* ---- sending --------------------------------------------------------------------------------- */

static struct copy *copy_take(struct unruly *u)
{
    for (uint32_t i = 0; i < UNRULY_COPIES; i++)
        if (u->copies[i].parcel == NULL && !u->copies[i].outgoing.queued)
            return &u->copies[i];
    return NULL;
}

static void copy_frame(struct unruly *u, struct copy *copy)
{
    const struct act *act = copy->parcel->act;
    const struct frame_header header = {
        .body_bytes = act->byte_count,
        .type = FRAME_PRODUCE,
        .correlation = ++u->correlation,
        .session = act->session,
        .client_sequence = act->client_sequence,
        .max_timestamp_ms = act->max_timestamp_ms,
        .message_count = act->message_count,
        .topic = act->topic,
        .acks = act->acks,
    };

    copy->outgoing = (struct outgoing){.bytes = act->bytes,
                                       .byte_count = act->byte_count,
                                       .correlation = header.correlation,
                                       .stripe = -1};
    frame_header_write(copy->outgoing.frame, &header);
}

/* Hands `byte_count` bytes of it to a lane (all ones: all). */
static void copy_send(struct unruly *u, struct parcel *parcel, uint32_t lane, uint32_t byte_count)
{
    struct copy *copy = copy_take(u);
    struct connection *c = &u->lanes[lane].connection;

    ASSERT(copy != NULL);
    if (parcel->act == NULL)
        parcel->act = message_invoke(u->publisher, &parcel->message);
    copy->parcel = parcel;
    copy->lane = lane;
    copy_frame(u, copy);
    copy->outgoing.byte_count = min_u64(byte_count, copy->outgoing.byte_count);
    connection_queue(c, &copy->outgoing);
    parcel->lane = lane;
    parcel->copies++;
    parcel->send_at_ns = 0;
    TRACE("send", parcel->act->number, lane,
          "publisher %u sends batch %u (act %u): session %#llx, sequence %lld to %s%s",
          u->publisher->number, parcel->message.number, parcel->act->number,
          (unsigned long long)parcel->act->session, (long long)parcel->act->client_sequence,
          c->name, parcel->twin ? ", once more" : "");
}

/* By chance it will be sent a second time, before or after its answer. */
static void twin_plan(const struct unruly *u, struct parcel *parcel, uint64_t now_ns)
{
    bool was_twin = parcel->twin;

    parcel->twin = false;
    if (was_twin || parcel->late || parcel->tries > 0 || u->over || !draw_one_in(6))
        return;
    parcel->twin = true;
    parcel->send_at_ns = now_ns + 1 + draw_skewed(0, 5 * MS);
}

/* Without a lane nothing more is sent; a batch of which nothing was sent never was. */
static void parcel_send(struct unruly *u, struct parcel *parcel, uint64_t now_ns)
{
    uint32_t lane = unruly_draw_lane(u, parcel->twin ? parcel->lane : UNRULY_NO_LANE);

    if (lane == UNRULY_NO_LANE || (u->over && parcel->act == NULL)) {
        parcel->send_at_ns = 0;
        parcel_settle(u, parcel);
        return;
    }
    if (parcel->twin)
        COVER(DUPLICATE_SENT);
    copy_send(u, parcel, lane, UINT32_MAX);
    twin_plan(u, parcel, now_ns);
}

static int parcels_send(struct unruly *u, uint64_t now_ns)
{
    int work = 0;

    for (uint32_t i = 0; i < UNRULY_PARCELS; i++) {
        struct parcel *parcel = &u->parcels[i];
        bool is_due = parcel->used && parcel->send_at_ns != 0 &&
                      (parcel->send_at_ns <= now_ns || (u->over && parcel->act == NULL));
        if (!is_due || copy_take(u) == NULL)
            continue;
        parcel_send(u, parcel, now_ns);
        work++;
    }
    return work;
}

/* ---- answers --------------------------------------------------------------------------------- */

static struct copy *copy_find(struct unruly *u, uint32_t lane, uint64_t correlation)
{
    for (uint32_t i = 0; i < UNRULY_COPIES; i++) {
        struct copy *copy = &u->copies[i];
        if (copy->parcel != NULL && copy->lane == lane && copy->outgoing.correlation == correlation)
            return copy;
    }
    return NULL;
}

static void again_plan(struct parcel *parcel, int status, uint64_t now_ns)
{
    uint64_t delay_ns = status == EMB_ERR_BACKPRESSURE
                            ? draw_between(1 * MS, 20 * MS)
                            : (500 * US << min_u64(parcel->tries, 6)) - 500 * US;

    if (status == EMB_ERR_BACKPRESSURE)
        COVER(BACKPRESSURE);
    parcel->tries++;
    if (parcel->acked)
        return;
    parcel->twin = false;
    parcel->send_at_ns = now_ns + delay_ns;
}

static void answer_take(struct unruly *u, struct parcel *parcel, uint32_t node,
                        const struct ack_item *item, uint64_t now_ns)
{
    if (item->status == EMB_ERR_RETRY || item->status == EMB_ERR_BACKPRESSURE) {
        again_plan(parcel, item->status, now_ns);
    } else if (item->status == EMB_OK) {
        message_answer(u->publisher, parcel->act, node, EMB_OK, item->base_offset, item->duplicate);
        parcel->acked = true;
        if (!parcel->late)
            u->acked_to = max_u64(u->acked_to, parcel->order + 1);
    } else if (parcel->refused == EMB_OK) {
        parcel->refused = item->status;
        parcel->refused_by = node;
    }
}

/* LOST and a straddle's SEQUENCE are of one batch; else the session is no more. */
static bool session_goes_on(const struct parcel *parcel, int status)
{
    return status == EMB_OK || status == EMB_ERR_RETRY || status == EMB_ERR_BACKPRESSURE ||
           status == EMB_ERR_LOST || (status == EMB_ERR_SEQUENCE && parcel->message.straddles);
}

void mischief_answer(struct unruly *u, uint32_t lane, const struct ack_item *item, uint64_t now_ns)
{
    struct copy *copy = copy_find(u, lane, item->correlation);
    struct connection *c = &u->lanes[lane].connection;

    if (copy == NULL) {
        finding("client",
                "publisher %u: broker %s answers frame %llu, which is not under way there",
                u->publisher->number, c->name, (unsigned long long)item->correlation);
        return;
    }
    struct parcel *parcel = copy->parcel;
    copy->parcel = NULL;
    ASSERT(parcel->copies > 0);
    parcel->copies--;
    answer_take(u, parcel, c->rack->node, item, now_ns);
    if (!session_goes_on(parcel, item->status))
        u->over = true;
    parcel_settle(u, parcel);
}

/* ---- making ---------------------------------------------------------------------------------- */

static uint64_t draw_delay(const struct unruly *u)
{
    uint64_t gap_ns = gap_timeout_ns(u);

    if (draw_percent(70))
        return 0;
    if (draw_percent(85))
        return draw_skewed(1, 500 * US);
    return draw_skewed(1, topic_skips(u) ? 2 * gap_ns : min_u64(gap_ns / 3, HELD_LONGEST_NS));
}

static void batch_draw(struct unruly *u, struct message *message)
{
    uint32_t limit = clients.batch_bytes_most;

    for (uint32_t i = 0; i < u->lane_count; i++)
        if (unruly_lane_is_open(&u->lanes[i]))
            limit = (uint32_t)min_u64(limit, u->lanes[i].connection.rack->max_batch_bytes);
    message_draw(u->publisher, limit, message);
    message->session = u->session;
    message->sequence = u->sequence;
}

/* A gap. On topics that skip, what was left out may come when its range was long declared lost. */
static bool leave_out(struct unruly *u, struct parcel *parcel, uint64_t now_ns)
{
    if (!draw_one_in(topic_skips(u) ? 20 : 150))
        return false;
    COVER(GAP_MADE);
    TRACE("gap", u->publisher->number, parcel->message.number,
          "publisher %u leaves out batch %u: session %#llx, sequence %llu, %u messages",
          u->publisher->number, parcel->message.number, (unsigned long long)u->session,
          (unsigned long long)parcel->message.sequence, parcel->message.count);
    parcel->late = true;
    if (topic_skips(u) && draw_one_in(2))
        parcel->send_at_ns = now_ns + gap_timeout_ns(u) + draw_between(1 * MS, 5 * MS);
    else
        parcel->used = false;
    return true;
}

static void batch_make(struct unruly *u, struct parcel *parcel, uint64_t now_ns)
{
    batch_draw(u, &parcel->message);
    parcel->order = u->order++;
    u->sequence += parcel->message.count;
    u->quota--;
    if (leave_out(u, parcel, now_ns))
        return;
    parcel->send_at_ns = now_ns + draw_delay(u);
}

/*
 * It must be decided between the batch it overlaps and anything after: so the one before was the
 * newest of all and is acknowledged, and no other is made until it has its answer.
 */
static void straddle_make(struct unruly *u, struct parcel *parcel, uint64_t now_ns)
{
    u->straddle_wish = false;
    if (u->acked_to != u->order || u->sequence == 0) {
        parcel->used = false;
        return;
    }
    batch_draw(u, &parcel->message);
    parcel->message.sequence = u->sequence - 1;
    parcel->message.count += parcel->message.count == 1;
    parcel->message.value_bytes = (uint32_t)min_u64(parcel->message.value_bytes, 64);
    parcel->message.straddles = true;
    parcel->late = true;
    parcel->send_at_ns = now_ns;
    u->straddle = parcel;
    COVER(STRADDLE_SENT);
}

static bool may_make(const struct unruly *u, uint64_t now_ns)
{
    const struct publisher *p = u->publisher;

    return !u->over && !clients.stopping && u->quota > 0 && p->made < p->batches &&
           now_ns >= p->next_ns && u->straddle == NULL &&
           u->order - oldest_order(u) < UNRULY_SPAN && (!u->straddle_wish || is_quiet(u));
}

static int batches_make(struct unruly *u, uint64_t now_ns)
{
    struct publisher *p = u->publisher;
    struct parcel *parcel;
    int work = 0;

    while (may_make(u, now_ns) && (parcel = parcel_take(u)) != NULL) {
        if (u->straddle_wish)
            straddle_make(u, parcel, now_ns);
        else
            batch_make(u, parcel, now_ns);
        u->straddle_wish = draw_one_in(40);
        p->next_ns = now_ns + (draw_one_in(3) ? 0 : draw_skewed(1 * US, p->pace_ns));
        work++;
    }
    return work;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void break_off(struct unruly *u)
{
    uint32_t lane = unruly_draw_lane(u, UNRULY_NO_LANE);
    struct parcel *parcel = parcel_take(u);

    u->over = true;
    if (lane == UNRULY_NO_LANE || parcel == NULL || copy_take(u) == NULL) {
        if (parcel != NULL)
            parcel->used = false;
        return;
    }
    batch_draw(u, &parcel->message);
    parcel->order = u->order++;
    struct connection *c = &u->lanes[lane].connection;
    copy_send(u, parcel, lane, (uint32_t)draw_between(1, 100));
    connection_work(c);
    TRACE("break", u->publisher->number, lane, "publisher %u breaks off within that batch",
          u->publisher->number);
    connection_stop(c, draw_one_in(2));
    unruly_lane_lost(u, lane);
}

static void drop_all(struct unruly *u)
{
    u->over = true;
    for (uint32_t i = 0; i < u->lane_count; i++) {
        if (u->lanes[i].connection.state == CONNECTION_NONE)
            continue;
        connection_stop(&u->lanes[i].connection, true);
        unruly_lane_lost(u, i);
    }
}

static void end_begin(struct unruly *u)
{
    if (u->end == UNRULY_END_CLOSE_EARLY)
        unruly_close_send(u);
    else if (u->end == UNRULY_END_BREAK)
        break_off(u);
    else if (u->end == UNRULY_END_DROP)
        drop_all(u);
    u->over = true;
}

int mischief_work(struct unruly *u, uint64_t now_ns)
{
    const struct publisher *p = u->publisher;

    if (u->end == UNRULY_END_VANISH && !clients.stopping)
        drop_all(u);
    int work = batches_make(u, now_ns);
    work += parcels_send(u, now_ns);
    if (!u->over && (u->quota == 0 || p->made >= p->batches || clients.stopping)) {
        if (clients.stopping)
            u->end = UNRULY_END_CLOSE;
        if (u->end == UNRULY_END_CLOSE && !is_quiet(u))
            return work; /* all has its outcome first */
        end_begin(u);
        work++;
    }
    return work;
}
