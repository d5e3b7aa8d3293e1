/*
 * The data directory of a rack in one process: locked while it runs; what this run made in it is
 * removed afterwards unless it is to be kept. What was there before is never touched. Main thread.
 */
#ifndef BIN_DATA_DIR_H
#define BIN_DATA_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"

struct data_dir;

/*
 * Makes and locks it. EMB_ERR_BUSY: another process holds it; EMB_ERR_EXISTS: it holds a node's
 * directory already (named: a log is never overwritten); EMB_ERR_PERMISSION.
 */
int data_dir_open(struct env *env, const char *path, uint32_t nodes, struct data_dir **data,
                  struct error *err);
/* Unlocks it; without `keep` the nodes' directories go, and the directory itself if it was made. */
void data_dir_close(struct data_dir *data, bool keep);

#endif
