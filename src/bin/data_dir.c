#include "bin/data_dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 1024

struct data_dir {
    struct env_dir *lock;
    char path[PATH_BYTES];
    uint32_t nodes;
    bool made;
};

static void node_path(const struct data_dir *data, uint32_t node, char path[PATH_BYTES + 16])
{
    snprintf(path, PATH_BYTES + 16, "%s/node%u", data->path, node);
}

static int refuse_earlier_log(const struct data_dir *data, struct error *err)
{
    for (uint32_t node = 0; node < data->nodes; node++) {
        char path[PATH_BYTES + 16];
        node_path(data, node, path);
        if (access(path, F_OK) == 0)
            return error_set(err, EMB_ERR_EXISTS,
                             "data directory %s already holds %s; a log is never overwritten, and "
                             "starting from one is not built yet: choose another --data, or "
                             "remove it yourself",
                             data->path, path);
    }
    return EMB_OK;
}

int data_dir_open(struct env *env, const char *path, uint32_t nodes, struct data_dir **out,
                  struct error *err)
{
    struct data_dir *data = calloc(1, sizeof *data);
    if (!data)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory");
    snprintf(data->path, sizeof data->path, "%s", path);
    data->nodes = nodes;
    data->made = access(path, F_OK) != 0;
    int rc =
        env_dir_open(env, path, ENV_DIR_CREATE | ENV_DIR_LOCK | ENV_DIR_WRITE, &data->lock, err);
    if (rc == EMB_OK) {
        rc = refuse_earlier_log(data, err);
        if (rc)
            env_dir_close(data->lock);
    }
    if (rc) {
        free(data);
        return rc;
    }
    *out = data;
    return EMB_OK;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

void data_dir_close(struct data_dir *data, bool keep)
{
    for (uint32_t node = 0; node < data->nodes && !keep; node++) {
        char path[PATH_BYTES + 16];
        node_path(data, node, path);
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    if (!keep) {
        char lock[PATH_BYTES + 16];
        snprintf(lock, sizeof lock, "%s/LOCK", data->path);
        unlink(lock);
    }
    env_dir_close(data->lock);
    if (!keep && data->made)
        rmdir(data->path);
    free(data);
}
