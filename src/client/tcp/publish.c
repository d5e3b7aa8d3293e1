/*
 * How it works. All brokers are greeted first; those that cannot be reached are left out. Topics
 * with sessions then get one, opened on one broker, and named to all in PUBLISH_OPEN together with
 * its position in the log, up to which a broker reads before it answers. From then on every batch
 * takes the connection with the fewest bytes in flight, and acknowledgements find it again by the
 * frame's correlation: of at most sixteen, so the list is simply walked.
 *
 * A session lives as long as all its connections. Without one, the loss of a connection fails the
 * batches on it and the others go on.
 */
#include "client/tcp/publish.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define NO_SESSION          UINT64_MAX
#define SESSION_CORRELATION 2
#define OPEN_CORRELATION    3
#define CLOSE_CORRELATION   4
#define FIRST_CORRELATION   16
#define RESEND_FIRST_NS     1000000ull
#define RESEND_LONGEST_NS   100000000ull

/* ---- what is in flight ----------------------------------------------------------------------- */

static void flying_add(struct publish_core *core, struct outgoing *o)
{
    struct outgoing **end = &core->flying;
    while (*end != NULL)
        end = &(*end)->later;
    *end = o;
    o->later = NULL;
    core->flying_count++;
    core->lanes[o->connection].bytes_in_flight += o->byte_count;
}

static void flying_remove(struct publish_core *core, struct outgoing *o)
{
    struct outgoing **at = &core->flying;
    while (*at != o)
        at = &(*at)->later;
    *at = o->later;
    core->flying_count--;
    core->lanes[o->connection].bytes_in_flight -= o->byte_count;
}

static struct outgoing *flying_find(struct publish_core *core, uint64_t correlation)
{
    struct outgoing *o = core->flying;
    while (o != NULL && o->correlation != correlation)
        o = o->later;
    return o;
}

static void outcome_tell(struct publish_core *core, struct outgoing *o, int code,
                         const struct ack_item *item, const char *text)
{
    struct publish_outcome outcome = {
        .outgoing = o,
        .code = code,
        .base_offset = item != NULL ? item->base_offset : UINT64_MAX,
        .duplicate = item != NULL && item->duplicate,
        .text = code == EMB_OK ? NULL : text,
    };
    flying_remove(core, o);
    core->on_outcome(core->arg, &outcome);
}

/* ---- endings --------------------------------------------------------------------------------- */

static bool lane_is_live(const struct lane *lane)
{
    return lane->connection.state == CONNECTION_UP;
}

static void lane_queue_forget(struct lane *lane)
{
    if (connection_is_amid_batch(&lane->connection))
        connection_fail(&lane->connection, EMB_ERR_CLOSED, "reset within a batch");
    lane->connection.first = NULL;
    lane->connection.last = NULL;
    lane->connection.first_sent = 0;
}

static bool session_close_send(struct publish_core *core)
{
    unsigned char body[8];
    struct wire_writer w;

    if (core->session == NO_SESSION)
        return false;
    wire_writer_init(&w, body, sizeof body);
    wire_put_u64(&w, core->session);
    for (uint32_t i = 0; i < core->lane_count; i++) {
        if (!lane_is_live(&core->lanes[i]))
            continue;
        connection_send(&core->lanes[i].connection, FRAME_SESSION_CLOSE, CLOSE_CORRELATION, body,
                        sizeof body);
        core->asked_lane = i;
        return true;
    }
    return false;
}

void publish_end(struct publish_core *core, int code, const char *text)
{
    if (core->state == PUBLISH_ENDED || core->state == PUBLISH_CLOSED)
        return;
    error_set(&core->error, code, "%s", text);
    core->state = PUBLISH_ENDED;
    for (uint32_t i = 0; i < core->lane_count; i++)
        lane_queue_forget(&core->lanes[i]);
    while (core->flying != NULL)
        outcome_tell(core, core->flying, code, NULL, core->error.text);
    /* At once: whoever hears of the end may close the connections before another turn. */
    if (session_close_send(core))
        connection_work(&core->lanes[core->asked_lane].connection);
}

