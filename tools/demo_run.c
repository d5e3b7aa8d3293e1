/*
 * How it works. Each publisher and each subscriber has a client, a thread and connections of its
 * own. Publishers accept lines as fast as back-pressure lets them; what was acknowledged is noted
 * per message by the callback. Beside them one thread walks a chain through four more publishers:
 * marker i is published when marker i - 1 has been acknowledged to its publisher, so real time
 * orders all of them, under load and after it. Subscribers check each message as they get it.
 * What needs both of them, or the acknowledgements, is compared when all threads have ended.
 */
#include "tools/demo_run.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/flag.h"
#include "embarcadero/embarcadero.h"
#include "tools/demo_check.h"
#include "tools/demo_report.h"

#define SUBSCRIBERS       2
#define STALL_MS          20000u /* without any progress: the rack stands still */
#define TICK_MS           100u
#define MARKERS_MIN       200u
#define MARKERS_ALONE     50u /* at least so many after the load */
#define MARKERS_MAX       100000u
#define DELIVERED_BUFFER  (1u << 20)
#define SECOND_SUBSCRIBER 2 /* the broker it reads from */

struct run;

struct publishing {
    struct run *run;
    unsigned k;
    pthread_t thread;
    uint64_t *acked; /* offsets, by message number */
    uint64_t lines;  /* that are its */
    struct samples latencies;
    struct emb_publisher_stats stats;
    uint64_t end_ns;
};

struct marking {
    struct run *run;
    pthread_t thread;
    struct emb_client *clients[PUBLISHERS];
    struct emb_publisher *publishers[PUBLISHERS];
    uint64_t *acked;
    uint64_t count;
    uint64_t under_load;
    struct samples latencies;
};

struct reading {
    struct run *run;
    unsigned index;
    pthread_t thread;
    struct reader_check check;
    FILE *delivered; /* NULL: not its task */
    char broker[EMB_HOST_BYTES + 16];
    uint64_t begin_ns;
    uint64_t end_ns; /* when the last line came */
};

struct run {
    const struct run_options *options;
    struct source source;
    struct publishing publishing[PUBLISHERS];
    struct marking marking;
    struct reading reading[SUBSCRIBERS];
    uint64_t begin_ns;
    pthread_barrier_t begin;
    struct flag publishers_left;
    struct flag expected; /* messages in all, once that is known; 0 before */
    struct flag stop;     /* one thread has failed */
    pthread_mutex_t lock; /* of why and publishers_left's decrement */
    char why[WHY_BYTES];
};

__attribute__((format(printf, 2, 3))) static void fail(struct run *run, const char *format, ...)
{
    pthread_mutex_lock(&run->lock);
    if (!run->why[0]) {
        va_list args;
        va_start(args, format);
        vsnprintf(run->why, sizeof run->why, format, args);
        va_end(args);
    }
    pthread_mutex_unlock(&run->lock);
    flag_store_release(&run->stop, 1);
}

static bool stopped(struct run *run)
{
    return flag_load_acquire(&run->stop) != 0;
}

static uint64_t now_ns(const struct run *run)
{
    return env_now_ns(run->options->env);
}

static struct emb_client *open_client(struct run *run, const char *role, unsigned k)
{
    char name[32];
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err;
    snprintf(name, sizeof name, "demo %s %u", role, k);
    emb_client_options_init(&options);
    options.brokers = run->options->brokers;
    options.name = name;
    if (emb_client_open(&options, &client, &err) == EMB_OK)
        return client;
    fail(run, "%s %u cannot connect: %s", role, k, err.text);
    return NULL;
}

/* ---- publishers ------------------------------------------------------------------------------ */

static void note_result(void *arg, const struct emb_result *result)
{
    struct publishing *p = arg;
    if (result->code != EMB_OK || result->first_number + result->count > p->lines) {
        fail(p->run, "publisher %u: %u messages from number %llu on failed: %s", p->k,
             result->count, (unsigned long long)result->first_number,
             result->text ? result->text : emb_error_text(result->code));
        return;
    }
    for (uint32_t i = 0; i < result->count; i++)
        p->acked[result->first_number + i] = result->base_offset == EMB_OFFSET_UNKNOWN
                                                 ? EMB_OFFSET_UNKNOWN
                                                 : result->base_offset + i;
    if (!samples_add(&p->latencies, result->latency_ns, result->count))
        fail(p->run, "no memory left to note latencies");
}

