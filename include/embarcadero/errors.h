/*
 * The one table of results.
 *
 * Every call of the library and every answer on the wire uses these codes: 0 is success, a failure
 * is the negative EMB_ERR_* value. Wire values are part of the protocol and never change meaning.
 */
#ifndef EMBARCADERO_ERRORS_H
#define EMBARCADERO_ERRORS_H

/* X(name, wire value, text) */
#define EMB_ERROR_TABLE(X)                                                                         \
    X(INVALID_ARGUMENT, 1, "invalid argument")                                                     \
    X(NO_MEMORY, 2, "out of memory")                                                               \
    X(IO, 3, "input/output error")                                                                 \
    X(NOT_FOUND, 4, "not found")                                                                   \
    X(EXISTS, 5, "already exists")                                                                 \
    X(BUSY, 6, "in use by another")                                                                \
    X(PERMISSION, 7, "permission denied")                                                          \
    X(NO_SPACE, 8, "no space left")                                                                \
    X(CORRUPT, 9, "corrupted data")                                                                \
    X(VERSION, 10, "version not supported")                                                        \
    X(MISMATCH, 11, "settings do not match")                                                       \
    X(TIMEOUT, 12, "timed out")                                                                    \
    X(CLOSED, 13, "connection closed")                                                             \
    X(UNAVAILABLE, 14, "not available now")                                                        \
    X(PROTOCOL, 15, "malformed frame")                                                             \
    X(UNKNOWN_TOPIC, 16, "unknown topic")                                                          \
    X(TOPIC_EXISTS, 17, "topic already exists")                                                    \
    X(INVALID_TOPIC, 18, "invalid topic name")                                                     \
    X(INVALID_SETTING, 19, "impossible setting")                                                   \
    X(UNKNOWN_SESSION, 20, "unknown session")                                                      \
    X(SESSION_FENCED, 21, "session ended")                                                         \
    X(SEQUENCE, 22, "batch straddles the session's next sequence")                                 \
    X(CORRUPT_BATCH, 23, "corrupted batch")                                                        \
    X(BATCH_TOO_LARGE, 24, "batch too large")                                                      \
    X(BACKPRESSURE, 25, "broker is full, send again")                                              \
    X(RETRY, 26, "batch was not ordered, send it again unchanged")                                 \
    X(LOST, 27, "the range of this batch was declared lost")                                       \
    X(OFFSET_OUT_OF_RANGE, 28, "offset out of range")                                              \
    X(LIMIT, 29, "limit reached")                                                                  \
    X(NOT_SUPPORTED, 30, "not supported")                                                          \
    X(STALE_EPOCH, 31, "acted for an epoch that is over")                                          \
    X(INTERNAL, 32, "internal error")

enum emb_error_code {
    EMB_OK = 0,
#define EMB_ERROR_ENUM(name, value, text) EMB_ERR_##name = -(value),
    EMB_ERROR_TABLE(EMB_ERROR_ENUM)
#undef EMB_ERROR_ENUM
};

#endif
