/* Values of options as they are written, and from one configuration to another. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/units.h"
#include "config/option.h"

static const void *field_of(const struct option *option, const struct config *config)
{
    return (const char *)config + option->field;
}

/* ---- as text --------------------------------------------------------------------------------- */

static void number_value(const struct option *option, uint64_t number, char *value)
{
    if ((option->rules & OPTION_NO_DEFAULT) && number == CONFIG_NOT_GIVEN)
        value[0] = '\0';
    else if (option->type == OPTION_SIZE)
        units_size_text(number, value);
    else if (option->type == OPTION_DURATION)
        units_duration_text(number, value);
    else
        snprintf(value, UNITS_TEXT_BYTES, "%llu", (unsigned long long)number);
}

static void set_value(const struct option *option, unsigned bits, char *value)
{
    size_t used = 0;
    value[0] = '\0';
    for (int i = 0; option->choices[i]; i++)
        if (bits >> i & 1)
            used += (size_t)snprintf(value + used, OPTION_VALUE_BYTES - used, "%s%s",
                                     used ? "," : "", option->choices[i]);
    ASSERT(used < OPTION_VALUE_BYTES);
}

void option_value(const struct option *option, const struct config *config,
                  char value[OPTION_VALUE_BYTES])
{
    const void *field = field_of(option, config);
    switch (option->type) {
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        number_value(option, *(const uint64_t *)field, value);
        return;
    case OPTION_BOOL:
        snprintf(value, OPTION_VALUE_BYTES, "%s", *(const bool *)field ? "true" : "false");
        return;
    case OPTION_TEXT:
        snprintf(value, OPTION_VALUE_BYTES, "%s", (const char *)field);
        return;
    case OPTION_ENUM:
        snprintf(value, OPTION_VALUE_BYTES, "%s", option->choices[*(const int *)field]);
        return;
    case OPTION_SET:
        set_value(option, *(const unsigned *)field, value);
        return;
    }
}

static void set_yaml(const char *value, char *yaml)
{
    size_t used = 0;
    yaml[used++] = '[';
    for (; *value; value++) {
        yaml[used++] = *value;
        if (*value == ',')
            yaml[used++] = ' ';
    }
    yaml[used++] = ']';
    yaml[used] = '\0';
}

void option_yaml(const struct option *option, const char *value, char yaml[OPTION_YAML_BYTES])
{
    if (option->type == OPTION_TEXT)
        text_quote(yaml, OPTION_YAML_BYTES, value, strlen(value));
    else if (option->type == OPTION_SET)
        set_yaml(value, yaml);
    else
        snprintf(yaml, OPTION_YAML_BYTES, "%s", value);
}

/* ---- from one to another --------------------------------------------------------------------- */

static size_t field_bytes(const struct option *option)
{
    switch (option->type) {
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return sizeof(uint64_t);
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_TEXT:
        return option->max + 1;
    case OPTION_ENUM:
        return sizeof(int);
    case OPTION_SET:
        return sizeof(unsigned);
    }
    ASSERT(!"a type of the table");
    return 0;
}

bool option_same(const struct option *option, const struct config *a, const struct config *b)
{
    const void *left = field_of(option, a), *right = field_of(option, b);
    if (option->type == OPTION_TEXT)
        return strcmp(left, right) == 0;
    return memcmp(left, right, field_bytes(option)) == 0;
}

void option_copy(const struct option *option, struct config *to, const struct config *from)
{
    memcpy((char *)to + option->field, field_of(option, from), field_bytes(option));
    to->origins[option - option_table] = from->origins[option - option_table];
}
