/*
 * How it works
 *
 * The child writes a message before a seed and one with the result after it. The result is built in
 * memory that both share: whatever a crashed seed had told of its rack and faults is read there,
 * and checked, since a crash may leave anything. The child ends after its first failure.
 */
#include "sim/run/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"

#define ERRORS_BYTES 32768 /* that are looked at */
#define ERRORS_LINES 12    /* shown, if nothing better is found */

enum message_kind { MESSAGE_BEGUN = 1, MESSAGE_RESULT };

struct message {
    uint32_t kind;
    uint32_t index;
};

uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int worker_place(struct worker *worker)
{
    *worker = (struct worker){.pipe = -1, .errors = -1};
    void *shared = mmap(NULL, sizeof *worker->shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    worker->shared = shared;
    return 0;
}

void worker_unplace(struct worker *worker)
{
    if (worker->shared)
        munmap(worker->shared, sizeof *worker->shared);
    worker->shared = NULL;
}

/* ---- the child ------------------------------------------------------------------------------- */

static void child_write(int pipe, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t written = write(pipe, at, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            _exit(1); /* the parent is gone */
        at += written;
        count -= (size_t)written;
    }
}

static void child_run(const struct worker *worker, int pipe)
{
    for (uint32_t i = 0; i < worker->count; i++) {
        struct message message = {.kind = MESSAGE_BEGUN, .index = i};
        child_write(pipe, &message, sizeof message);
        if (ftruncate(worker->errors, 0) == 0)
            lseek(worker->errors, 0, SEEK_SET);
        memset(worker->shared, 0, sizeof *worker->shared);
        run_seed(&worker->runs[i], worker->shared);
        message.kind = MESSAGE_RESULT;
        child_write(pipe, &message, sizeof message);
        child_write(pipe, worker->shared, sizeof *worker->shared);
        if (worker->shared->failed)
            return;
    }
}

static _Noreturn void child_main(const struct worker *worker, int pipe, pid_t parent)
{
    const struct rlimit no_core = {0, 0};

    /* The parent may have died before it could be asked for. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(worker->errors, STDOUT_FILENO);
    dup2(worker->errors, STDERR_FILENO);
    child_run(worker, pipe);
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

int worker_start(struct worker *worker)
{
    pid_t parent = getpid();
    int ends[2];

    worker->errors = memfd_create("sim-errors", MFD_CLOEXEC);
    if (worker->errors < 0)
        return errno;
    if (pipe(ends) != 0) {
        int error = errno;
        close(worker->errors);
        return error;
    }
    worker->done = 0;
    worker->failed = false;
    worker->begun_ns = clock_now_ns();
    memset(worker->shared, 0, sizeof *worker->shared);
    /* What is buffered here must not be written by the child too. */
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child_main(worker, ends[1], parent);
    }
    int error = pid < 0 ? errno : 0;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        close(worker->errors);
        return error;
    }
    worker->pid = pid;
    worker->pipe = ends[0];
    return 0;
}

/* Waits for the end of the child and forgets it; its wait status. */
static int child_reap(struct worker *worker)
{
    int status = 0;
    while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(worker->pipe);
    worker->pid = 0;
    worker->pipe = -1;
    return status;
}

