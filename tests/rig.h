/*
 * What the end-to-end tests stand on: a rack in this process, on real sockets and real disks, in a
 * directory of its own below the current one, and everything gone at the end. A mode is where its
 * nodes run (in this process, or a daemon each) and how its memory is coherent: by hardware, and by
 * software with each write-back instruction of this CPU. A test runs in one mode, drawn anew each
 * time, and in all with EMB_TEST_MATRIX=1. Used by one test program's main thread; flows (flow.h)
 * are threads that it starts.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "embarcadero/embarcadero.h"
#include "env/env.h"
#include "node/rack.h"
#include "tests/daemons.h"

#define RIG_FLOWS_MAX 16
#define RIG_PATH      256
#define RIG_MODES_MAX 8

/* cmocka's comparisons of codes, which are negative. */
#define ASSERT_CODE(value, code)                                                                   \
    assert_string_equal(emb_error_name((int)(value)), emb_error_name((int)(code)))

struct rig_mode {
    const char *name; /* "hardware", "software clwb" */
    enum mem_coherence coherence;
    enum mem_writeback writeback;
    const char *region; /* "shm" or "file" */
    bool dedicated;
    bool daemons; /* a process a node */
};

struct rig {
    const struct rig_mode *mode;
    struct env *env;
    char directory[RIG_PATH];
    char region_url[RIG_PATH + 16];
    char data[RIG_PATH + 8];
    struct rack_options options; /* rig_setup's defaults; a test may change them before rig_start */
    struct rack *rack;           /* NULL while it does not run in this process */
    struct daemons daemons;      /* where it runs in others */
    struct emb_client *client;   /* of the main thread */
    struct flow *flows[RIG_FLOWS_MAX];
    uint32_t flow_count;
};

/* cmocka's setup and teardown: *state is a struct rig_mode, then a struct rig. The teardown ends
   what a failed test left running. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Starts the rack (four nodes, two replicas, geometry_test) and opens rig->client. */
void rig_start(struct rig *rig);
/* Joins the flows, stops the rack, and finds that nothing of it has failed or is left behind. */
void rig_stop(struct rig *rig);
/* "tcp://127.0.0.1:P,..." of all nodes, node `first` in front. */
void rig_brokers(const struct rig *rig, uint32_t first, char *text, size_t bytes);
struct emb_client *rig_client(const struct rig *rig, uint32_t first_broker);

/* The port of a node's broker. */
uint16_t rig_port(const struct rig *rig, uint32_t node);
/* The sequencer's counters while it runs: each by itself is right, together they may be of
   different moments. Of a rack of daemons only those that STATUS tells, 10 ms old. */
void rig_counters(struct rig *rig, struct sequencer_counters *counters);

/* Creates a topic, default settings but for these, and fails the test if that fails. */
void rig_topic(struct rig *rig, const char *name, int order, uint32_t replicas);

/* EMB_TEST_TIME_FACTOR, 1 without it; every limit of time is multiplied by it. */
uint32_t rig_time_factor(void);
/* A limit that only a failure reaches: 20 s times the factor. */
uint32_t rig_patience_ms(void);
/* Fails the test unless is_so(arg) becomes true within rig_patience_ms; looks every millisecond. */
void rig_wait_until(bool (*is_so)(void *arg), void *arg, const char *what);
/* "skipped: reason", and ends the test. */
void rig_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Modes of this CPU (and build), the first is hardware-coherent. */
uint32_t rig_modes(const struct rig_mode **modes);

enum rig_where {
    RIG_EVERYWHERE, /* in any mode */
    RIG_FIRST_MODE, /* in the first: it has nothing to do with memory */
    RIG_IN_PROCESS, /* in any that has the rack in this process: it looks into it */
};

struct rig_case {
    const char *name;
    void (*test)(void **state);
    enum rig_where where;
};
/* Runs each case in the modes drawn for it, as a test named "case/mode"; main's result. */
int rig_run(const char *suite, const struct rig_case *cases, size_t count);

/* The number of entries of a directory, "." and ".." aside; -1 when it cannot be read. */
int rig_entries(const char *directory);
/* rm -r. */
void rig_remove(const char *path);

#endif
