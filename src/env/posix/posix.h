/*
 * What the files of the POSIX implementation share; included by nobody else.
 *
 * Writer and reader of each struct: the thread that the contract in env/env.h names for it.
 * Lifetime: from its create or open to its destroy or close; sockets and io queues closed while
 * their poller calls handlers are freed at the end of that round.
 */
#ifndef ENV_POSIX_POSIX_H
#define ENV_POSIX_POSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"

struct env {
    bool io_thread; /* EMBARCADERO_IO=thread: do without io_uring */
    bool abandoned; /* its sockets and their epoll are the parent's: close descriptors, no more */
};

/* The result code for an errno of the system. */
int posix_code(int system_error);

/* "what: why" with the code of `system_error`; returns the code. */
int posix_error(struct error *err, int system_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- poller ---------------------------------------------------------------------------------- */

/* One descriptor that a poller waits on; the first member of what owns it. */
struct env_source {
    int fd;        /* -1 once closed */
    bool internal; /* not counted among the handlers called */
    bool readable; /* what the owner wants to be called for */
    bool writable;
    env_ready_fn *fn;
    void *arg;
    struct env_poller *poller;
    struct env_source *next_closed;
};

struct env_poller {
    struct env *env;
    int epoll_fd;
    int wake_fd;
    bool dispatching;  /* handlers are being called: what is closed stays allocated */
    bool milliseconds; /* the kernel has no epoll_pwait2 */
    unsigned sources;
    struct env_source *closed; /* to be freed at the end of the round */
};

/* Takes the descriptor in, wanting nothing yet. EMB_ERR_LIMIT when the system has no room. */
int posix_source_add(struct env_poller *poller, struct env_source *source, int fd,
                     struct error *err);
void posix_source_watch(struct env_source *source, bool readable, bool writable);
/* Closes the descriptor and frees the owner, now or when the round of handlers is over. */
void posix_source_close(struct env_source *source);

/* ---- files ----------------------------------------------------------------------------------- */

#define POSIX_LOCK_NAME "LOCK"

struct env_dir {
    int fd;
    int lock_fd; /* -1 without a lock */
    char *path;
};

struct env_file {
    int fd;             /* through the page cache */
    int direct_fd;      /* past it, -1 where that is not asked for or not possible */
    unsigned under_way; /* operations of io queues that still use the descriptors */
    bool closed;        /* by its user, who does not wait for them */
    char *name;
};

/* A plain name inside a directory, and not that of the lock. */
bool posix_name_is_good(const char *name);

/* An io queue holds the file until its operation is over. */
void posix_file_hold(struct env_file *file);
void posix_file_release(struct env_file *file);

/* The name of a file system, by the type that statfs gives. */
const char *posix_filesystem_name(long type);

/* ---- shared memory --------------------------------------------------------------------------- */

struct env_map {
    int fd;
    bool read_only;
    bool can_sendfile;
    unsigned char *base;
    uint64_t bytes;
};

int posix_map_fd(const struct env_map *map);

/* Finds the device in the system's list of dax devices: its size and the alignment it needs. */
int posix_dax_find(const char *path, uint64_t *bytes, uint64_t *align, struct error *err);

/*
 * All of dax: below the look-up: maps `device_bytes` of whatever stands at `path`, wanting at least
 * `wanted_bytes` (0: any size). Takes over nothing; the size is not asked of the file.
 */
int posix_map_device(const char *path, uint64_t device_bytes, uint64_t align, uint64_t wanted_bytes,
                     unsigned flags, struct env_map **map, struct error *err);

/* Fails with EMB_ERR_NO_SPACE and both numbers if a new region of `bytes` does not fit at fd. */
int posix_size_check(int fd, const char *url, uint64_t bytes, struct error *err);
/* Gives the new file its size: reserved on a disk, on demand in memory. */
int posix_size_set(int fd, const char *url, uint64_t bytes, struct error *err);

/* Whether most of what is resident in the range is mapped with huge pages. */
bool posix_range_is_huge(const void *base, uint64_t bytes);

#endif
