/* The daemon: one node of a rack, or with --dev a whole rack in this process. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bin/daemon.h"
#include "bin/settings.h"
#include "bin/streams.h"

#define EXIT_USAGE 2

/* Signals are waited for by the main thread alone; all threads inherit the mask. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* As many as the system allows: every connection takes one. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int run(struct daemon *d)
{
    log_init(&d->log, STDERR_FILENO, (enum config_log_format)d->config.log_format,
             (enum log_level)d->config.log_level, getenv("JOURNAL_STREAM"));
    d->supervisor = getenv("NOTIFY_SOCKET");
    raise_descriptor_limit();
    block_signals(&d->signals);
    d->env = env_create();
    if (!d->env) {
        fprintf(stderr, "embarcaderod: no memory\n");
        return EXIT_FAILURE;
    }
    int status = d->config.dev ? run_rack(d) : run_node(d);
    env_destroy(d->env);
    return status;
}

/* What is printed instead of running; -1: nothing was asked for. */
static int print_only(const struct config *config)
{
    if (config->help)
        config_print_help(stdout, "embarcaderod");
    else if (config->version)
        printf("embarcaderod %s\n", EMBARCADERO_VERSION);
    else if (config->check)
        config_print_effective(stdout, config);
    else
        return -1;
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct error err;
    struct daemon daemon = {.sources = {.argc = argc,
                                        .argv = argv,
                                        .environment = (const char *const *)environ,
                                        .read_fn = config_read_file}};
    if (streams_open()) {
        perror("embarcaderod: /dev/null");
        return EXIT_FAILURE;
    }
    if (config_parse(&daemon.sources, &daemon.config, &err) ||
        settings_check(&daemon.config, &err)) {
        fprintf(stderr, "embarcaderod: %s\n", err.text);
        return EXIT_USAGE;
    }
    int status = print_only(&daemon.config);
    return status < 0 ? run(&daemon) : status;
}
