/*
 * The run itself: four publishers, a chain of markers and two subscribers against a running rack,
 * with a report at the end. One call, several threads inside, all joined when it returns.
 */
#ifndef TOOLS_DEMO_RUN_H
#define TOOLS_DEMO_RUN_H

#include "env/env.h"

struct run_options {
    struct env *env;
    const char *brokers;
    const char *source;
    const char *delivered; /* written: what subscriber 1 was handed */
    const char *topic;     /* created */
    unsigned replicas;
};

/* 0: every promise held. Otherwise 1, and the first violation or failure is on stderr. */
int run_demo(const struct run_options *options);

#endif