static void lane_batches_fail(struct publish_core *core, struct lane *lane)
{
    struct outgoing *later;

    lane_queue_forget(lane);
    for (struct outgoing *o = core->flying; o != NULL; o = later) {
        later = o->later;
        if (o->connection == lane->index)
            outcome_tell(core, o, lane->connection.error.code, NULL, lane->connection.error.text);
    }
}

/* A lane whose connection went down; before UP it is simply left out. */
static void lane_lost(struct publish_core *core, struct lane *lane)
{
    const struct error *why = &lane->connection.error;
    bool was_opened = lane->opened;

    lane->opened = false;
    if (was_opened)
        core->lanes_up--;
    if (core->state == PUBLISH_UP && core->session == NO_SESSION && core->lanes_up > 0)
        lane_batches_fail(core, lane);
    else if (core->state == PUBLISH_UP)
        publish_end(core, why->code, why->text);
    else if (core->state == PUBLISH_CLOSING)
        core->state = PUBLISH_CLOSED; /* its broker ends the session, having lost its connection */
}

/* ---- opening --------------------------------------------------------------------------------- */

static void batch_sent(void *arg, struct outgoing *o);

void publish_start(struct publish_core *core, const struct publish_options *options,
                   uint64_t now_ns,
                   void (*on_outcome)(void *arg, const struct publish_outcome *outcome), void *arg)
{
    memset(core, 0, sizeof *core);
    core->options = *options;
    core->on_outcome = on_outcome;
    core->arg = arg;
    core->session = NO_SESSION;
    core->position = options->after_position;
    core->next_correlation = FIRST_CORRELATION;
    core->lane_count = (uint32_t)min_u64(options->address_count, PUBLISH_BROKERS_MAX);
    core->greeted_by_ns = connection_patience(now_ns, options->deadline_ns, core->lane_count > 1);
    ASSERT(core->lane_count > 0 && options->window > 0 && options->window <= PUBLISH_WINDOW_MAX);
    for (uint32_t i = 0; i < core->lane_count; i++) {
        struct lane *lane = &core->lanes[i];
        const struct connection_events events = {.arg = lane, .sent = batch_sent};
        lane->core = core;
        lane->index = i;
        connection_start(&lane->connection, options->poller, &options->addresses[i],
                         options->client_name, &events);
    }
}

void publish_stop(struct publish_core *core)
{
    ASSERT(core->flying == NULL);
    for (uint32_t i = 0; i < core->lane_count; i++)
        connection_stop(&core->lanes[i].connection, false);
    core->lane_count = 0;
}

static uint32_t lanes_in(const struct publish_core *core, enum connection_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < core->lane_count; i++)
        count += core->lanes[i].connection.state == state;
    return count;
}

static const struct error *lanes_error(const struct publish_core *core)
{
    for (uint32_t i = core->lane_count; i-- > 0;)
        if (core->lanes[i].connection.state == CONNECTION_DOWN)
            return &core->lanes[i].connection.error;
    return &core->error;
}

static struct lane *lane_first_live(struct publish_core *core)
{
    for (uint32_t i = 0; i < core->lane_count; i++)
        if (lane_is_live(&core->lanes[i]))
            return &core->lanes[i];
    return NULL;
}

static void publish_open_send(struct publish_core *core)
{
    unsigned char body[64];
    struct wire_writer w;
    struct publish_open open = {
        .topic = core->options.topic,
        .session = core->session,
        .acks = core->options.acks,
        .after_position = core->position,
    };

    wire_writer_init(&w, body, sizeof body);
    publish_open_put(&w, &open);
    ASSERT(!w.overflow);
    for (uint32_t i = 0; i < core->lane_count; i++)
        connection_send(&core->lanes[i].connection, FRAME_PUBLISH_OPEN, OPEN_CORRELATION, body,
                        w.used);
    core->state = PUBLISH_OPENING;
}

static void session_open_send(struct publish_core *core)
{
    unsigned char body[16];
    struct wire_writer w;
    struct lane *lane = lane_first_live(core);

    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, core->options.topic);
    wire_put_u64(&w, core->position);
    core->asked_lane = lane->index;
    connection_send(&lane->connection, FRAME_SESSION_OPEN, SESSION_CORRELATION, body, w.used);
    core->state = PUBLISH_SESSION;
}

