#include "sim/core/coverage.h"

static struct coverage coverage;

static const struct {
    const char *name, *text;
} rows[] = {
#define COVERAGE_ROW(name, text) {#name, text},
    COVERAGE(COVERAGE_ROW)
#undef COVERAGE_ROW
};

struct coverage *coverage_of_world(void)
{
    return &coverage;
}

const char *coverage_text(enum coverage_counter counter)
{
    return rows[counter].text;
}

const char *coverage_name(enum coverage_counter counter)
{
    return rows[counter].name;
}