static void publish_lines(struct publishing *p, struct emb_publisher *publisher)
{
    struct run *run = p->run;
    struct emb_error err;
    char key[KEY_TEXT_BYTES];
    for (uint64_t line = p->k; line < run->source.lines && !stopped(run); line += PUBLISHERS) {
        struct bytes value = source_line(&run->source, line);
        struct emb_message message = {.key = key,
                                      .key_bytes = key_text(line, key),
                                      .value = value.at,
                                      .value_bytes = (uint32_t)value.count};
        if (emb_publish(publisher, &message, line, STALL_MS, &err)) {
            fail(run, "publisher %u, key %s: %s", p->k, key, err.text);
            return;
        }
    }
    if (!stopped(run) && emb_publisher_flush(publisher, STALL_MS, &err))
        fail(run, "publisher %u: %s", p->k, err.text);
}

static void publisher_left(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    flag_store_release(&run->publishers_left, flag_load_acquire(&run->publishers_left) - 1);
    pthread_mutex_unlock(&run->lock);
}

static struct emb_publisher *open_publisher(struct run *run, struct emb_client *client,
                                            const struct emb_publisher_options *options,
                                            const char *role, unsigned k)
{
    struct emb_publisher *publisher = NULL;
    struct emb_error err;
    if (client && emb_publisher_open(client, run->options->topic, options, &publisher, &err)) {
        fail(run, "%s %u: %s", role, k, err.text);
        return NULL;
    }
    return publisher;
}

static void *publisher_main(void *arg)
{
    struct publishing *p = arg;
    struct run *run = p->run;
    struct emb_publisher_options options;
    emb_publisher_options_init(&options);
    options.on_result = note_result;
    options.arg = p;
    struct emb_client *client = open_client(run, "publisher", p->k);
    struct emb_publisher *publisher = open_publisher(run, client, &options, "publisher", p->k);
    pthread_barrier_wait(&run->begin);
    if (publisher) {
        publish_lines(p, publisher);
        p->end_ns = now_ns(run);
        emb_publisher_stats(publisher, &p->stats);
        emb_publisher_close(publisher, TICK_MS, NULL);
    }
    publisher_left(run);
    emb_client_close(client, NULL);
    return NULL;
}

/* ---- markers --------------------------------------------------------------------------------- */

static void open_markers(struct marking *m)
{
    struct emb_publisher_options options;
    emb_publisher_options_init(&options);
    options.linger_us = 0;
    for (unsigned k = 0; k < PUBLISHERS; k++) {
        m->clients[k] = open_client(m->run, "marker publisher", k);
        m->publishers[k] = open_publisher(m->run, m->clients[k], &options, "marker publisher", k);
    }
}

static void close_markers(struct marking *m)
{
    for (unsigned k = 0; k < PUBLISHERS; k++) {
        emb_publisher_close(m->publishers[k], TICK_MS, NULL);
        emb_client_close(m->clients[k], NULL);
    }
}

static bool mark_once(struct marking *m)
{
    struct run *run = m->run;
    char key[KEY_TEXT_BYTES], value[KEY_TEXT_BYTES];
    struct emb_message message = {.key = key, .value = value};
    struct emb_error err;
    message.key_bytes = key_text(ID_MARKER | m->count, key);
    message.value_bytes = marker_text(m->count, value);
    uint64_t begin_ns = now_ns(run);
    if (emb_publish_wait(m->publishers[m->count % PUBLISHERS], &message, STALL_MS,
                         &m->acked[m->count], &err)) {
        fail(run, "marker %s: %s", key, err.text);
        return false;
    }
    if (!samples_add(&m->latencies, now_ns(run) - begin_ns, 1))
        fail(run, "no memory left to note latencies");
    m->count++;
    return true;
}

static void *marker_main(void *arg)
{
    struct marking *m = arg;
    struct run *run = m->run;
    open_markers(m);
    pthread_barrier_wait(&run->begin);
    while (!stopped(run) && m->count < MARKERS_MAX) {
        bool load = flag_load_acquire(&run->publishers_left) > 0;
        if (!load && m->count >= MARKERS_MIN && m->count >= m->under_load + MARKERS_ALONE)
            break;
        if (!mark_once(m))
            break;
        m->under_load += load;
    }
    flag_store_release(&run->expected, run->source.lines + m->count);
    close_markers(m);
    return NULL;
}

/* ---- subscribers ----------------------------------------------------------------------------- */

static struct emb_subscriber *open_subscriber(struct reading *r, struct emb_client *client)
{
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber;
    struct emb_broker brokers[32];
    struct emb_error err;
    if (!client)
        return NULL;
    size_t count = emb_client_brokers(client, brokers, 32);
    size_t broker = (size_t)r->index * SECOND_SUBSCRIBER % count;
    snprintf(r->broker, sizeof r->broker, "%s:%u", brokers[broker].host, brokers[broker].port);
    emb_subscriber_options_init(&options);
    options.broker = (int)broker;
    if (emb_subscriber_open(client, r->run->options->topic, &options, &subscriber, &err) == EMB_OK)
        return subscriber;
    fail(r->run, "subscriber %u: %s", r->index + 1, err.text);
    return NULL;
}

