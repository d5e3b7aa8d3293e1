/*
 * What the tests of errors share. The tables in errors_test.c and errors_*_test.c have a row for
 * each error that the public header names of a function; errors_test.py compares them. A row
 * provokes the error and looks at its code, and for words in its text: the thing, the value, what
 * would be accepted. Each test has a rack and a client of its own.
 */
#ifndef CLIENT_ERRORS_RIG_H
#define CLIENT_ERRORS_RIG_H

#include "client/fake_rack.h"
#include "embarcadero/embarcadero.h"

#define SHORT_MS 150u   /* for what is to time out */
#define LONG_MS  20000u /* for what is not */

/* A row: its test is called with `what` as its state. */
#define ROW_OF(function, error, test, what)                                                        \
    {                                                                                              \
        .name = #function ":" #error, .test_func = test, .initial_state = (void *)(uintptr_t)what  \
    }
#define ROW(function, error, test) ROW_OF(function, error, test, NULL)

struct scene {
    struct fake_rack rack;
    struct emb_client *client;
    struct emb_error err;
    bool rack_is_gone;
};

/* The rack, ready to be told what it shall do. */
void scene_init(struct scene *s);
void scene_start(struct scene *s, uint32_t timeout_ms);
/* From here on nobody listens. */
void scene_leave(struct scene *s);
void scene_end(struct scene *s);

/* The code, in err too, and each of the words (up to NULL) in its text. */
void expect_words(const struct emb_error *err, int got, int code, const char *const *words);
#define EXPECT(err, got, code, ...)                                                                \
    expect_words(err, got, code, (const char *const[]){__VA_ARGS__, NULL})

#endif
