/*
 * Assertions that stay on in production: for arguments at internal borders, before a publish and
 * after an observe. What a client, a disk or another host sent is checked, never asserted.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/* Prints the failed condition and its place to stderr and aborts. */
_Noreturn void assert_failed(const char *condition, const char *file, int line);

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            assert_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)

#endif
