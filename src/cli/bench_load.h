/*
 * Publishing at full load: what `publish` measures, and the peak that the loads of `latency` are
 * fractions of. Each publisher has a thread that calls emb_publish with one prepared value; the
 * library blocks it when its buffer is full. Owner: one bench, in one thread.
 */
#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

#include "base/flag.h"
#include "cli/bench.h"

struct loader;

struct bench_load {
    /* Set by the owner before bench_load_open. */
    struct bench_run *run;
    const char *topic;
    int acks;
    uint64_t message_bytes;
    uint64_t batch_bytes;
    uint32_t publishers;
    bool shared_client; /* of all publishers; else each has its own, as processes would */
    /* Its own. */
    struct loader *loaders;
    uint32_t count; /* opened */
    struct flag stop;
};

/* bench_load_close in any case. */
int bench_load_open(struct bench_load *load);
/* bench_alternate's: a round counts what was acknowledged between two looks, with everything
   running before and after. */
int bench_load_round(void *load, bool keep, double *bytes_per_second);
/* result, or what went wrong here. */
int bench_load_close(struct bench_load *load, int result);

/* The publisher options of all benches. */
void bench_publisher_options(struct emb_publisher_options *options, int acks, uint64_t batch_bytes);

#endif
