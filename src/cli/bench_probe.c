/*
 * How it works: an open load sends at times fixed beforehand, message by message, and a latency
 * runs from the time at which its message was to be sent: what waits because something before it
 * was slow counts as slow, too (no coordinated omission). The sender sleeps between messages, for a
 * spinning one would take a CPU from the rack; how late it woke is part of the latency, and counted
 * beside it. A closed load sends a message when the one before it is acknowledged.
 */
#include "cli/bench_probe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/bits.h"
#include "cli/progress.h"

#define SECOND_NS    1000000000ULL
#define LOOK_MS      100
#define WAIT_MS      60000
#define CLOSE_MS     10000
#define SEND_AT_ONCE 64 /* messages between two looks at the clock */
#define SLACK_NS     1  /* of the sender's timer; the system's default is 50 us */

/* ---- outcomes -------------------------------------------------------------------------------- */

static uint64_t due_ns(const struct probe *probe, uint64_t n)
{
    return probe->begin_ns + (uint64_t)((double)n * probe->gap_ns);
}

static void failure_take(struct probe *probe, const struct emb_result *result)
{
    if (probe->failed_messages == 0) {
        probe->failure.code = result->code;
        snprintf(probe->failure.text, sizeof probe->failure.text, "%s",
                 result->text ? result->text : emb_error_text(result->code));
    }
    probe->failed_messages += result->count;
}

/* In the library's thread. With the closed load gap_ns is 0 and its caller measures. */
static void result_take(void *arg, const struct emb_result *result)
{
    struct probe *probe = arg;
    if (result->code != EMB_OK) {
        failure_take(probe, result);
        return;
    }
    uint64_t now_ns = progress_now_ns();
    for (uint32_t i = 0; probe->gap_ns > 0 && i < result->count; i++) {
        uint64_t n = result->first_number + i - probe->first_number;
        if (n >= probe->warm)
            bench_histogram_add(&probe->round, now_ns - due_ns(probe, n));
    }
}

/* Waits until nothing is under way. */
static int probe_settle(struct probe *probe)
{
    struct emb_error err = {0};
    if (emb_publisher_flush(probe->publisher, WAIT_MS, &err) != EMB_OK)
        return cli_refused(probe->failed_messages ? &probe->failure : &err);
    return CLI_DONE;
}

/* While nothing is under way. */
static void probe_prepare(struct probe *probe, double gap_ns, uint64_t warm)
{
    struct emb_publisher_stats stats;
    emb_publisher_stats(probe->publisher, &stats);
    bench_histogram_clear(&probe->round);
    probe->first_number = stats.accepted_messages;
    probe->gap_ns = gap_ns;
    probe->warm = warm;
    probe->begin_ns = progress_now_ns();
}

/* ---- the open load --------------------------------------------------------------------------- */

