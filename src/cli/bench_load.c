#include "cli/bench_load.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/progress.h"

#define LOOK_MS  100
#define FLUSH_MS 60000
#define CLOSE_MS 10000

struct loader {
    struct bench_load *load;
    struct emb_client *client; /* its own, or NULL */
    struct emb_publisher *publisher;
    pthread_t thread;
    unsigned char *value;
    int failed; /* of emb_publish; read when joined */
    struct emb_error err;
};

/* ---- one publisher --------------------------------------------------------------------------- */

void bench_publisher_options(struct emb_publisher_options *options, int acks, uint64_t batch_bytes)
{
    emb_publisher_options_init(options);
    options->acks = acks;
    options->batch_bytes_max = (uint32_t)batch_bytes;
    options->batch_bytes_min = (uint32_t)min_u64(options->batch_bytes_min, batch_bytes);
}

static void *loader_run(void *arg)
{
    struct loader *l = arg;
    struct emb_message message = {.value = l->value,
                                  .value_bytes = (uint32_t)l->load->message_bytes};
    while (!flag_load_acquire(&l->load->stop)) {
        int rc = emb_publish(l->publisher, &message, 0, LOOK_MS, &l->err);
        if (rc != EMB_OK && rc != EMB_ERR_TIMEOUT) {
            l->failed = rc;
            break;
        }
    }
    return NULL;
}

static int loader_open(struct loader *l, struct bench_load *load, uint64_t seed)
{
    struct emb_publisher_options options;
    struct emb_error err = {0};
    int result;

    *l = (struct loader){.load = load, .value = bench_payload(load->message_bytes, seed)};
    if (!l->value)
        return cli_fail("bench: out of memory");
    if (!load->shared_client && !(l->client = cli_connect(load->run->cli, &result)))
        return result;
    bench_publisher_options(&options, load->acks, load->batch_bytes);
    if (emb_publisher_open(l->client ? l->client : load->run->client, load->topic, &options,
                           &l->publisher, &err) != EMB_OK)
        return cli_refused(&err);
    return CLI_DONE;
}

static int loader_close(struct loader *l, int result)
{
    struct emb_error err = {0};
    if (l->publisher && emb_publisher_close(l->publisher, CLOSE_MS, &err) != EMB_OK &&
        result == CLI_DONE)
        result = cli_refused(&err);
    if (l->client)
        result = cli_disconnect(l->client, result);
    free(l->value);
    return result;
}

/* ---- all of them ----------------------------------------------------------------------------- */

int bench_load_open(struct bench_load *load)
{
    int result = CLI_DONE;
    flag_init(&load->stop, 0);
    load->count = 0;
    load->loaders = calloc(load->publishers, sizeof *load->loaders);
    if (!load->loaders)
        return cli_fail("bench: out of memory");
    while (result == CLI_DONE && load->count < load->publishers) {
        result = loader_open(&load->loaders[load->count], load, load->count + 1);
        load->count++;
    }
    return result;
}

int bench_load_close(struct bench_load *load, int result)
{
    for (uint32_t i = 0; i < load->count; i++)
        result = loader_close(&load->loaders[i], result);
    free(load->loaders);
    load->loaders = NULL;
    load->count = 0;
    return result;
}

static uint64_t acked_bytes(const struct bench_load *load)
{
    struct emb_publisher_stats stats;
    uint64_t messages = 0;
    for (uint32_t i = 0; i < load->count; i++) {
        emb_publisher_stats(load->loaders[i].publisher, &stats);
        messages += stats.acked_messages;
    }
    return messages * load->message_bytes;
}

/* Ends the threads and waits until nothing is under way. */
static int loaders_stop(struct bench_load *load, uint32_t started)
{
    int result = CLI_DONE;
    flag_store_release(&load->stop, 1);
    for (uint32_t i = 0; i < started; i++) {
        struct loader *l = &load->loaders[i];
        struct emb_error err = {0};
        pthread_join(l->thread, NULL);
        if (l->failed)
            result = cli_refused(&l->err);
        else if (emb_publisher_flush(l->publisher, FLUSH_MS, &err) != EMB_OK)
            result = cli_refused(&err);
    }
    return result;
}

int bench_load_round(void *arg, bool keep, double *bytes_per_second)
{
    struct bench_load *load = arg;
    uint64_t round_ns = load->run->common->round_ns;
    uint32_t started = 0;

    (void)keep;
    flag_store_release(&load->stop, 0);
    while (started < load->count && pthread_create(&load->loaders[started].thread, NULL, loader_run,
                                                   &load->loaders[started]) == 0)
        started++;
    if (started == load->count && bench_sleep(load->run, round_ns / BENCH_WARM_DIVISOR)) {
        uint64_t begin_ns = progress_now_ns(), begin = acked_bytes(load);
        bench_sleep(load->run, round_ns);
        uint64_t end = acked_bytes(load), end_ns = progress_now_ns();
        *bytes_per_second = (double)(end - begin) * 1e9 / (double)(end_ns - begin_ns);
    }
    int result = loaders_stop(load, started);
    return started == load->count ? result : cli_fail("bench: no thread could be started");
}
