/*
 * What a thread with agents tells another of the process: a failure, written once, then flagged.
 * Writer: that thread; readers: any. Lifetime: its owner's.
 */
#ifndef NODE_REPORT_H
#define NODE_REPORT_H

#include "base/error.h"
#include "base/flag.h"

struct report {
    struct flag set;
    struct error failure;
};

static inline void report_once(struct report *report, const struct error *failure)
{
    if (flag_load_acquire(&report->set))
        return;
    report->failure = *failure;
    flag_store_release(&report->set, 1);
}

/* EMB_OK while there is nothing to tell. */
static inline int report_read(struct report *report, struct error *err)
{
    if (!flag_load_acquire(&report->set))
        return EMB_OK;
    if (err)
        *err = report->failure;
    return report->failure.code;
}

#endif