static void sleep_until(uint64_t end_ns)
{
    struct timespec end = {.tv_sec = (time_t)(end_ns / SECOND_NS),
                           .tv_nsec = (long)(end_ns % SECOND_NS)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
}

/* Sends what is due, at most SEND_AT_ONCE; messages sent, or a result of the library. */
static int64_t send_due(struct probe_load *load, uint64_t n, uint64_t total, bool keep,
                        struct emb_error *err)
{
    struct probe *probe = load->probe;
    struct emb_message message = {.value = probe->value,
                                  .value_bytes = (uint32_t)probe->message_bytes};
    uint64_t now_ns = progress_now_ns(), sent = 0;
    while (sent < SEND_AT_ONCE && n + sent < total && due_ns(probe, n + sent) <= now_ns) {
        int rc = emb_publish(probe->publisher, &message, 0, LOOK_MS, err);
        if (rc == EMB_ERR_TIMEOUT)
            break;
        if (rc != EMB_OK)
            return rc;
        if (keep && n + sent >= probe->warm)
            bench_histogram_add(&load->late, now_ns - due_ns(probe, n + sent));
        sent++;
    }
    return (int64_t)sent;
}

/* Sends `total` messages, each when it is due or, in back-pressure, as soon as it is taken. At
   twice the round's time it gives up: the rack does not bear this load. */
static int send_all(struct probe_load *load, uint64_t total, bool keep, uint64_t *sent)
{
    struct probe *probe = load->probe;
    uint64_t end_ns = probe->begin_ns + 2 * probe->run->common->round_ns;
    struct emb_error err = {0};
    *sent = 0;
    while (*sent < total && !interrupt_asked(&probe->run->interrupt)) {
        int64_t got = send_due(load, *sent, total, keep, &err);
        if (got < 0)
            return cli_refused(&err);
        *sent += (uint64_t)got;
        if (progress_now_ns() > end_ns)
            break;
        if (got == 0 && *sent < total)
            sleep_until(due_ns(probe, *sent));
    }
    return CLI_DONE;
}

int probe_open_round(void *arg, bool keep, double *p50_ns)
{
    struct probe_load *load = arg;
    struct probe *probe = load->probe;
    double rate = probe->peak * (double)load->percent / 100 / (double)probe->message_bytes;
    uint64_t total = (uint64_t)(rate * (double)probe->run->common->round_ns / (double)SECOND_NS),
             sent;

    if (total == 0)
        return cli_fail("bench latency: %d percent of the peak are less than one message in "
                        "--round-time; choose a longer one",
                        (int)load->percent);
    prctl(PR_SET_TIMERSLACK, SLACK_NS);
    probe_prepare(probe, (double)SECOND_NS / rate, total / BENCH_WARM_DIVISOR);
    int result = send_all(load, total, keep, &sent);
    prctl(PR_SET_TIMERSLACK, 0); /* the default again: threads inherit it */
    int settled = probe_settle(probe);
    if (result != CLI_DONE || settled != CLI_DONE)
        return CLI_FAILED;
    *p50_ns = (double)bench_histogram_at(&probe->round, 500);
    if (keep) {
        double share = (double)sent / (double)total;
        load->sent_share = share < load->sent_share ? share : load->sent_share;
        bench_histogram_merge(&load->latency, &probe->round);
    }
    return CLI_DONE;
}

/* ---- the closed load ------------------------------------------------------------------------- */

int probe_closed_round(void *arg, bool keep, double *p50_ns)
{
    struct probe_load *load = arg;
    struct probe *probe = load->probe;
    struct emb_message message = {.value = probe->value,
                                  .value_bytes = (uint32_t)probe->message_bytes};
    struct emb_error err = {0};

    probe_prepare(probe, 0, 0);
    uint64_t now_ns = probe->begin_ns;
    uint64_t warm_ns = probe->begin_ns + probe->run->common->round_ns / BENCH_WARM_DIVISOR;
    while (now_ns - probe->begin_ns < probe->run->common->round_ns &&
           !interrupt_asked(&probe->run->interrupt)) {
        uint64_t sent_ns = now_ns;
        if (emb_publish_wait(probe->publisher, &message, WAIT_MS, NULL, &err) != EMB_OK)
            return cli_refused(&err);
        now_ns = progress_now_ns();
        if (sent_ns >= warm_ns)
            bench_histogram_add(&probe->round, now_ns - sent_ns);
    }
    *p50_ns = (double)bench_histogram_at(&probe->round, 500);
    if (keep)
        bench_histogram_merge(&load->latency, &probe->round);
    return CLI_DONE;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int probe_topic(struct probe *probe)
{
    struct emb_topic_settings settings;
    emb_topic_settings_init(&settings);
    settings.order = probe->order;
    settings.replicas = probe->replicas;
    return bench_topic(probe->run, &settings, &probe->peak_load.topic);
}

static int probe_publisher(struct probe *probe)
{
    struct emb_publisher_options options;
    struct emb_error err = {0};
    int result;

    probe->client = cli_connect(probe->run->cli, &result);
    if (!probe->client)
        return result;
    bench_publisher_options(&options, probe->acks, probe->batch_bytes);
    options.linger_us = probe->linger_us;
    options.on_result = result_take;
    options.arg = probe;
    if (emb_publisher_open(probe->client, probe->peak_load.topic, &options, &probe->publisher,
                           &err) != EMB_OK)
        return cli_refused(&err);
    return CLI_DONE;
}

int probe_open(struct probe *probe)
{
    probe->value = bench_payload(probe->message_bytes, 1);
    probe->peak_load = (struct bench_load){.run = probe->run,
                                           .acks = probe->acks,
                                           .message_bytes = probe->message_bytes,
                                           .batch_bytes = probe->batch_bytes,
                                           .publishers = 1};
    if (!probe->value)
        return cli_fail("bench: out of memory");
    int result = probe_topic(probe);
    if (result == CLI_DONE)
        result = probe_publisher(probe);
    return result == CLI_DONE ? bench_load_open(&probe->peak_load) : result;
}

int probe_close(struct probe *probe, int result)
{
    struct emb_error err = {0};
    result = bench_load_close(&probe->peak_load, result);
    if (probe->publisher && emb_publisher_close(probe->publisher, CLOSE_MS, &err) != EMB_OK &&
        result == CLI_DONE)
        result = cli_refused(&err);
    if (probe->client)
        result = cli_disconnect(probe->client, result);
    free(probe->value);
    return result;
}
