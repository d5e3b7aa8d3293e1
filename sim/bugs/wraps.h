/*
 * How a function of the production code is wrapped: the linker, told `--wrap=NAME`, sends its
 * callers in other files to __wrap_NAME and calls the function itself __real_NAME. sim/meson.build
 * has the list of names.
 */
#ifndef SIM_BUGS_WRAPS_H
#define SIM_BUGS_WRAPS_H

#define WRAPS(type, name, ...)                                                                     \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)
#define REAL(name) __real_##name

#endif
