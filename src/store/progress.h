/*
 * The cookies by which the store knows its completions. Writes of the staging have their number.
 * Writer and reader: the store's agent. Lifetime: while an operation is under way.
 */
#ifndef STORE_PROGRESS_H
#define STORE_PROGRESS_H

#include <stdint.h>

#define PROGRESS_HEAD UINT64_MAX
#define PROGRESS_SYNC (UINT64_MAX - 1)

#endif
