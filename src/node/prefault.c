#include "node/prefault.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/flag.h"

#define CHUNK_BYTES (4ULL << 20)

struct prefault {
    struct env_map *map;
    uint64_t from;
    struct flag stop;
    pthread_t thread;
};

static void *run(void *arg)
{
    struct prefault *p = arg;
    uint64_t end = env_map_bytes(p->map);
    for (uint64_t at = p->from; at < end && !flag_load_acquire(&p->stop); at += CHUNK_BYTES)
        env_map_prefault(p->map, at, min_u64(CHUNK_BYTES, end - at));
    return NULL;
}

int prefault_start(struct env_map *map, uint64_t from, struct prefault **out, struct error *err)
{
    struct prefault *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the prefault thread");
    p->map = map;
    p->from = from;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&p->thread, NULL, run, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        free(p);
        return error_set(err, EMB_ERR_UNAVAILABLE, "no thread to prefault the region: error %d",
                         rc);
    }
    *out = p;
    return EMB_OK;
}

void prefault_stop(struct prefault *p)
{
    if (!p)
        return;
    flag_store_release(&p->stop, 1);
    pthread_join(p->thread, NULL);
    free(p);
}
