/*
 * What the files of the simulated env share; included by nobody else.
 *
 * One thread writes and reads all of it. Lifetime: from env_begin to env_end. Handles of a process
 * that died stay allocated until env_end, since its fibers hold them and never run again; they are
 * let go of: a dead env's poller wakes nobody, its sockets have no connection, its files no file.
 */
#ifndef SIM_ENV_INTERNAL_H
#define SIM_ENV_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "env/env.h"
#include "sim/core/world.h"
#include "sim/env/sim_env.h"

#define BLOCK             4096u
#define SECTOR            512u
#define LOCK_NAME         "LOCK"
#define PEER_NAME_BYTES   32
#define CONNECT_PATIENCE  (1000 * MS)
#define RETRANSMISSION_NS (200 * MS)

struct env {
    struct host *host;
    uint32_t number; /* what a process' id is elsewhere */
    bool gone;
    TAILQ_ENTRY(env) link;
    TAILQ_HEAD(, env_poller) pollers;
    TAILQ_HEAD(, env_dir) dirs;
    TAILQ_HEAD(, env_file) files;
    TAILQ_HEAD(, env_map) maps;
};

struct env_poller {
    struct env *env;
    TAILQ_ENTRY(env_poller) link;
    struct fiber *sleeper; /* sleeps in env_poller_wait */
    bool woken;
    bool dispatching; /* handlers are being called: what is closed stays allocated */
    TAILQ_HEAD(socket_list, env_socket) sockets;
    struct socket_list closed; /* to be freed at the end of the round */
    TAILQ_HEAD(, env_io) ios;
};

/* ---- network --------------------------------------------------------------------------------- */

enum chunk_kind { CHUNK_SYN, CHUNK_CONNECTED, CHUNK_DATA, CHUNK_FIN, CHUNK_RESET };

struct chunk {
    TAILQ_ENTRY(chunk) link;
    enum chunk_kind kind;
    uint64_t deliver_ns;
    const unsigned char *late; /* sendfile: where the bytes are read once they are delivered */
    uint32_t bytes, taken;
    unsigned char data[];
};

TAILQ_HEAD(chunk_list, chunk);

/* One direction. */
struct stream {
    struct chunk_list in_flight, arrived;
    uint64_t in_flight_bytes; /* with those that a fault has dropped: nobody acknowledges them */
    uint64_t arrived_bytes;
    uint64_t last_ns; /* nothing overtakes what is delivered then */
    uint64_t stalled_to_ns;
    uint64_t alarm; /* number of the event that counts */
    bool armed;
    bool cut;   /* what is sent from now on gets nowhere */
    bool reset; /* and the other end is told so */
};

struct end {
    struct host *host;
    struct env *env;           /* NULL: nobody has it (any more) */
    struct env_socket *socket; /* NULL also while it waits to be accepted */
    bool connected;
    bool ended;  /* the peer's orderly end was delivered */
    bool silent; /* its host lost power */
    int failed;  /* EMB_ERR_*, 0 if it works */
    const char *why;
};

/* end[0] connected to end[1]; stream[i] leads from end[i] to the other. */
struct connection {
    TAILQ_ENTRY(connection) link, backlog_link;
    uint32_t number;
    uint32_t events; /* under way, with a pointer to this */
    uint16_t port, peer_port;
    struct end end[2];
    struct stream stream[2];
};

struct env_socket {
    struct env_poller *poller;
    TAILQ_ENTRY(env_socket) link;
    bool open, listening;
    bool readable, writable;             /* what its owner wants to be called for */
    bool ready_readable, ready_writable; /* in this round */
    env_ready_fn *fn;
    void *arg;
    uint16_t port;
    char peer[PEER_NAME_BYTES];
    TAILQ_HEAD(, connection) backlog; /* of a listener */
    struct connection *connection;
    int side;
};

struct network {
    TAILQ_HEAD(, connection) connections;
    uint32_t made;
    uint64_t partitioned_to_ns[HOSTS_MAX][HOSTS_MAX];
    uint16_t last_port[HOSTS_MAX];
};

/* ---- disks ----------------------------------------------------------------------------------- */

struct image {
    unsigned char *bytes;
    uint64_t size, room; /* multiples of BLOCK; zeros follow */
};

/*
 * A mark per block says how it stands: 0: durable as it is now; else twice the number of the write
 * that changed it last, plus 1 once a failed sync covered it.
 */
struct disk_file {
    TAILQ_ENTRY(disk_file) link;
    struct disk *disk;
    uint32_t number; /* on this disk */
    char *name;
    uint32_t holders;  /* handles, operations, and the directory */
    bool linked;       /* false: removed */
    bool name_durable; /* a crash leaves it (or, if removed, may bring it back) */
    struct image current, durable;
    uint64_t *marks;
    uint64_t marks_room;
    uint64_t dirty_from, dirty_to; /* blocks outside are durable */
    uint64_t writes;               /* completed */
    uint64_t covered_writes;       /* by the syncs under way */
    uint32_t syncs;                /* under way */
    uint64_t size, durable_size, reserved;
    uint64_t size_changes, durable_size_change;
};

