#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 1000000000ULL

uint64_t progress_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void progress_start(struct progress *progress, bool asked, bool allowed)
{
    bool terminal = isatty(STDERR_FILENO);
    *progress = (struct progress){.on = asked || (allowed && terminal), .terminal = terminal};
    progress->started_ns = progress_now_ns();
    progress->next_ns = progress->started_ns + PERIOD_NS;
}

bool progress_due(struct progress *progress, uint64_t now_ns)
{
    if (!progress->on || now_ns < progress->next_ns)
        return false;
    progress->next_ns = now_ns + PERIOD_NS;
    return true;
}

void progress_show(struct progress *progress, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (progress->terminal)
        fputs("\r\033[K", stderr);
    vfprintf(stderr, format, args);
    if (!progress->terminal)
        fputc('\n', stderr);
    fflush(stderr);
    va_end(args);
    progress->shown = true;
}

void progress_end(struct progress *progress)
{
    if (progress->shown && progress->terminal)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