static bool take_message(struct reading *r, const struct emb_message *message)
{
    struct checked_message checked = {
        .offset = message->offset,
        .key = {message->key, message->key_bytes},
        .value = {message->value, message->value_bytes},
    };
    if (!reader_check_message(&r->check, &checked)) {
        fail(r->run, "%s", r->check.why);
        return false;
    }
    if (r->delivered && !delivered_write(r->delivered, checked.key, checked.value)) {
        fail(r->run, "%s cannot be written", r->run->options->delivered);
        return false;
    }
    if (r->check.lines == r->run->source.lines && !r->end_ns)
        r->end_ns = now_ns(r->run);
    return true;
}

/* Everything has come, and then nothing more for a while; or nothing comes although it should. */
static bool quiet_is_the_end(struct reading *r, unsigned *quiet_ms)
{
    struct run *run = r->run;
    uint64_t expected = flag_load_acquire(&run->expected);
    *quiet_ms += TICK_MS;
    if (expected && r->check.count >= expected)
        return *quiet_ms >= 2 * TICK_MS;
    if (*quiet_ms >= STALL_MS)
        fail(run, "subscriber %u: nothing came for %u s, after offset %llu of %llu", r->index + 1,
             *quiet_ms / 1000, (unsigned long long)r->check.count, (unsigned long long)expected);
    return false;
}

static void read_all(struct reading *r, struct emb_subscriber *subscriber)
{
    struct emb_message message;
    struct emb_error err;
    unsigned quiet_ms = 0;
    while (!stopped(r->run)) {
        int got = emb_subscriber_next(subscriber, &message, TICK_MS, &err);
        if (got < 0) {
            fail(r->run, "subscriber %u: %s", r->index + 1, err.text);
            return;
        }
        if (got == 0 && quiet_is_the_end(r, &quiet_ms))
            break;
        if (got == 1) {
            quiet_ms = 0;
            if (!take_message(r, &message))
                return;
        }
    }
    uint64_t expected = flag_load_acquire(&r->run->expected);
    if (!stopped(r->run) && !reader_check_end(&r->check, expected - r->run->source.lines))
        fail(r->run, "%s", r->check.why);
}

static void *subscriber_main(void *arg)
{
    struct reading *r = arg;
    struct emb_client *client = open_client(r->run, "subscriber", r->index + 1);
    struct emb_subscriber *subscriber = open_subscriber(r, client);
    pthread_barrier_wait(&r->run->begin);
    r->begin_ns = now_ns(r->run);
    if (subscriber)
        read_all(r, subscriber);
    emb_subscriber_close(subscriber);
    emb_client_close(client, NULL);
    return NULL;
}

/* ---- all together ---------------------------------------------------------------------------- */

static bool make_topic(struct run *run)
{
    struct emb_topic_settings settings;
    struct emb_error err;
    struct emb_client *client = open_client(run, "setup", 0);
    if (!client)
        return false;
    struct emb_rack rack;
    emb_client_rack(client, &rack);
    if (run->source.longest + KEY_TEXT_BYTES > rack.max_message_bytes)
        fail(run, "the longest line has %llu bytes; messages of %u are accepted",
             (unsigned long long)run->source.longest, rack.max_message_bytes);
    emb_topic_settings_init(&settings);
    settings.order = EMB_ORDER_CLIENT;
    settings.replicas = run->options->replicas;
    if (!stopped(run) &&
        emb_topic_create(client, run->options->topic, &settings, NULL, &err) != EMB_OK)
        fail(run, "topic %s: %s", run->options->topic, err.text);
    emb_client_close(client, NULL);
    return !stopped(run);
}

static bool prepare(struct run *run)
{
    bool good = true;
    for (unsigned k = 0; k < PUBLISHERS; k++) {
        struct publishing *p = &run->publishing[k];
        uint64_t lines = run->source.lines;
        *p = (struct publishing){.run = run, .k = k};
        p->lines = lines > k ? (lines - k - 1) / PUBLISHERS + 1 : 0;
        p->acked = malloc((p->lines + 1) * sizeof *p->acked);
        if (p->acked)
            memset(p->acked, 0xff, (p->lines + 1) * sizeof *p->acked);
        good = good && p->acked;
    }
    run->marking = (struct marking){.run = run};
    run->marking.acked = calloc(MARKERS_MAX, sizeof *run->marking.acked);
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        run->reading[i] = (struct reading){.run = run, .index = i};
        reader_check_init(&run->reading[i].check, &run->source, i + 1);
    }
    run->reading[0].delivered = fopen(run->options->delivered, "wb");
    if (!run->reading[0].delivered)
        fail(run, "%s cannot be written", run->options->delivered);
    else
        setvbuf(run->reading[0].delivered, NULL, _IOFBF, DELIVERED_BUFFER);
    if (!good || !run->marking.acked)
        fail(run, "no memory for %llu lines", (unsigned long long)run->source.lines);
    return !stopped(run);
}

