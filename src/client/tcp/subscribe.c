/*
 * How it works. A subscription has a number, which its DELIVER frames carry; what still arrives of
 * an earlier one is dropped. SUBSCRIBE_OK names the first offset; from there on each batch must
 * begin where the one before it ended. After the loss of a connection the same subscription is
 * asked for again, now from the offset that is expected next, at the same broker and then the next
 * ones.
 *
 * A topic where nothing happens and a broker that is stopped, or whose host is gone, look alike. So
 * a broker that has been quiet for a while is pinged; when nothing comes then either, it is lost
 * and passed over. Also when it is the only one: who reads must learn of it.
 */
#include "client/tcp/subscribe.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define CORRELATION_FIRST  1 /* HELLO's; a SUBSCRIBE's is so much above its number */
#define BUFFER_LEAST_BYTES ((size_t)4096)
#define RETRY_FIRST_NS     10000000ull
#define RETRY_LONGEST_NS   500000000ull
#define QUIET_NS           (2 * RETRY_LONGEST_NS)
#define PING_AFTER_NS      5000000000ull /* a thousand idle subscribers: 200 pings a second */
#define LATE_TURN_NS       1000000000ull

/* ---- memory ---------------------------------------------------------------------------------- */

static void incoming_free(struct incoming *incoming)
{
    if (incoming == NULL)
        return;
    free(incoming->bytes);
    free(incoming);
}

static struct incoming *incoming_create(size_t bytes)
{
    struct incoming *incoming = calloc(1, sizeof *incoming);
    if (incoming == NULL)
        return NULL;
    /* Doubling sizes, so that spares fit what comes next. */
    incoming->capacity = BUFFER_LEAST_BYTES;
    while (incoming->capacity < bytes)
        incoming->capacity *= 2;
    incoming->bytes = aligned_alloc(CACHE_LINE, incoming->capacity);
    if (incoming->bytes == NULL) {
        free(incoming);
        return NULL;
    }
    return incoming;
}

/* The most recently used spare that is large enough: its lines are the likeliest in the cache. */
static struct incoming *spare_take(struct subscribe_core *core, size_t bytes)
{
    for (struct incoming **at = &core->spare; *at != NULL; at = &(*at)->next) {
        struct incoming *incoming = *at;
        if (incoming->capacity < bytes)
            continue;
        *at = incoming->next;
        core->spare_bytes -= incoming->capacity;
        return incoming;
    }
    return NULL;
}

static void spare_put(struct subscribe_core *core, struct incoming *incoming)
{
    if (core->spare_bytes + incoming->capacity > core->options.max_buffered_bytes) {
        incoming_free(incoming);
        return;
    }
    core->spare_bytes += incoming->capacity;
    incoming->next = core->spare;
    core->spare = incoming;
}

void subscribe_give(struct subscribe_core *core, struct incoming *incoming)
{
    ASSERT(core->buffered_bytes >= incoming->header.body_bytes);
    core->buffered_bytes -= incoming->header.body_bytes;
    spare_put(core, incoming);
    connection_resume(&core->connection);
}

static void receiving_drop(struct subscribe_core *core)
{
    struct incoming *incoming = core->receiving;

    if (incoming == NULL)
        return;
    core->receiving = NULL;
    subscribe_give(core, incoming);
}

static void *delivery_memory(void *arg, const struct frame_header *header)
{
    struct subscribe_core *core = arg;
    uint64_t limit = core->options.max_buffered_bytes;

    ASSERT(core->receiving == NULL);
    if (core->buffered_bytes > 0 && core->buffered_bytes + header->body_bytes > limit)
        return NULL;
    struct incoming *incoming = spare_take(core, header->body_bytes);
    if (incoming == NULL)
        incoming = incoming_create(header->body_bytes);
    if (incoming == NULL) {
        core->no_memory =
            core->buffered_bytes == 0; /* else it comes when something is given back */
        return NULL;
    }
    incoming->header = *header;
    incoming->next = NULL;
    memcpy(incoming->broker, core->connection.name, sizeof incoming->broker);
    core->buffered_bytes += header->body_bytes;
    core->receiving = incoming;
    return incoming->bytes;
}

