#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "env/posix/posix.h"

struct env *env_create(void)
{
    struct env *env = calloc(1, sizeof(*env));
    if (!env)
        return NULL;
    const char *engine = getenv("EMBARCADERO_IO");
    env->io_thread = engine && strcmp(engine, "thread") == 0;
    return env;
}

void env_destroy(struct env *env)
{
    free(env);
}

void env_abandon(struct env *env)
{
    env->abandoned = true;
}

uint64_t env_now_ns(struct env *env)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t env_wall_ms(struct env *env)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void env_random(struct env *env, void *bytes, size_t count)
{
    unsigned char *next = bytes;
    while (count > 0) {
        ssize_t got = getrandom(next, count, 0);
        if (got < 0) {
            ASSERT(errno == EINTR);
            continue;
        }
        next += got;
        count -= (size_t)got;
    }
}

int posix_code(int system_error)
{
    switch (system_error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return EMB_ERR_PERMISSION;
    case ENOENT:
        return EMB_ERR_NOT_FOUND;
    case EEXIST:
        return EMB_ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return EMB_ERR_NO_SPACE;
    case ENOMEM:
        return EMB_ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE:
        return EMB_ERR_LIMIT;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE:
        return EMB_ERR_BUSY;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
        return EMB_ERR_INVALID_ARGUMENT;
    case ETIMEDOUT:
        return EMB_ERR_TIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return EMB_ERR_UNAVAILABLE;
    default:
        return EMB_ERR_IO;
    }
}

int posix_error(struct error *err, int system_error, const char *format, ...)
{
    char what[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return error_set(err, posix_code(system_error), "%s: %s", what, strerror(system_error));
}
