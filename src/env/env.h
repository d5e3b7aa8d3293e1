/*
 * The seam: everything non-deterministic that the roles use - clocks, randomness, sockets, files
 * and the mapping of the shared memory. env/posix implements it; the simulator has its own. Which
 * one is decided at link time. House, "Rooms".
 *
 * Threads: a `struct env` may be shared; a poller, its sockets and an env_io belong to the one
 * thread that polls them, but for env_poller_wake, which any thread may call.
 * Nothing here blocks except where a comment says so.
 */
#ifndef ENV_ENV_H
#define ENV_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"

struct env;        /* one host's world */
struct env_poller; /* what one thread waits on */
struct env_socket; /* a listener or a connection */
struct env_dir;    /* an open, possibly locked directory */
struct env_file;   /* an open file */
struct env_io;     /* a queue of asynchronous writes and syncs */
struct env_bell;   /* what other processes of this host wake a poller by */
struct env_map;    /* a mapping of shared memory */

/* The process' environment. Never fails but for memory (NULL). Freed with env_destroy. */
struct env *env_create(void);
void env_destroy(struct env *env);
/*
 * In a forked child: the sockets of `env` are the parent's. From now on its pollers and sockets can
 * only be closed, and that closes the child's descriptors without anything the parent or a peer
 * could notice; its pollers may be destroyed although their thread is missing.
 */
void env_abandon(struct env *env);

/* ---- time and chance ------------------------------------------------------------------------- */

uint64_t env_now_ns(struct env *env);  /* monotonic, of this host only */
uint64_t env_wall_ms(struct env *env); /* since 1970, may jump */
void env_random(struct env *env, void *bytes, size_t count);

/* ---- waiting --------------------------------------------------------------------------------- */

int env_poller_create(struct env *env, struct env_poller **poller);
void env_poller_destroy(struct env_poller *poller); /* after all its sockets and io queues */

/*
 * Calls the handlers of what is ready and returns how many were called. timeout_ns 0 looks only;
 * otherwise it is the longest time to sleep (the one call here that blocks). A wake ends a sleep
 * and also the next sleep, if none is under way.
 */
int env_poller_wait(struct env_poller *poller, uint64_t timeout_ns);
void env_poller_wake(struct env_poller *poller); /* any thread, also from a signal handler */

/* ---- bells
 * --------------------------------------------------------------------------------------- Between
 * processes of one host: one hangs a bell by name, others find it and ring. A ring ends a sleep of
 * the poller that it hangs at, and also the next one. Whoever knows the name can ring: it must cost
 * no more than a look. Names have 1 to 100 bytes.
 */
/* EMB_ERR_BUSY: that name is taken. */
int env_bell_hang(struct env_poller *poller, const char *name, struct env_bell **bell,
                  struct error *err);
void env_bell_take_down(struct env_bell *bell); /* NULL: nothing */
/* A number to ring it by, or -1: nobody on this host has one of that name. */
int env_bell_find(struct env *env, const char *name);
/* false: it hangs there no more; forget it. Does not block. */
bool env_bell_ring(int found);
void env_bell_forget(int found);

/* ---- sockets ---------------------------------------------------------------------------------
 * All are TCP, non-blocking, level-triggered. A handler is called from env_poller_wait while what
 * it wants (`readable` / `writable`) is so; an error or hang-up counts as both. A handler may close
 * its own socket and any other. A host is an address or "localhost"; any other name goes to the
 * system's resolver, which may block.
 */
typedef void env_ready_fn(void *arg, bool readable, bool writable);

#define ENV_WOULD_BLOCK (-1) /* nothing now: try again after the handler was called */
#define ENV_FAILED      (-2) /* the connection is broken */
/* env_recv returns 0 at the peer's orderly end. */

/* Listens on host:port (port 0: any). EMB_ERR_BUSY when the port is taken, with its number. */
int env_listen(struct env_poller *poller, const char *host, uint16_t port,
               struct env_socket **listener, struct error *err);
