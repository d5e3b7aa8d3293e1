#include "tests/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"

#define POOL_BYTES (1u << 20)
#define VALUE_MOST (1u << 20)
#define LOOK_MS    50u /* how often a waiting reader looks whether it shall stop */

/* ---- content --------------------------------------------------------------------------------- */

static const char *const header_values[] = {"one", "", "a longer value of a header"};

unsigned char *content_pool(void)
{
    struct random_state random;
    uint64_t *pool = malloc(POOL_BYTES + VALUE_MOST);
    random_seed(&random, 2);
    for (size_t i = 0; pool && i < (POOL_BYTES + VALUE_MOST) / sizeof *pool; i++)
        pool[i] = random_next(&random);
    return (unsigned char *)pool;
}

static void fill_value(const struct content *content, const unsigned char *pool, uint64_t hash,
                       struct emb_message *message)
{
    message->value = pool + (hash >> 32) % POOL_BYTES;
    message->value_bytes = content->least + (uint32_t)(hash % (content->most - content->least + 1));
    if (content->plain)
        return;
    if (hash % 61 == 0)
        message->value_bytes = 0; /* there, but empty */
    if (hash % 67 == 0) {
        message->value_bytes = 0;
        message->value = NULL;
    }
}

static void fill_headers(uint64_t hash, struct content_message *to)
{
    to->message.header_count = (uint32_t)(hash >> 16) % 3;
    to->message.headers = to->headers;
    for (uint32_t i = 0; i < to->message.header_count; i++) {
        const char *value = header_values[(hash >> (20 + i)) % COUNT_OF(header_values)];
        to->headers[i] = (struct emb_header){
            .key = i ? "second" : "first", .value = value, .value_bytes = (uint32_t)strlen(value)};
    }
}

void content_fill(const struct content *content, const unsigned char *pool, uint64_t publisher,
                  uint64_t index, struct content_message *to)
{
    uint64_t hash = hash_u64(index * 64 + publisher + 1);
    *to = (struct content_message){0};
    memcpy(to->key, &publisher, 8);
    memcpy(to->key + 8, &index, 8);
    to->message.key = to->key;
    to->message.key_bytes = FLOW_KEY_BYTES;
    to->message.timestamp_ms = FLOW_TIME_MS + index;
    fill_value(content, pool, hash, &to->message);
    if (!content->plain)
        fill_headers(hash, to);
}

static bool same_bytes(const void *a, const void *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count) == 0;
}

static const char *headers_differ(const struct emb_message *a, const struct emb_message *b)
{
    if (a->header_count != b->header_count)
        return "number of headers";
    for (uint32_t i = 0; i < a->header_count; i++) {
        if (strcmp(a->headers[i].key, b->headers[i].key) != 0)
            return "key of a header";
        if (a->headers[i].value_bytes != b->headers[i].value_bytes ||
            !same_bytes(a->headers[i].value, b->headers[i].value, a->headers[i].value_bytes))
            return "value of a header";
    }
    return NULL;
}

