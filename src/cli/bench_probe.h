/*
 * Latencies of one topic at one ack level: a publisher for open and closed loads, and a full load
 * for the peak that open loads are fractions of. Owner: bench latency, in one thread.
 */
#ifndef CLI_BENCH_PROBE_H
#define CLI_BENCH_PROBE_H

#include "cli/bench_load.h"

struct probe {
    /* Set by the owner before probe_open. */
    struct bench_run *run;
    int acks;
    int order;
    uint32_t replicas;
    uint64_t message_bytes;
    uint64_t batch_bytes;
    uint32_t linger_us;
    double peak; /* bytes/s; before a round of an open load */
    /* Its own. */
    struct bench_load peak_load; /* its rounds are the owner's to run */
    struct emb_client *client;
    struct emb_publisher *publisher;
    unsigned char *value;
    /* Of a round of an open load; set while nothing is under way, then read by the library's
       thread. Message n of the round is to be sent at begin_ns + n * gap_ns. */
    uint64_t begin_ns;
    double gap_ns;
    uint64_t first_number; /* of the publisher's messages: the round's first */
    uint64_t warm;         /* the first messages, which do not count */
    /* Written by the library's thread, read when nothing is under way. */
    struct bench_histogram round;
    uint64_t failed_messages;
    struct emb_error failure;
};

#define PROBE_CLOSED 100 /* percent that no open load has */

/* One load of one probe. */
struct probe_load {
    struct probe *probe;
    uint64_t percent; /* of the peak; PROBE_CLOSED: one message at a time */
    struct bench_side *side;
    /* Of the kept rounds. */
    struct bench_histogram latency;
    struct bench_histogram late; /* the sender, of an open load */
    double sent_share;           /* of the messages that were to be sent, the least; from 1 down */
};

/* Makes the topic and connects. probe_close in any case. */
int probe_open(struct probe *probe);
/* result, or what went wrong here. */
int probe_close(struct probe *probe, int result);
/* bench_alternate's; arg is a struct probe_load. */
int probe_open_round(void *load, bool keep, double *p50_ns);
int probe_closed_round(void *load, bool keep, double *p50_ns);

#endif