/* Moves on when all connections have come as far as the state asks. */
static void opening_advance(struct publish_core *core)
{
    uint32_t down = lanes_in(core, CONNECTION_DOWN);
    uint32_t up = lanes_in(core, CONNECTION_UP);

    if (down == core->lane_count) {
        const struct error *why = lanes_error(core);
        publish_end(core, why->code, why->text);
    } else if (core->state == PUBLISH_CONNECTING && up + down == core->lane_count) {
        if (core->options.sessions)
            session_open_send(core);
        else
            publish_open_send(core);
    } else if (core->state == PUBLISH_SESSION && !lane_is_live(&core->lanes[core->asked_lane])) {
        const struct error *why = &core->lanes[core->asked_lane].connection.error;
        publish_end(core, why->code, why->text);
    } else if (core->state == PUBLISH_OPENING && core->lanes_up == up) {
        core->state = PUBLISH_UP;
    }
}

/* A connection that takes too long is left out, so that one silent broker stops nobody. */
static void silent_leave_out(struct publish_core *core)
{
    if (core->state != PUBLISH_CONNECTING || lanes_in(core, CONNECTION_UP) == 0)
        return;
    for (uint32_t i = 0; i < core->lane_count; i++)
        if (!lane_is_live(&core->lanes[i]))
            connection_late(&core->lanes[i].connection);
}

/* ---- resending ------------------------------------------------------------------------------- */

static void resend_now(struct publish_core *core, struct outgoing *o)
{
    o->resend_at_ns = 0;
    connection_queue_first(&core->lanes[o->connection].connection, o);
}

/* RETRY: the predecessor was late, so the first time at once. BACKPRESSURE: later and later. */
static void resend_plan(struct publish_core *core, struct outgoing *o, int status)
{
    uint32_t tries = o->tries++;

    if (status == EMB_ERR_RETRY)
        core->retries++;
    else
        core->backpressure++;
    if (status == EMB_ERR_RETRY && tries == 0) {
        resend_now(core, o);
        return;
    }
    uint64_t delay_ns = RESEND_FIRST_NS << min_u64(tries, 7);
    o->resend_at_ns = core->now_ns + min_u64(delay_ns, RESEND_LONGEST_NS);
}

