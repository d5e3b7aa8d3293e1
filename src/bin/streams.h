/*
 * Descriptors 0, 1 and 2 of a process that was started without some of them. What it opens next
 * would get their numbers: a region or a store, into which it then printed. Called by each main,
 * first of all and before any thread.
 */
#ifndef BIN_STREAMS_H
#define BIN_STREAMS_H

/*
 * Opens /dev/null in place of those that are closed, the wrong way round: who reads from standard
 * input or writes to the others still meets EBADF, as before (gnulib's stdopen does the same).
 * Returns 0, or -1 with errno.
 */
int streams_open(void);

#endif