static bool pipe_read(int pipe, void *bytes, size_t count)
{
    char *at = bytes;
    while (count > 0) {
        ssize_t got = read(pipe, at, count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        count -= (size_t)got;
    }
    return true;
}

/* Where the telling part begins: a report of a sanitizer or an assertion, else the last lines. */
static const char *errors_begin(const char *text)
{
    static const char *const marks[] = {"ERROR: ", "runtime error: ", "assertion failed: "};
    const char *at = NULL;
    for (size_t i = 0; i < COUNT_OF(marks) && !at; i++)
        at = strstr(text, marks[i]);
    int lines = at ? 1 : ERRORS_LINES + 1;
    if (!at)
        at = text + strlen(text);
    while (at > text && !(at[-1] == '\n' && --lines == 0))
        at--;
    return at;
}

/* The end of what the child wrote, appended to the finding. */
static void errors_add(const struct worker *worker, struct run_result *result)
{
    static const char title[] = "\nit wrote:\n";
    char text[ERRORS_BYTES + 1];
    struct stat file;
    if (fstat(worker->errors, &file) != 0)
        return;
    off_t from = file.st_size > ERRORS_BYTES ? file.st_size - ERRORS_BYTES : 0;
    ssize_t bytes = pread(worker->errors, text, ERRORS_BYTES, from);
    while (bytes > 0 && (text[bytes - 1] == '\n' || text[bytes - 1] == '\0'))
        bytes--;
    if (bytes <= 0)
        return;
    text[bytes] = '\0';
    size_t used = strlen(result->finding);
    snprintf(result->finding + used, sizeof result->finding - used, "%s%s", title,
             errors_begin(text));
}

/* The result of a run that did not come to its end. */
static void result_of_dead(struct worker *worker, const char *checker, struct run_result *result)
{
    const struct run_result *shared = worker->shared;

    memset(result, 0, sizeof *result);
    result->failed = true;
    snprintf(result->checker, sizeof result->checker, "%s", checker);
    snprintf(result->shape, sizeof result->shape, "%.*s", (int)sizeof shared->shape - 1,
             shared->shape);
    if (shared->fault_count <= RUN_FAULTS_MAX)
        result->fault_count = shared->fault_count;
    for (uint32_t i = 0; i < result->fault_count; i++)
        snprintf(result->faults[i], RUN_FAULT_BYTES, "%.*s", RUN_FAULT_BYTES - 1,
                 shared->faults[i]);
    worker->done++;
    worker->failed = true;
}

static enum worker_news child_ended(struct worker *worker, struct run_result *result)
{
    int status = child_reap(worker);
    enum worker_news news = WORKER_ENDED;

    if (worker->done < worker->count && !worker->failed) {
        result_of_dead(worker, CHECKER_CRASH, result);
        if (WIFSIGNALED(status))
            snprintf(result->finding, sizeof result->finding, "the process ended with SIG%s (%s)",
                     sigabbrev_np(WTERMSIG(status)), sigdescr_np(WTERMSIG(status)));
        else
            snprintf(result->finding, sizeof result->finding,
                     "the process ended itself with exit status %d", WEXITSTATUS(status));
        errors_add(worker, result);
        news = WORKER_RESULT;
    }
    close(worker->errors);
    worker->errors = -1;
    return news;
}

enum worker_news worker_read(struct worker *worker, struct run_result *result)
{
    struct message message;

    if (!pipe_read(worker->pipe, &message, sizeof message))
        return child_ended(worker, result);
    if (message.kind == MESSAGE_BEGUN) {
        worker->begun_ns = clock_now_ns();
        return WORKER_NOTHING;
    }
    if (!pipe_read(worker->pipe, result, sizeof *result))
        return child_ended(worker, result);
    worker->done++;
    worker->failed = result->failed;
    worker->begun_ns = clock_now_ns();
    return WORKER_RESULT;
}

void worker_hung(struct worker *worker, uint64_t limit_ns, struct run_result *result)
{
    kill(worker->pid, SIGKILL);
    child_reap(worker);
    result_of_dead(worker, CHECKER_HANG, result);
    snprintf(result->finding, sizeof result->finding,
             "the seed took longer than %llu s of real time",
             (unsigned long long)(limit_ns / 1000000000u));
    errors_add(worker, result);
    close(worker->errors);
    worker->errors = -1;
}

void worker_end(struct worker *worker)
{
    if (worker->pid == 0)
        return;
    kill(worker->pid, SIGKILL);
    child_reap(worker);
    close(worker->errors);
    worker->errors = -1;
}