static int resend_due(struct publish_core *core)
{
    int work = 0;
    for (struct outgoing *o = core->flying; o != NULL; o = o->later) {
        if (o->resend_at_ns == 0 || o->resend_at_ns > core->now_ns)
            continue;
        resend_now(core, o);
        work++;
    }
    return work;
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

static void answer_apply(struct publish_core *core, struct outgoing *o, const struct ack_item *item)
{
    char text[ERROR_TEXT_BYTES];
    struct error err = {0};
    const char *broker = core->lanes[o->connection].connection.name;

    o->answered = false;
    if (item->status == EMB_OK) {
        outcome_tell(core, o, EMB_OK, item, NULL);
        return;
    }
    if (item->status == EMB_ERR_RETRY || item->status == EMB_ERR_BACKPRESSURE) {
        resend_plan(core, o, item->status);
        return;
    }
    error_set(&err, item->status, "broker %s refused the batch: %s", broker,
              error_text(item->status));
    memcpy(text, err.text, sizeof text);
    outcome_tell(core, o, item->status, item, text);
    /* Under the policy "skip" a lost range is passed over and the session goes on. */
    if (core->session == NO_SESSION || item->status == EMB_ERR_LOST)
        return;
    publish_end(core, EMB_ERR_SESSION_FENCED, text);
}

/* Called amid the accounting of a connection's queue, which must not be changed here. */
static void batch_sent(void *arg, struct outgoing *o)
{
    struct lane *lane = arg;
    const struct ack_item handed_over = {.base_offset = UINT64_MAX};

    if (lane->core->options.acks == 0)
        outcome_tell(lane->core, o, EMB_OK, &handed_over, NULL);
}

/* Applies the answers that came before their batch was wholly sent. */
static int answers_due(struct publish_core *core)
{
    struct outgoing *later;
    int work = 0;

    for (struct outgoing *o = core->flying; o != NULL; o = later) {
        later = o->later;
        if (!o->answered || o->queued)
            continue;
        const struct ack_item item = o->answer;
        answer_apply(core, o, &item);
        work++;
        if (core->state != PUBLISH_UP)
            break;
    }
    return work;
}

/* Returns false when the connection has failed by it. */
static bool item_take(struct publish_core *core, struct lane *lane, const struct ack_item *item)
{
    struct outgoing *o = flying_find(core, item->correlation);

    if (o == NULL || o->connection != lane->index || o->resend_at_ns != 0 || o->answered) {
        connection_fail(&lane->connection, EMB_ERR_PROTOCOL,
                        "an answer for batch %llu, which is not under way there",
                        (unsigned long long)item->correlation);
        return false;
    }
    if (o->queued) { /* answered by its header: its bytes must still go out */
        o->answered = true;
        o->answer = *item;
        return true;
    }
    answer_apply(core, o, item);
    return core->state == PUBLISH_UP;
}

static void acks_take(struct publish_core *core, struct lane *lane,
                      const struct frame_header *header, const void *body)
{
    struct error err = {0};
    struct wire_reader r;

    wire_reader_init(&r, body, header->body_bytes, &err);
    while (r.code == EMB_OK && r.at < r.count) {
        struct ack_item item;
        ack_item_get(&r, &item);
        if (r.code == EMB_OK && !item_take(core, lane, &item))
            return;
    }
    if (r.code != EMB_OK)
        connection_fail(&lane->connection, EMB_ERR_PROTOCOL, "%s", err.text);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void session_take(struct publish_core *core, struct lane *lane,
                         const struct frame_header *header, const void *body)
{
    struct error err = {0};
    struct wire_reader r;

    wire_reader_init(&r, body, header->body_bytes, &err);
    uint64_t session = wire_get_u64(&r, "session");
    uint64_t position = wire_get_u64(&r, "position");
    if (wire_reader_end(&r) != EMB_OK) {
        connection_fail(&lane->connection, err.code, "%s", err.text);
        return;
    }
    core->session = session;
    core->position = position;
    publish_open_send(core);
}

static void error_take(struct publish_core *core, struct lane *lane,
                       const struct frame_header *header, const void *body)
{
    struct error err = {0};

    connection_error_get(&lane->connection, header, body, &err);
    if (core->state == PUBLISH_CLOSING && header->correlation == CLOSE_CORRELATION)
        core->state = PUBLISH_CLOSED; /* it had ended before */
    else if (core->state < PUBLISH_UP && header->correlation != 0)
        publish_end(core, err.code, err.text);
    else if (core->state != PUBLISH_ENDED) {
        /* The text names the broker already. */
        connection_fail(&lane->connection, err.code, "%s", err.text);
        lane->connection.error = err;
    }
}

static void ok_take(struct publish_core *core, struct lane *lane, uint64_t correlation)
{
    if (correlation == OPEN_CORRELATION && core->state == PUBLISH_OPENING && !lane->opened) {
        lane->opened = true;
        core->lanes_up++;
    } else if (correlation == CLOSE_CORRELATION && core->state == PUBLISH_CLOSING) {
        core->state = PUBLISH_CLOSED;
    } else if (core->state != PUBLISH_ENDED) {
        connection_fail(&lane->connection, EMB_ERR_PROTOCOL, "an OK frame nobody asked for");
    }
}

static void frame_take(struct publish_core *core, struct lane *lane,
                       const struct frame_header *header, const void *body)
{
    if (header->type == FRAME_ACK && core->state == PUBLISH_UP)
        acks_take(core, lane, header, body);
    else if (header->type == FRAME_OK)
        ok_take(core, lane, header->correlation);
    else if (header->type == FRAME_ERROR)
        error_take(core, lane, header, body);
    else if (header->type == FRAME_SESSION_OK && core->state == PUBLISH_SESSION &&
             lane->index == core->asked_lane)
        session_take(core, lane, header, body);
    else if (core->state < PUBLISH_CLOSING)
        connection_fail(&lane->connection, EMB_ERR_PROTOCOL, "a %s frame to a publisher",
                        frame_type_name(header->type));
}

static int lane_work(struct publish_core *core, struct lane *lane)
{
    struct frame_header header;
    void *body;
    int work;
    bool was_down = lane->connection.state == CONNECTION_DOWN && !lane->opened;

    if (was_down)
        return 0;
    work = connection_work(&lane->connection);
    while (lane_is_live(lane) && connection_receive(&lane->connection, &header, &body) > 0) {
        frame_take(core, lane, &header, body);
        work++;
    }
    if (lane->connection.state == CONNECTION_DOWN) {
        lane_lost(core, lane);
        work++;
    }
    return work;
}

int publish_work(struct publish_core *core, uint64_t now_ns)
{
    int work = 0;

    core->now_ns = now_ns;
    if (core->state == PUBLISH_CLOSED)
        return 0;
    if (core->state == PUBLISH_UP)
        work += resend_due(core);
    for (uint32_t i = 0; i < core->lane_count; i++)
        work += lane_work(core, &core->lanes[i]);
    if (core->state == PUBLISH_UP)
        work += answers_due(core);
    if (core->state < PUBLISH_UP) {
        if (now_ns >= core->greeted_by_ns)
            silent_leave_out(core);
        opening_advance(core);
        if (core->state < PUBLISH_UP && now_ns >= core->options.deadline_ns)
            publish_end(core, EMB_ERR_TIMEOUT,
                        core->state == PUBLISH_CONNECTING ? "no broker could be reached in time"
                                                          : "a broker did not answer in time");
    }
    return work;
}

/* ---- submitting ------------------------------------------------------------------------------ */

uint32_t publish_room(const struct publish_core *core)
{
    return core->state == PUBLISH_UP ? core->options.window - core->flying_count : 0;
}

uint32_t publish_stripes(const struct publish_core *core)
{
    return core->lanes_up;
}

uint32_t publish_max_batch_bytes(const struct publish_core *core)
{
    uint32_t least = BATCH_LIMIT_NONE;
    for (uint32_t i = 0; i < core->lane_count; i++)
        if (core->lanes[i].opened && core->lanes[i].connection.rack->max_batch_bytes < least)
            least = core->lanes[i].connection.rack->max_batch_bytes;
    return least;
}

/* The n-th open lane. */
static struct lane *lane_of_stripe(struct publish_core *core, int stripe)
{
    struct lane *lane = core->lanes;
    for (;; lane++) {
        ASSERT(lane < core->lanes + core->lane_count);
        if (lane->opened && stripe-- == 0)
            return lane;
    }
}

/* The open lane with the fewest bytes in flight; among equals in turn. */
static struct lane *lane_least_loaded(struct publish_core *core)
{
    struct lane *best = NULL;

    for (uint32_t i = 0; i < core->lane_count; i++) {
        struct lane *lane = &core->lanes[(core->next_lane + i) % core->lane_count];
        if (lane->opened && (best == NULL || lane->bytes_in_flight < best->bytes_in_flight))
            best = lane;
    }
    ASSERT(best != NULL);
    core->next_lane = (best->index + 1) % core->lane_count;
    return best;
}

void publish_submit(struct publish_core *core, struct outgoing *o, uint64_t client_sequence,
                    uint32_t message_count, uint64_t max_timestamp_ms)
{
    ASSERT(publish_room(core) > 0);
    struct lane *lane = o->stripe >= 0 ? lane_of_stripe(core, o->stripe) : lane_least_loaded(core);
    o->correlation = core->next_correlation++;
    const struct frame_header header = {
        .body_bytes = (uint32_t)o->byte_count,
        .type = FRAME_PRODUCE,
        .correlation = o->correlation,
        .session = core->session,
        .client_sequence = client_sequence,
        .max_timestamp_ms = max_timestamp_ms,
        .message_count = message_count,
        .topic = core->options.topic,
        .acks = core->options.acks,
    };
    frame_header_write(o->frame, &header);
    o->connection = lane->index;
    o->resend_at_ns = 0;
    o->tries = 0;
    o->answered = false;
    flying_add(core, o);
    connection_queue(&lane->connection, o);
}

void publish_close(struct publish_core *core)
{
    ASSERT(core->flying == NULL);
    if (core->state == PUBLISH_UP && session_close_send(core))
        core->state = PUBLISH_CLOSING;
    else if (core->state != PUBLISH_ENDED)
        core->state = PUBLISH_CLOSED;
}