static void run_threads(struct run *run)
{
    int failed = 0;
    pthread_barrier_init(&run->begin, NULL, PUBLISHERS + SUBSCRIBERS + 2);
    flag_init(&run->publishers_left, PUBLISHERS);
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        failed |= pthread_create(&run->reading[i].thread, NULL, subscriber_main, &run->reading[i]);
    failed |= pthread_create(&run->marking.thread, NULL, marker_main, &run->marking);
    for (unsigned k = 0; k < PUBLISHERS; k++)
        failed |=
            pthread_create(&run->publishing[k].thread, NULL, publisher_main, &run->publishing[k]);
    if (failed) { /* those that started wait for each other: only the process' end frees them */
        fprintf(stderr, "demo: no more threads can be started\n");
        exit(EXIT_FAILURE);
    }
    pthread_barrier_wait(&run->begin);
    run->begin_ns = now_ns(run);
    for (unsigned k = 0; k < PUBLISHERS; k++)
        pthread_join(run->publishing[k].thread, NULL);
    pthread_join(run->marking.thread, NULL);
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        pthread_join(run->reading[i].thread, NULL);
    pthread_barrier_destroy(&run->begin);
}

/* What no thread could see alone. */
static void compare_all(struct run *run)
{
    char why[WHY_BYTES];
    const struct reader_check *check = &run->reading[0].check;
    if (!stopped(run) && !readers_agree(check, &run->reading[1].check, why))
        fail(run, "%s", why);
    for (unsigned k = 0; k < PUBLISHERS && !stopped(run); k++)
        if (!acks_agree(check, run->publishing[k].acked, run->publishing[k].lines, k, PUBLISHERS,
                        why))
            fail(run, "%s", why);
    if (!stopped(run) &&
        !acks_agree(check, run->marking.acked, run->marking.count, ID_MARKER, 1, why))
        fail(run, "%s", why);
}

static void report_run(struct run *run)
{
    struct report report = {.lines = run->source.lines,
                            .bytes = run->source.value_bytes,
                            .markers = run->marking.count,
                            .markers_under_load = run->marking.under_load,
                            .marker_latencies = &run->marking.latencies,
                            .publishers = PUBLISHERS};
    for (unsigned k = 0; k < PUBLISHERS; k++) {
        const struct publishing *p = &run->publishing[k];
        if (p->end_ns - run->begin_ns > report.published_ns)
            report.published_ns = p->end_ns - run->begin_ns;
        report.batches += p->stats.batches;
        report.retries += p->stats.retries;
        report.backpressure += p->stats.backpressure;
        report.duplicates += p->stats.duplicates;
        samples_merge(&report.latencies, &p->latencies);
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        const struct reading *r = &run->reading[i];
        report.subscribers[i] = (struct report_subscriber){
            .broker = r->broker, .messages = r->check.count, .ns = r->end_ns - r->begin_ns};
    }
    report_print(&report);
    samples_free(&report.latencies);
}

static void release(struct run *run)
{
    for (unsigned k = 0; k < PUBLISHERS; k++) {
        free(run->publishing[k].acked);
        samples_free(&run->publishing[k].latencies);
    }
    free(run->marking.acked);
    samples_free(&run->marking.latencies);
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        reader_check_free(&run->reading[i].check);
    source_close(&run->source);
    pthread_mutex_destroy(&run->lock);
}

int run_demo(const struct run_options *options)
{
    struct error err;
    struct run run = {.options = options};
    if (source_open(&run.source, options->source, &err)) {
        fprintf(stderr, "demo: %s\n", err.text);
        return 1;
    }
    pthread_mutex_init(&run.lock, NULL);
    if (prepare(&run) && make_topic(&run)) {
        run_threads(&run);
        compare_all(&run);
    }
    if (run.reading[0].delivered && fclose(run.reading[0].delivered) != 0)
        fail(&run, "%s cannot be written", options->delivered);
    if (stopped(&run))
        fprintf(stderr, "demo: %s\n", run.why);
    else
        report_run(&run);
    int status = stopped(&run);
    release(&run);
    return status;
}
