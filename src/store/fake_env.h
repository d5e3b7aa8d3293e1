/*
 * A disk in memory for this folder's tests, instead of env/posix: it completes writes in a random
 * order, fails the Nth write or sync, fills up, and can crash: what was not synced is then there,
 * in part or not at all. One thread. Lifetime: fake_create to fake_destroy.
 */
#ifndef STORE_FAKE_ENV_H
#define STORE_FAKE_ENV_H

#include "base/random.h"
#include "env/env.h"

#define FAKE_FILES 64

struct fake_image {
    unsigned char *bytes;
    uint64_t size;
};

struct env_file {
    struct env *env;
    char name[64];
    bool exists;
    bool name_is_durable;
    struct fake_image now;
    struct fake_image durable;
};

struct env {
    struct random_state random;
    struct env_file files[FAKE_FILES];
    bool has_directory;
    bool locked;
    uint64_t capacity_bytes; /* 0: no limit */
    int fail_write;          /* the Nth from now, 1: the next; 0: none */
    int fail_sync;
    int fail_dir_sync;
    bool refuse_preallocation;
    bool hold; /* nothing completes */
    int writes;
    int syncs;
    uint64_t written_twice; /* bytes written over what was synced */
};

struct env *fake_create(uint64_t seed);
void fake_destroy(struct env *env);
/* The power goes: locks, names and bytes that were not synced are lost, or some of them. */
void fake_crash(struct env *env);
/* The n-th existing file by name, or NULL. */
struct env_file *fake_file(struct env *env, int n);
int fake_file_count(struct env *env);
void fake_resize(struct env_file *file, uint64_t size);

#endif