struct incoming *subscribe_take(struct subscribe_core *core)
{
    struct incoming *incoming = core->ready;
    if (incoming == NULL)
        return NULL;
    core->ready = incoming->next;
    if (core->ready == NULL)
        core->ready_end = &core->ready;
    incoming->next = NULL;
    return incoming;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connect_now(struct subscribe_core *core)
{
    const struct connection_events events = {.arg = core, .memory = delivery_memory};
    uint32_t others = core->options.address_count - 1;

    if (!core->was_up)
        others -= min_u64(core->tries, others);
    receiving_drop(core);
    connection_stop(&core->connection, true);
    connection_start(&core->connection, core->options.poller, &core->options.addresses[core->at],
                     core->options.client_name, &events);
    core->state = SUBSCRIBE_CONNECTING;
    core->passed_over = false;
    core->heard_bytes = core->pinged_ns = 0;
    core->retry_at_ns = 0;
    core->up_by_ns = connection_patience(core->now_ns, core->deadline_ns, others);
}

static void fail(struct subscribe_core *core, const struct error *why)
{
    /* `why` may be the connection's own, which is wiped below. */
    core->error = *why;
    core->state = SUBSCRIBE_FAILED;
    receiving_drop(core);
    connection_stop(&core->connection, true);
}

/* The same broker once more, unless it was silent, then the next ones, each round after a longer
   wait. */
static void connect_later(struct subscribe_core *core)
{
    uint32_t round = core->tries / (core->options.address_count + 1);
    bool once_more = core->was_up && core->tries == 0 && !core->passed_over;

    if (!once_more)
        core->at = (core->at + 1) % core->options.address_count;
    core->tries++;
    uint64_t wait_ns = core->tries <= 1 ? 0 : RETRY_FIRST_NS << min_u64(round, 6);
    core->retry_at_ns = core->now_ns + min_u64(wait_ns, RETRY_LONGEST_NS);
    core->state = SUBSCRIBE_CONNECTING;
    core->reconnects += core->was_up && core->tries == 1;
}

/* A batch came, or a subscription stood for a while: a loss after it is a new one. */
static void progress(struct subscribe_core *core)
{
    core->tries = 0;
    core->deadline_ns = 0;
    core->error = (struct error){0};
}

static void lost(struct subscribe_core *core)
{
    struct error why = core->connection.error;

    receiving_drop(core);
    if (core->state == SUBSCRIBE_UP && core->now_ns - core->up_since_ns >= QUIET_NS)
        progress(core);
    if (core->deadline_ns == 0)
        core->deadline_ns = core->now_ns + core->options.timeout_ns;
    if (!core->was_up && core->tries + 1 >= core->options.address_count) {
        fail(core, &why);
        return;
    }
    connect_later(core);
    core->error = why;
}

void subscribe_start(struct subscribe_core *core, const struct subscribe_options *options,
                     uint64_t now_ns)
{
    memset(core, 0, sizeof *core);
    core->options = *options;
    core->ready_end = &core->ready;
    core->at = options->first % options->address_count;
    core->now_ns = now_ns;
    core->deadline_ns = now_ns + options->timeout_ns;
    connect_now(core);
}

void subscribe_stop(struct subscribe_core *core)
{
    struct incoming *incoming;

    connection_stop(&core->connection, true);
    receiving_drop(core);
    while ((incoming = subscribe_take(core)) != NULL)
        incoming_free(incoming);
    while ((incoming = core->spare) != NULL) {
        core->spare = incoming->next;
        incoming_free(incoming);
    }
}

/* ---- subscribing ----------------------------------------------------------------------------- */

/* Of the newest SUBSCRIBE: after a seek the answer to the one before may still be on its way. */
static uint64_t correlation_of(const struct subscribe_core *core)
{
    return CORRELATION_FIRST + core->subscription;
}

static void subscribe_send(struct subscribe_core *core)
{
    unsigned char body[TOPIC_NAME_MAX + 64];
    struct wire_writer w;
    struct subscribe subscribe = {
        .start = core->options.start,
        .value = core->options.value,
        .level = core->options.level,
        .subscription = ++core->subscription,
        .after_position = core->options.after_position,
    };

    memcpy(subscribe.topic, core->options.topic, sizeof subscribe.topic);
    wire_writer_init(&w, body, sizeof body);
    subscribe_put(&w, &subscribe);
    ASSERT(!w.overflow);
    connection_send(&core->connection, FRAME_SUBSCRIBE, correlation_of(core), body, w.used);
    core->state = SUBSCRIBE_ASKED;
}

void subscribe_seek(struct subscribe_core *core, uint8_t start, uint64_t value, uint64_t now_ns)
{
    struct incoming *incoming;

    core->now_ns = now_ns;
    while ((incoming = subscribe_take(core)) != NULL)
        subscribe_give(core, incoming);
    core->options.start = start;
    core->options.value = value;
    core->deadline_ns = now_ns + core->options.timeout_ns;
    core->error = (struct error){0};
    core->tries = 0;
    core->answered = false;
    if (core->connection.state == CONNECTION_UP)
        subscribe_send(core);
    else
        connect_now(core);
}

static void subscribed(struct subscribe_core *core, const struct frame_header *header,
                       const void *body)
{
    struct topic_info info;
    struct error err = {0};
    struct wire_reader r;

    wire_reader_init(&r, body, header->body_bytes, &err);
    topic_info_get(&r, &info);
    uint64_t next_offset = wire_get_u64(&r, "next_offset");
    if (wire_reader_end(&r) != EMB_OK) {
        connection_fail(&core->connection, EMB_ERR_PROTOCOL, "%s", err.text);
        return;
    }
    /* The batch that holds the offset may begin before it, but not after. */
    if (core->options.start == START_OFFSET && next_offset > core->options.value) {
        connection_fail(&core->connection, EMB_ERR_CORRUPT,
                        "topic %s: offset %llu was asked for, %llu is offered", core->options.topic,
                        (unsigned long long)core->options.value, (unsigned long long)next_offset);
        err = core->connection.error;
        fail(core, &err);
        return;
    }
    core->expected = core->options.start == START_OFFSET ? core->options.value : next_offset;
    if (!core->answered)
        core->first_offset = core->expected;
    core->answered = true;
    core->amid_batch = true;
    core->state = SUBSCRIBE_UP;
    core->up_since_ns = core->now_ns;
    if (!core->was_up)
        progress(core);
    core->was_up = true;
}

/* Whether another connection may mend it. */
static bool error_is_passing(int code)
{
    return code == EMB_ERR_UNAVAILABLE || code == EMB_ERR_CLOSED || code == EMB_ERR_TIMEOUT ||
           code == EMB_ERR_BUSY || code == EMB_ERR_BACKPRESSURE || code == EMB_ERR_STALE_EPOCH;
}

static void error_take(struct subscribe_core *core, const struct frame_header *header,
                       const void *body)
{
    struct error err = {0};

    if (header->correlation != 0 && header->correlation != correlation_of(core))
        return; /* the end of a subscription that was given up, or the answer to a ping */
    connection_error_get(&core->connection, header, body, &err);
    if (!error_is_passing(err.code)) {
        fail(core, &err);
        return;
    }
    connection_fail(&core->connection, err.code, "%s", err.text);
    core->connection.error = err;
}

/* ---- delivery -------------------------------------------------------------------------------- */

static bool offsets_are_dense(struct subscribe_core *core, const struct frame_header *header)
{
    uint64_t end = header->base_offset + header->message_count;

    if (header->message_count == 0 || end < header->base_offset)
        return false;
    if (core->amid_batch)
        return header->base_offset <= core->expected && core->expected < end;
    return header->base_offset == core->expected;
}

static void delivery_take(struct subscribe_core *core, const struct frame_header *header)
{
    struct incoming *incoming = core->receiving;

    if (core->state != SUBSCRIBE_UP || header->subscription != core->subscription) {
        receiving_drop(core);
        return;
    }
    if (!offsets_are_dense(core, header)) {
        connection_fail(&core->connection, EMB_ERR_CORRUPT,
                        "topic %s: offset %llu was expected, a batch of %u messages at offset "
                        "%llu was delivered",
                        core->options.topic, (unsigned long long)core->expected,
                        header->message_count, (unsigned long long)header->base_offset);
        fail(core, &core->connection.error);
        return;
    }
    core->receiving = NULL;
    *core->ready_end = incoming;
    core->ready_end = &incoming->next;
    core->amid_batch = false;
    if (core->deadline_ns != 0)
        progress(core);
    core->expected = header->base_offset + header->message_count;
    /* Where to go on after the loss of the connection. */
    core->options.start = START_OFFSET;
    core->options.value = core->expected;
    if (header->position != UINT64_MAX)
        core->options.after_position = max_u64(core->options.after_position, header->position);
}

static void frame_take(struct subscribe_core *core, const struct frame_header *header,
                       const void *body)
{
    if (header->type == FRAME_DELIVER)
        delivery_take(core, header);
    else if (header->type == FRAME_SUBSCRIBE_OK && core->state == SUBSCRIBE_ASKED &&
             header->correlation == correlation_of(core))
        subscribed(core, header, body);
    else if (header->type == FRAME_ERROR)
        error_take(core, header, body);
    else if (header->type != FRAME_SUBSCRIBE_OK && header->type != FRAME_HELLO_OK)
        connection_fail(&core->connection, EMB_ERR_PROTOCOL, "a %s frame to a subscriber",
                        frame_type_name(header->type));
}

static int receive_work(struct subscribe_core *core)
{
    struct frame_header header;
    void *body;
    int work = 0;

    while (core->connection.state == CONNECTION_UP &&
           connection_receive(&core->connection, &header, &body) > 0) {
        frame_take(core, &header, body);
        work++;
    }
    return work;
}

/* ---- silence --------------------------------------------------------------------------------- */

/* Whether the broker's silence tells of it: not when nothing is read, nor when this thread itself
   was away, and what came meanwhile may still be in the socket. */
static bool is_silence(const struct subscribe_core *core, bool was_late)
{
    const struct connection *c = &core->connection;
    return c->received_bytes == core->heard_bytes && !c->stalled && !was_late;
}

static int silence_work(struct subscribe_core *core, bool was_late)
{
    struct connection *c = &core->connection;

    if (core->state != SUBSCRIBE_UP || c->state != CONNECTION_UP)
        return 0;
    if (!is_silence(core, was_late)) {
        core->heard_bytes = c->received_bytes;
        core->heard_ns = core->now_ns;
        core->pinged_ns = 0;
    } else if (core->pinged_ns == 0 && core->now_ns - core->heard_ns >= PING_AFTER_NS) {
        core->pinged_ns = core->now_ns;
        connection_ping(c);
        return 1 + connection_work(c);
    } else if (core->pinged_ns != 0 && core->now_ns - core->pinged_ns >= CONNECTION_PATIENCE_NS) {
        core->passed_over = true;
        connection_fail(c, EMB_ERR_UNAVAILABLE,
                        "silent for %llu ms, also when pinged: it hangs, or its host is gone",
                        (unsigned long long)((core->now_ns - core->heard_ns) / 1000000u));
        return 1;
    }
    return 0;
}

static void give_up(struct subscribe_core *core)
{
    struct error why = {0};
    const char *reason = core->error.code != EMB_OK ? core->error.text : "no answer in time";

    error_set(&why, EMB_ERR_UNAVAILABLE, "topic %s: no broker delivers it within %llu ms; last: %s",
              core->options.topic, (unsigned long long)(core->options.timeout_ns / 1000000u),
              reason);
    fail(core, &why);
}

int subscribe_work(struct subscribe_core *core, uint64_t now_ns)
{
    bool was_late = now_ns - core->now_ns >= LATE_TURN_NS;
    int work = 0;

    core->now_ns = now_ns;
    if (core->state == SUBSCRIBE_FAILED)
        return 0;
    if (core->retry_at_ns != 0 && now_ns >= core->retry_at_ns) {
        connect_now(core);
        work++;
    }
    work += connection_work(&core->connection);
    if (core->connection.state < CONNECTION_UP && now_ns >= core->up_by_ns)
        connection_late(&core->connection);
    if (core->state == SUBSCRIBE_CONNECTING && core->connection.state == CONNECTION_UP) {
        subscribe_send(core);
        work += 1 + connection_work(&core->connection);
    }
    work += receive_work(core);
    if (core->no_memory)
        connection_fail(&core->connection, EMB_ERR_NO_MEMORY, "no memory for a batch");
    core->no_memory = false;
    work += silence_work(core, was_late);
    if (core->connection.state == CONNECTION_DOWN && core->retry_at_ns == 0 &&
        core->state != SUBSCRIBE_FAILED) {
        lost(core);
        work++;
    }
    if (core->state < SUBSCRIBE_UP && core->deadline_ns != 0 && now_ns >= core->deadline_ns)
        give_up(core);
    return work;
}
