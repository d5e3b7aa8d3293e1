/*
 * Errors: a code of embarcadero/errors.h with a sentence that names the thing, the value and what
 * would be accepted. Functions that can fail on outside input take a `struct error *` (may be NULL)
 * and return the code. Written and read by one thread. House, habit 6.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "embarcadero/errors.h"

#define ERROR_TEXT_BYTES 320

struct error {
    int code; /* EMB_OK or a negative EMB_ERR_* */
    char text[ERROR_TEXT_BYTES];
};

/* Fills *err (if not NULL) and returns code, so that a caller can `return error_set(...)`. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The table's text of a code ("unknown error" if it is in no row). Static storage. */
const char *error_text(int code);

/* The table's name of a code, for example "UNKNOWN_TOPIC". Static storage. */
const char *error_name(int code);

/* The code of a value read from the wire; unknown values become EMB_ERR_PROTOCOL. 0 stays 0. */
int error_from_wire(unsigned value);

#endif
