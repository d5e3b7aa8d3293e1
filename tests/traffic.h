/*
 * A well-behaved publisher and subscriber that go on while a test does harm elsewhere: what they
 * publish must all be acknowledged, and come in order and byte for byte. Main thread only.
 */
#ifndef TESTS_TRAFFIC_H
#define TESTS_TRAFFIC_H

#include "tests/flow.h"

#define TRAFFIC_TOPIC "traffic"

struct traffic {
    struct flow *publisher;
    struct flow *reader;
};

/* Creates the topic; returns once messages flow. */
struct traffic traffic_start(struct rig *rig);
/* Returns once a message that was accepted after the call is acknowledged: the rack lives on. */
void traffic_must_flow(struct traffic *traffic);
/* Ends it and checks all of it. */
void traffic_end(struct traffic *traffic);

#endif
