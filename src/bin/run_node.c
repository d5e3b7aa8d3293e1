/*
 * One node of a rack, from start to clean stop. It speaks through its log, and to who supervises
 * it: ready as soon as it waits for nobody but other nodes, for whoever starts a rack of units
 * starts them in any order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "bin/notify.h"
#include "bin/settings.h"

#define LOOK_MS       100
#define REGION_STATUS "waits for the region"
#define LEAVE_MS      15000 /* for the rack to let go of a node that stops */

struct run {
    struct daemon *daemon;
    struct process *process;
    struct process_view view; /* as last told */
    bool replica_told;
    bool limits_changed; /* and not handed over yet */
};

/* ---- telling --------------------------------------------------------------------------------- */

static void say(const struct run *run, enum log_level level, const char *message)
{
    struct log_field node[] = {LOG_NUMBER("node", run->daemon->config.node_id)};
    daemon_log(run->daemon, level, message, node, COUNT_OF(node));
}

static void say_of(const struct run *run, enum log_level level, const char *message, uint32_t other)
{
    struct log_field fields[] = {LOG_NUMBER("node", run->daemon->config.node_id),
                                 LOG_NUMBER("other", other)};
    daemon_log(run->daemon, level, message, fields, COUNT_OF(fields));
}

static void say_failed(const struct run *run, const struct error *why)
{
    say(run, LOG_LEVEL_ERROR, why->text);
}

/* That nobody listens is nothing to end for. */
static void tell_supervisor(const struct run *run, const char *status)
{
    struct error err;
    if (notify_status(run->daemon->supervisor, status, &err))
        say(run, LOG_LEVEL_WARNING, err.text);
}

static void tell_ready(const struct run *run, const char *status)
{
    struct error err;
    if (notify_ready(run->daemon->supervisor, status, &err))
        say(run, LOG_LEVEL_WARNING, err.text);
}

static const char *state_text(enum process_state state)
{
    static const char *const texts[] = {
        [PROCESS_NO_SEQUENCER] = "waits for the rack's sequencer",
        [PROCESS_ASKS] = "waits to be admitted by the sequencer",
        [PROCESS_NO_CHAINS] = "serves; topics with replicas wait for more stores",
        [PROCESS_SERVES] = "serves",
        [PROCESS_LEAVES] = "leaves the rack",
        [PROCESS_LEFT] = "has left the rack",
        [PROCESS_CANNOT_LEAVE] = "cannot leave the rack",
        [PROCESS_FAILED] = "has failed",
    };
    return texts[state];
}

static void say_start(const struct run *run)
{
    const struct config *c = &run->daemon->config;
    char roles[32];
    snprintf(roles, sizeof roles, "%s%s%s", c->roles & CONFIG_ROLE_BROKER ? "broker " : "",
             c->roles & CONFIG_ROLE_REPLICA ? "replica " : "",
             c->roles & CONFIG_ROLE_SEQUENCER ? "sequencer " : "");
    roles[strlen(roles) - 1] = '\0'; /* one role at least: config */
    struct log_field fields[] = {LOG_NUMBER("node", c->node_id),
                                 LOG_TEXT("version", EMBARCADERO_VERSION), LOG_TEXT("roles", roles),
                                 LOG_TEXT("region", c->region), LOG_TEXT("data", c->data)};
    daemon_log(run->daemon, LOG_LEVEL_INFO, "starts", fields, COUNT_OF(fields));
}

static void say_listens(const struct run *run)
{
    const struct config *c = &run->daemon->config;
    const struct region *region = process_region(run->process);
    bool hardware = region->mem.coherence == MEM_HARDWARE;
    struct log_field fields[] = {LOG_NUMBER("node", c->node_id), LOG_TEXT("host", c->host),
                                 LOG_NUMBER("port", process_port(run->process)),
                                 LOG_TEXT("coherence", hardware ? "hardware" : "software"),
                                 LOG_NUMBER("region_bytes", region->geometry.region_bytes)};
    daemon_log(run->daemon, LOG_LEVEL_INFO, "listens", fields, COUNT_OF(fields));
}

/* ---- looking --------------------------------------------------------------------------------- */

static void tell_nodes(struct run *run, const struct process_view *now)
{
    uint32_t changed = now->live ^ run->view.live;
    uint32_t silent = now->silent & ~run->view.silent;
    uint32_t back = run->view.silent & ~now->silent & now->live;
    for (uint32_t node = 0; node < NODE_MAX; node++) {
        uint32_t bit = node == run->daemon->config.node_id ? 0 : 1u << node;
        if (changed & bit)
            say_of(run, LOG_LEVEL_INFO,
                   now->live & bit ? "another node is in the rack" : "another node has left", node);
        if (silent & bit)
            say_of(run, LOG_LEVEL_WARNING,
                   node == now->sequencer
                       ? "the sequencer has been silent for a second: nothing is ordered"
                       : "another node has been silent for a second",
                   node);
        if (back & bit)
            say_of(run, LOG_LEVEL_INFO, "another node is heard again", node);
    }
}