struct disk_dir {
    TAILQ_ENTRY(disk_dir) link;
    struct disk *disk;
    char *path;
    struct env *locker;
    TAILQ_HEAD(, disk_file) files;
};

struct disk {
    struct host *host;
    TAILQ_HEAD(, disk_dir) dirs; /* in order of paths */
    uint64_t used;
    uint32_t files_made;
    uint64_t slow_to_ns, full_to_ns;
    uint32_t failing_syncs, failing_writes;
};

struct env_dir {
    struct env *env;
    TAILQ_ENTRY(env_dir) link;
    struct disk_dir *dir;
    bool locks;
};

struct env_file {
    struct env *env;
    TAILQ_ENTRY(env_file) link;
    struct disk_file *file; /* NULL: its process died */
    bool writable, direct;
};

struct io_op {
    TAILQ_ENTRY(io_op) link;
    struct env_io *io; /* NULL: nobody waits for it, its event only frees it */
    struct disk_file *file;
    bool sync, failing;
    const unsigned char *bytes;
    uint64_t count, offset;
    uint64_t covered, size, size_change; /* by a sync: how things were at its submission */
    uint64_t cookie;
    int64_t result;
};

TAILQ_HEAD(io_ops, io_op);

struct env_io {
    struct env_poller *poller;
    TAILQ_ENTRY(env_io) link;
    unsigned depth, under_way;
    struct io_ops submitted, done;
};

struct env_map {
    struct env *env;
    TAILQ_ENTRY(env_map) link;
    unsigned char *base;
    uint64_t bytes;
};

/* Everything of one seed. */
struct simulated {
    struct env_shape shape;
    TAILQ_HEAD(, env) envs;
    uint32_t envs_made;
    struct network network;
    struct disk disks[HOSTS_MAX];
    struct io_ops forgotten; /* their events are still to come */
    disk_sync_fn *watch_sync;
};
extern struct simulated simulated;

void *room_of(size_t bytes); /* zeroed; never NULL */

/* ---- poller.c -------------------------------------------------------------------------------- */

void poller_notify(struct env_poller *poller); /* something is ready: ends its sleep */
void poller_free(struct env_poller *poller);   /* with all that it still has */

/* ---- connection.c ---------------------------------------------------------------------------- */

enum departure {
    DEPARTURE_ORDERLY,
    DEPARTURE_RESET,
    DEPARTURE_KILLED,
    DEPARTURE_POWER,
};

uint64_t network_latency(const struct host *a, const struct host *b);
struct connection *link_start(struct env *env, struct host *to, uint16_t port);
/* The end's owner lets go of it; the connection may be freed by this. */
void end_leave(struct connection *connection, int side, enum departure how);
/* Frees it once nobody has it and no event is under way. */
void link_release(struct connection *connection);
/* Breaks it in the middle: both ends learn of it later. */
void link_break(struct connection *connection);
/* Takes the chunk over; what a cut stream is given gets nowhere. */
void stream_put(struct connection *connection, int from, struct chunk *chunk);
struct chunk *chunk_make(enum chunk_kind kind, uint64_t bytes);
/* Drops what was still to be read, and all that is sent from now on. */
void stream_cut(struct stream *stream);
/* Nothing passes until then. */
void stream_stall(struct connection *connection, int from, uint64_t until_ns);
void network_free(void);

/* ---- socket.c -------------------------------------------------------------------------------- */

void socket_ready(const struct env_socket *socket, bool *readable, bool *writable);
void socket_notify(struct env_socket *socket); /* NULL: nothing */
struct env_socket *listener_find(const struct host *host, uint16_t port);

/* ---- disk.c ---------------------------------------------------------------------------------- */

struct disk *disk_of(const struct host *host);
struct disk_dir *disk_dir_find(struct disk *disk, const char *path, bool create);
struct disk_file *disk_file_make(struct disk_dir *dir, const char *name);
struct disk_file *disk_file_find(struct disk_dir *dir, const char *name);
void disk_file_release(struct disk_file *file);
void disk_file_unlink(struct disk_dir *dir, struct disk_file *file, bool durably);
/* EMB_OK, or EMB_ERR_NO_SPACE. */
int disk_reserve(struct disk_file *file, uint64_t bytes);
void disk_file_resize(struct disk_file *file, uint64_t size);
int disk_file_write(struct disk_file *file, const unsigned char *bytes, uint64_t count,
                    uint64_t offset);
void disk_file_read(const struct disk_file *file, unsigned char *bytes, uint64_t count,
                    uint64_t offset);
void disk_sync_apply(struct disk_file *file, const struct io_op *op);
void disk_sync_fail(struct disk_file *file, const struct io_op *op);
void disk_begin(void);
void disk_free(void);
/* What stands there of an image; zeros past its end. */
const unsigned char *image_block(const struct image *image, uint64_t block);
void image_put(struct image *image, uint64_t block, const unsigned char *bytes);

/* ---- crash.c --------------------------------------------------------------------------------- */

void disk_crash(struct disk *disk);

/* ---- file.c, io.c ---------------------------------------------------------------------------- */

void files_let_go(struct env *env);
void io_let_go(struct env_io *io); /* its process died: what was submitted is done or not */
void io_free(struct env_io *io);
void io_forget_all(void);

#endif