const char *content_differs(const struct content *content, const unsigned char *pool,
                            const struct emb_message *message, uint64_t *publisher, uint64_t *index)
{
    struct content_message wanted;
    if (message->key_bytes != FLOW_KEY_BYTES)
        return "size of the key";
    memcpy(publisher, message->key, 8);
    memcpy(index, (const char *)message->key + 8, 8);
    content_fill(content, pool, *publisher, *index, &wanted);
    if (message->value_bytes != wanted.message.value_bytes)
        return "size of the value";
    if (!message->value != !wanted.message.value)
        return "whether there is a value";
    if (!same_bytes(message->value, wanted.message.value, message->value_bytes))
        return "bytes of the value";
    if (message->timestamp_ms != wanted.message.timestamp_ms)
        return "timestamp";
    return headers_differ(message, &wanted.message);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void flow_fail(struct flow *flow, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void flow_fail(struct flow *flow, const char *format, ...)
{
    va_list arguments;
    if (flow->failure[0])
        return;
    va_start(arguments, format);
    vsnprintf(flow->failure, sizeof flow->failure, format, arguments);
    va_end(arguments);
}

static struct flow *flow_make(struct rig *rig, const char *topic, uint64_t count)
{
    struct flow *flow = calloc(1, sizeof *flow);
    assert_non_null(flow);
    assert_true(rig->flow_count < RIG_FLOWS_MAX);
    rig->flows[rig->flow_count++] = flow;
    flow->rig = rig;
    flow->joined = true;
    flow->count = count;
    flow->content = (struct content){.least = 0, .most = 2000};
    snprintf(flow->topic, sizeof flow->topic, "%s", topic);
    return flow;
}

static struct emb_client *flow_client(struct flow *flow)
{
    char brokers[512];
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err = {0};
    rig_brokers(flow->rig, flow->first_broker, brokers, sizeof brokers);
    emb_client_options_init(&options);
    options.brokers = brokers;
    options.timeout_ms = rig_patience_ms();
    if (emb_client_open(&options, &client, &err) == EMB_OK)
        return client;
    flow_fail(flow, "%s: no client: %s", flow->topic, err.text);
    return NULL;
}

void flow_join(struct flow *flow)
{
    if (!flow->joined) {
        pthread_join(flow->thread, NULL);
        flow->joined = true;
    }
    if (flow->failure[0])
        fail_msg("%s", flow->failure);
}

void flows_join(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->flow_count; i++)
        flow_join(rig->flows[i]);
}

void flows_free(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->flow_count; i++)
        flag_store_release(&rig->flows[i]->stop, 1);
    for (uint32_t i = 0; i < rig->flow_count; i++) {
        struct flow *flow = rig->flows[i];
        if (!flow->joined)
            pthread_join(flow->thread, NULL);
        free(flow->offsets);
        free(flow->codes);
        free(flow->places);
        free(flow);
    }
    rig->flow_count = 0;
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void on_message(void *arg, uint64_t cookie, uint64_t offset, int code)
{
    struct flow *flow = arg;
    if (cookie >= flow->count || flow->codes[cookie] != 1) {
        flow_fail(flow, "%s: publisher %u was told twice, or wrongly, of message %llu", flow->topic,
                  flow->publisher, (unsigned long long)cookie);
        return;
    }
    flow->codes[cookie] = code;
    flow->offsets[cookie] = offset;
    if (code == EMB_OK)
        flag_store_release(&flow->done, flag_load_relaxed(&flow->done) + 1);
}

struct flow *flow_publisher(struct rig *rig, const char *topic, uint32_t publisher, uint64_t count)
{
    struct flow *flow = flow_make(rig, topic, count);
    flow->publisher = publisher;
    flow->max_ahead = FLOW_AHEAD;
    flow->first_broker = publisher % rig->options.nodes;
    emb_publisher_options_init(&flow->publishing);
    flow->publishing.batch_bytes_max = 256 << 10;
    flow->publishing.on_message = on_message;
    flow->publishing.arg = flow;
    flow->offsets = malloc(count * sizeof *flow->offsets);
    flow->codes = malloc(count * sizeof *flow->codes);
    assert_true(flow->offsets && flow->codes);
    for (uint64_t i = 0; i < count; i++) {
        flow->offsets[i] = EMB_OFFSET_UNKNOWN;
        flow->codes[i] = 1;
    }
    return flow;
}

/* For conditions that other threads make true; false when patience ends. */
static bool wait_for(struct flow *flow, bool (*is_so)(struct flow *of), struct flow *of)
{
    struct env *env = flow->rig->env;
    struct env_poller *nap;
    if (env_poller_create(env, &nap))
        return false;
    uint64_t end_ns = env_now_ns(env) + rig_patience_ms() * 1000000ull;
    while (!is_so(of) && env_now_ns(env) < end_ns)
        env_poller_wait(nap, 1000000);
    env_poller_destroy(nap);
    return is_so(of);
}

static bool is_near(struct flow *flow)
{
    struct flow *of = flow->pacemaker ? flow->pacemaker : flow;
    uint64_t done = flow->pacemaker ? flag_load_acquire(&of->done) : flow->accepted;
    for (int i = 0; i < 2 && flow->paced_by[i]; i++) {
        struct flow *reader = flow->paced_by[i];
        if (!flag_load_acquire(&reader->has_ended) &&
            done > flag_load_acquire(&reader->read_of[of->publisher]) + flow->max_ahead)
            return false;
    }
    return true;
}

static void publish_all(struct flow *flow, struct emb_publisher *publisher,
                        const unsigned char *pool, struct emb_error *err)
{
    struct content_message next;
    while (flow->accepted < flow->count && !flag_load_relaxed(&flow->stop)) {
        if (!is_near(flow) && !wait_for(flow, is_near, flow)) {
            flow_fail(flow, "%s: publisher %u: its readers do not follow", flow->topic,
                      flow->publisher);
            return;
        }
        content_fill(&flow->content, pool, flow->publisher, flow->accepted, &next);
        if (emb_publish(publisher, &next.message, flow->accepted, rig_patience_ms(), err))
            return;
        flow->accepted++;
    }
    emb_publisher_flush(publisher, rig_patience_ms(), err);
}

static bool has_read_all(struct flow *reader)
{
    return flag_load_acquire(&reader->done) == reader->count ||
           flag_load_acquire(&reader->stop) != 0;
}

static void publish_with(struct flow *flow, struct emb_client *client, const unsigned char *pool)
{
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    if (emb_publisher_open(client, flow->topic, &flow->publishing, &publisher, &err)) {
        flow_fail(flow, "%s: publisher %u does not open: %s", flow->topic, flow->publisher,
                  err.text);
        return;
    }
    publish_all(flow, publisher, pool, &err);
    if (flow->until_read && !wait_for(flow, has_read_all, flow->until_read))
        flow_fail(flow, "%s: the reader of publisher %u read %llu of %llu", flow->topic,
                  flow->publisher, (unsigned long long)flag_load_acquire(&flow->until_read->done),
                  (unsigned long long)flow->until_read->count);
    emb_publisher_stats(publisher, &flow->stats);
    int code = emb_publisher_close(publisher, rig_patience_ms(), err.code ? NULL : &err);
    flow->ended = err;
    if ((code || err.code) && !flow->may_fail)
        flow_fail(flow, "%s: publisher %u: %s after %llu messages accepted, %llu acknowledged",
                  flow->topic, flow->publisher, err.text, (unsigned long long)flow->accepted,
                  (unsigned long long)flag_load_acquire(&flow->done));
    for (uint64_t i = 0; i < flow->accepted; i++)
        if (flow->codes[i] == 1)
            flow_fail(flow, "%s: publisher %u was never told of message %llu", flow->topic,
                      flow->publisher, (unsigned long long)i);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct flow *flow_reader(struct rig *rig, const char *topic, uint64_t count)
{
    struct flow *flow = flow_make(rig, topic, count);
    emb_subscriber_options_init(&flow->reading);
    flow->by_publisher = true;
    flow->places = calloc(count, sizeof *flow->places);
    assert_non_null(flow->places);
    return flow;
}

static bool take_message(struct flow *flow, const struct emb_message *message,
                         const unsigned char *pool)
{
    uint64_t publisher = 0, index = 0;
    uint64_t read = flag_load_relaxed(&flow->done);
    const char *what = content_differs(&flow->content, pool, message, &publisher, &index);
    if (read == 0)
        flow->first_offset = message->offset;
    if (!what && message->offset != flow->first_offset + read)
        what = "offset";
    if (!what && publisher >= FLOW_PUBLISHERS_MAX)
        what = "publisher";
    if (!what && flow->by_publisher && index != flow->next[publisher])
        what = "order of its publisher";
    if (what) {
        flow_fail(flow,
                  "%s: message %llu read (offset %llu, publisher %llu, index %llu, %llu expected) "
                  "differs in: %s",
                  flow->topic, (unsigned long long)read, (unsigned long long)message->offset,
                  (unsigned long long)publisher, (unsigned long long)index,
                  (unsigned long long)(publisher < FLOW_PUBLISHERS_MAX ? flow->next[publisher] : 0),
                  what);
        return false;
    }
    flow->places[read] = (struct flow_place){(uint32_t)publisher, (uint32_t)index};
    flow->next[publisher] = index + 1;
    flag_store_release(&flow->read_of[publisher], flag_load_relaxed(&flow->read_of[publisher]) + 1);
    flow->bytes += message->value_bytes;
    flag_store_release(&flow->done, read + 1);
    return true;
}

static bool has_read_enough(struct flow *flow)
{
    uint64_t read = flag_load_relaxed(&flow->done);
    uint64_t stop = flag_load_acquire(&flow->stop);
    return read >= flow->count || (stop && read >= stop - 1);
}

static void read_with(struct flow *flow, struct emb_client *client, const unsigned char *pool)
{
    struct emb_subscriber *subscriber;
    struct emb_message message;
    struct emb_error err = {0};
    flow->reading.broker = (int)flow->first_broker;
    if (emb_subscriber_open(client, flow->topic, &flow->reading, &subscriber, &err)) {
        flow_fail(flow, "%s: a reader does not open: %s", flow->topic, err.text);
        return;
    }
    uint64_t end_ns = 0; /* of patience, since the last message */
    while (!has_read_enough(flow)) {
        int got = emb_subscriber_next(subscriber, &message, LOOK_MS, &err);
        if (got == 1) {
            end_ns = 0;
            if (!take_message(flow, &message, pool))
                break;
            continue;
        }
        uint64_t now_ns = env_now_ns(flow->rig->env);
        end_ns = end_ns ? end_ns : now_ns + rig_patience_ms() * 1000000ull;
        if (got == 0 && now_ns < end_ns)
            continue;
        flow_fail(flow, "%s: a reader at broker %u, after %llu of %llu messages: %s", flow->topic,
                  flow->first_broker, (unsigned long long)flag_load_relaxed(&flow->done),
                  (unsigned long long)flow->count, got == 0 ? "nothing came" : err.text);
        break;
    }
    emb_subscriber_close(subscriber);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *flow_run(void *arg)
{
    struct flow *flow = arg;
    unsigned char *pool = content_pool();
    struct emb_client *client = pool ? flow_client(flow) : NULL;
    if (client && flow->codes)
        publish_with(flow, client, pool);
    else if (client)
        read_with(flow, client, pool);
    if (client && emb_client_close(client, NULL))
        flow_fail(flow, "%s: a client does not close", flow->topic);
    free(pool);
    flag_store_release(&flow->has_ended, 1);
    return NULL;
}

void flow_start(struct flow *flow)
{
    flow->joined = false;
    flag_store_release(&flow->has_ended, 0);
    assert_int_equal(pthread_create(&flow->thread, NULL, flow_run, flow), 0);
}

/* ---- comparing ------------------------------------------------------------------------------- */

void flow_assert_offsets(struct flow *publisher, struct flow *reader)
{
    uint64_t read = flag_load_acquire(&reader->done);
    for (uint64_t i = 0; i < publisher->accepted; i++) {
        uint64_t at = publisher->offsets[i] - reader->first_offset;
        if (publisher->codes[i] != EMB_OK)
            continue;
        if (at >= read || reader->places[at].publisher != publisher->publisher ||
            reader->places[at].index != i)
            fail_msg("%s: publisher %u was told offset %llu for message %llu; another is there",
                     publisher->topic, publisher->publisher,
                     (unsigned long long)publisher->offsets[i], (unsigned long long)i);
    }
}

void flow_assert_same(struct flow *a, struct flow *b)
{
    uint64_t read = flag_load_acquire(&a->done);
    assert_int_equal(read, flag_load_acquire(&b->done));
    assert_int_equal(a->first_offset, b->first_offset);
    assert_memory_equal(a->places, b->places, read * sizeof *a->places);
}

void flow_assert_complete(struct flow *reader, uint32_t publishers, uint64_t count)
{
    unsigned char *seen = calloc(publishers, count);
    assert_non_null(seen);
    assert_int_equal(flag_load_acquire(&reader->done), publishers * count);
    for (uint64_t i = 0; i < publishers * count; i++) {
        struct flow_place place = reader->places[i];
        bool once = place.publisher < publishers && place.index < count &&
                    !seen[place.publisher * count + place.index]++;
        if (!once) {
            free(seen);
            fail_msg("%s: message %u of publisher %u was read twice, or never published",
                     reader->topic, place.index, place.publisher);
        }
    }
    free(seen);
}