/* What has changed since the last look. Returns the state. */
static enum process_state look(struct run *run, struct error *err)
{
    struct process_view now;
    struct error replica;
    process_look(run->process, &now, err);
    tell_nodes(run, &now);
    if (now.state != run->view.state && now.state != PROCESS_FAILED) {
        say(run, LOG_LEVEL_INFO, state_text(now.state));
        tell_supervisor(run, state_text(now.state));
    }
    if (!run->replica_told && process_replica_failure(run->process, &replica)) {
        run->replica_told = true;
        say_failed(run, &replica);
        tell_supervisor(run, "its store has failed: what waits for durability waits");
    }
    run->view = now;
    return now.state;
}

/* ---- reloading ------------------------------------------------------------------------------- */

static void reload(struct run *run, const char *status)
{
    struct error err;
    if (notify_reloading(run->daemon->supervisor, &err))
        say(run, LOG_LEVEL_WARNING, err.text);
    run->limits_changed |= daemon_reload(run->daemon);
    tell_ready(run, status);
}

/* The node takes them in its next turn. */
static void hand_over_limits(struct run *run)
{
    struct broker_limits limits = settings_limits(&run->daemon->config);
    if (run->limits_changed && process_set_limits(run->process, &limits))
        run->limits_changed = false;
}

/* ---- starting -------------------------------------------------------------------------------- */

static bool is_stop(int signal_number)
{
    return signal_number == SIGTERM || signal_number == SIGINT;
}

/* Until the region is there. false: *status is the exit status. */
static bool start(struct run *run, int *status)
{
    struct error err;
    bool told = false;
    for (;;) {
        struct process_options options = settings_process(run->daemon);
        int rc = process_start(&options, &run->process, &err);
        if (rc == EMB_OK)
            return true;
        *status = EXIT_FAILURE;
        if (rc != EMB_ERR_UNAVAILABLE) {
            say_failed(run, &err);
            return false;
        }
        if (!told) {
            say(run, LOG_LEVEL_INFO, err.text);
            tell_ready(run, REGION_STATUS);
        }
        told = true;
        *status = EXIT_SUCCESS;
        int signal_number = daemon_wait(run->daemon, LOOK_MS);
        if (is_stop(signal_number))
            return false;
        if (signal_number == SIGHUP)
            reload(run, REGION_STATUS);
    }
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* The sequencer's own node is not asked to let it go. */
static bool sequencer_is_silent(const struct run *run)
{
    return run->view.sequencer < NODE_MAX && (run->view.silent >> run->view.sequencer & 1);
}

/* Stops without having left: what that means for the others. */
static void say_stays(const struct run *run, const char *why)
{
    struct log_field fields[] = {LOG_NUMBER("node", run->daemon->config.node_id),
                                 LOG_TEXT("why", why)};
    daemon_log(run->daemon, LOG_LEVEL_WARNING,
               "stops without leaving the rack: it cannot come back to this region, and what the "
               "others need of it waits for ever",
               fields, COUNT_OF(fields));
}

static void leave(struct run *run)
{
    struct error err;
    process_leave(run->process);
    for (uint32_t waited_ms = 0;; waited_ms += LOOK_MS) {
        enum process_state state = look(run, &err);
        if (state == PROCESS_LEFT)
            return;
        const char *why = state == PROCESS_CANNOT_LEAVE || state == PROCESS_FAILED ? err.text
                          : sequencer_is_silent(run) ? "the sequencer is not there to let it go"
                          : waited_ms >= LEAVE_MS    ? "the rack did not let it go in time"
                                                     : NULL;
        if (!why && is_stop(daemon_wait(run->daemon, LOOK_MS)))
            why = "it was told to stop a second time";
        if (why) {
            say_stays(run, why);
            return;
        }
    }
}

/* ---- running --------------------------------------------------------------------------------- */

/* The exit status, when it was told to stop or has failed. */
static int serve(struct run *run)
{
    struct error err;
    for (;;) {
        if (look(run, &err) == PROCESS_FAILED) {
            say_failed(run, &err);
            return EXIT_FAILURE;
        }
        int signal_number = daemon_wait(run->daemon, LOOK_MS);
        if (signal_number == SIGHUP)
            reload(run, state_text(run->view.state));
        hand_over_limits(run);
        if (!is_stop(signal_number))
            continue;
        say(run, LOG_LEVEL_INFO, "stops");
        notify_stopping(run->daemon->supervisor, NULL);
        leave(run);
        return EXIT_SUCCESS;
    }
}

int run_node(struct daemon *daemon)
{
    struct run run = {.daemon = daemon, .view = {.state = PROCESS_FAILED, .sequencer = NODE_MAX}};
    struct error err;
    int status;
    say_start(&run);
    if (!start(&run, &status))
        return status;
    say_listens(&run);
    uint16_t port = process_port(run.process);
    status = EXIT_FAILURE;
    if (daemon_write_ports(daemon, &port, 1, &err)) {
        say_failed(&run, &err);
    } else {
        tell_ready(&run, "listens");
        status = serve(&run);
    }
    process_stop(run.process);
    daemon_remove_ports(daemon);
    say(&run, LOG_LEVEL_INFO, "stopped");
    return status;
}