/*
 * The next connection, or NULL when there is none. Its sockets' buffers are 4 MiB. A peer whose
 * host is gone is noticed within a minute: its connection then fails.
 */
struct env_socket *env_accept(struct env_socket *listener);
/* How many times there was no descriptor (some are kept for files) or no memory for a connection
   that came; it was turned away if that was possible, else it still waits and the listener stays
   ready. */
uint64_t env_accept_failures(const struct env_socket *listener);
/* The peer may stop reading for as long as it likes: that it takes nothing is from now on no sign
   of its host being gone. (Only silence is, while nothing is under way to it.) */
void env_socket_may_pause(struct env_socket *socket);
/* Starts to connect; writable means connected (or failed: ask env_connect_result). */
int env_connect(struct env_poller *poller, const char *host, uint16_t port,
                struct env_socket **socket, struct error *err);
/* 0 once connected, ENV_WOULD_BLOCK while under way, else ENV_FAILED and *err. */
int env_connect_result(struct env_socket *socket, struct error *err);
/* What to be called for, and by whom; cheap when nothing changes. Listeners want readable. */
void env_socket_watch(struct env_socket *socket, bool readable, bool writable, env_ready_fn *fn,
                      void *arg);
ssize_t env_recv(struct env_socket *socket, const struct iovec *iov, int count);
/* more: further bytes follow at once (MSG_MORE). */
ssize_t env_send(struct env_socket *socket, const struct iovec *iov, int count, bool more);
/*
 * Sends from a mapping without copying; ENV_FAILED if env_map_can_sendfile() is false. To a peer on
 * this host it copies: there TCP acknowledges pages that the peer has yet to read.
 */
ssize_t env_sendfile(struct env_socket *socket, struct env_map *map, uint64_t offset, size_t bytes);
/* Bytes sent that the peer's TCP has not acknowledged yet. */
uint64_t env_unacked_bytes(struct env_socket *socket);
uint16_t env_local_port(struct env_socket *socket);
/* The peer as "address:port"; valid as long as the socket. */
const char *env_peer_name(struct env_socket *socket);
void env_close(struct env_socket *socket); /* orderly */
void env_reset(struct env_socket *socket); /* at once, what is unsent is dropped (RST) */

/* ---- files -----------------------------------------------------------------------------------
 * Directories and files are opened, listed, read and removed with blocking calls, at start and in
 * tools; a running agent writes through env_io only (it may open, preallocate and remove files:
 * short calls on the metadata).
 */
enum env_dir_flags {
    ENV_DIR_CREATE = 1, /* make it (and its parents) if missing */
    ENV_DIR_LOCK = 2,   /* hold it exclusively until closed: EMB_ERR_BUSY names the holder */
    ENV_DIR_WRITE = 4,  /* EMB_ERR_PERMISSION if nothing can be created in it */
};
int env_dir_open(struct env *env, const char *path, unsigned flags, struct env_dir **dir,
                 struct error *err);
void env_dir_close(struct env_dir *dir);
/* Calls fn for each regular file's name (without LOCK), in ascending order of bytes. */
int env_dir_list(struct env_dir *dir, void (*fn)(void *arg, const char *name), void *arg,
                 struct error *err);
/* Makes creations and removals in the directory durable (fsync of it). Blocks. */
int env_dir_sync(struct env_dir *dir, struct error *err);
int env_dir_remove(struct env_dir *dir, const char *name, struct error *err);
/* The file system's type ("ext4", "tmpfs", ... or "unknown"), static storage, and free bytes. */
const char *env_dir_filesystem(struct env_dir *dir, uint64_t *free_bytes);

enum env_file_flags {
    ENV_FILE_CREATE = 1, /* must not exist yet */
    ENV_FILE_WRITE = 2,
    ENV_FILE_DIRECT = 4, /* past the page cache where the file system can: addresses, offsets and
                            sizes of env_io_write are then multiples of 4096 */
};
int env_file_open(struct env_dir *dir, const char *name, unsigned flags, struct env_file **file,
                  struct error *err);
