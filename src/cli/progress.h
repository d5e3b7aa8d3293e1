/*
 * A line on stderr that says how far a long command has come: shown once a second, from the second
 * second on, if stderr is a terminal or it was asked for. One thread.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool on;
    bool terminal; /* the line is written over itself */
    bool shown;
    uint64_t started_ns;
    uint64_t next_ns;
};

/* Of this host, rising. */
uint64_t progress_now_ns(void);
void progress_start(struct progress *progress, bool asked, bool allowed);
/* Whether it is time for a line. */
bool progress_due(struct progress *progress, uint64_t now_ns);
void progress_show(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Removes the line. */
void progress_end(struct progress *progress);

#endif
