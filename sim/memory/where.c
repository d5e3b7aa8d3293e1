/*
 * Who did it. Places in the production code are told as files and lines; those come from addr2line,
 * so that only a finding costs anything. Structs of the region are closed to plain accesses: the
 * pages they lie on cannot be read in the hosts' mappings, and the signal that follows is a
 * finding.
 */
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/memory/internal.h"

#define FRAMES_MOST 16
#define FRAMES_TOLD 3
#define PAGE_BYTES  4096

extern const char __executable_start;

/* ---- files and lines ------------------------------------------------------------------------- */

static void command_for(char *command, size_t bytes, void **frames, int count)
{
    char path[512];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    int used = snprintf(command, bytes, "addr2line -e '%s'", path);
    for (int i = 0; i < count && used < (int)bytes; i++)
        used += snprintf(command + used, bytes - (size_t)used, " %#zx",
                         (size_t)((const char *)frames[i] - &__executable_start - 1));
}

/* "src/region/lane.c:15" of a line of addr2line; NULL: not of the production code. */
static const char *production_part(char *line)
{
    line[strcspn(line, " \n")] = '\0';
    const char *part = strstr(line, "/src/");
    return part ? part + 1 : NULL;
}

const char *where_called(void)
{
    static char text[256];
    void *frames[FRAMES_MOST];
    char command[1024], line[512];
    int told = 0;
    size_t used = 0;
    text[0] = '\0';
    command_for(command, sizeof command, frames, backtrace(frames, FRAMES_MOST));
    FILE *lines = popen(command, "r");
    while (lines && fgets(line, sizeof line, lines)) {
        const char *part = production_part(line);
        if (!part || told == FRAMES_TOLD || strstr(part, "src/mem/"))
            continue;
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", told++ ? " < " : "", part);
        if (used >= sizeof text)
            break;
    }
    if (lines)
        pclose(lines);
    return told ? text : NULL;
}

/* ---- plain accesses -------------------------------------------------------------------------- */

/* Where structs lie alone on their pages: not in checkpoint bodies, not in the BLog. */
static void protect(int protection)
{
    const struct region_areas *areas = &memory.areas;
    uint64_t lines_bytes = areas->workspace_bytes - 2 * areas->checkpoint_bytes;
    for (uint32_t i = 0; i < memory.hosts; i++) {
        unsigned char *window = memory.windows[i];
        mprotect(window + areas->epoch_slots, PAGE_BYTES, protection);
        for (uint64_t w = 0; w < WORKSPACE_COUNT; w++)
            mprotect(window + areas->workspaces + w * areas->workspace_bytes, lines_bytes,
                     protection);
        mprotect(window + areas->nodes, align_down(areas->blog, PAGE_BYTES) - areas->nodes,
                 protection);
    }
}

void where_protect(void)
{
    protect(PROT_NONE);
}

void where_unprotect(void)
{
    if (memory.formatted)
        protect(PROT_READ | PROT_WRITE);
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    struct host *host;
    uint64_t offset;
    if (!memory.formatted || !memory_find(info->si_addr, &host, &offset)) {
        signal(SIGSEGV, SIG_DFL); /* it happens again, and ends the process */
        return;
    }
    finding("memory", "%s touches %s by a plain access, past mem", host->name, place_text(offset));
    where_unprotect();
}

void where_catch_faults(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
}