void env_file_close(struct env_file *file);
uint64_t env_file_bytes(struct env_file *file);
/* Blocks. Reads up to count bytes; fewer only at the end of the file. Bytes read, or EMB_ERR_*. */
ssize_t env_file_read(struct env_file *file, void *bytes, size_t count, uint64_t offset);
/* Blocks. For tools and tests; writes all or fails. */
int env_file_write(struct env_file *file, const void *bytes, size_t count, uint64_t offset);
/* Grows the file to `bytes` of reserved space. EMB_ERR_NO_SPACE when there is none. */
int env_file_preallocate(struct env_file *file, uint64_t bytes, struct error *err);
int env_file_truncate(struct env_file *file, uint64_t bytes, struct error *err);

/* ---- asynchronous writes ----------------------------------------------------------------------
 * io_uring, or one thread behind the same calls where io_uring is denied. Completions may come in
 * any order; a sync covers the writes that had completed when it was submitted. Completions wake
 * the poller, until a poll has taken all of them. The bytes must stay until the completion; the
 * file may be closed before. EMBARCADERO_IO=thread does without io_uring.
 */
struct env_completion {
    uint64_t cookie;
    int64_t result; /* bytes written (short writes are continued inside), 0 for a sync, or
                       EMB_ERR_NO_SPACE / EMB_ERR_IO */
};
int env_io_create(struct env_poller *poller, unsigned depth, struct env_io **io, struct error *err);
void env_io_destroy(struct env_io *io); /* waits for what is under way */
/* EMB_ERR_BUSY when `depth` operations are under way. */
int env_io_write(struct env_io *io, struct env_file *file, const void *bytes, size_t count,
                 uint64_t offset, uint64_t cookie);
int env_io_sync(struct env_io *io, struct env_file *file, uint64_t cookie);
int env_io_poll(struct env_io *io, struct env_completion *completions, int max);
const char *env_io_engine(struct env_io *io); /* "io_uring" or "thread" */

/* ---- shared memory -----------------------------------------------------------------------------
 * url: shm:NAME, file:PATH, dax:/dev/daxX.Y.
 */
enum env_map_flags {
    ENV_MAP_CREATE = 1,    /* create with `bytes`; EMB_ERR_EXISTS if it is there. Locks it */
    ENV_MAP_READ_ONLY = 2, /* for tools */
    ENV_MAP_LOCK = 4,      /* hold its lock until closed, or dead: EMB_ERR_BUSY if another does */
};
/*
 * Maps the whole range. Without ENV_MAP_CREATE bytes is 0 and the size is what is found. A size
 * larger than what is free fails with EMB_ERR_NO_SPACE and both numbers. Sizes are multiples of
 * 4096. A region of no bytes, as it is for a moment while another creates it, is
 * EMB_ERR_UNAVAILABLE. The lock is one between mappings of this host that ask for it, in this
 * process or others; it keeps nobody from mapping without. A dax device is there already: it is
 * mapped whole, and `bytes` is the least that it must have. Huge pages are asked for; env_map_huge
 * says whether those that were touched so far are huge (it reads /proc: not for a running agent).
 */
int env_map_open(struct env *env, const char *url, uint64_t bytes, unsigned flags,
                 struct env_map **map, struct error *err);
void env_map_close(struct env_map *map);
/* Removes what the url names; a dax device cannot be removed (EMB_OK, nothing done). */
int env_map_remove(struct env *env, const char *url, struct error *err);
unsigned char *env_map_base(struct env_map *map);
uint64_t env_map_bytes(struct env_map *map);
bool env_map_huge(struct env_map *map);
bool env_map_can_sendfile(struct env_map *map);
/* Touches the pages of a range for writing, without changing their bytes. Any thread; blocks. */
void env_map_prefault(struct env_map *map, uint64_t offset, uint64_t bytes);

#endif
