/*
 * Fuzz target: any bytes as a configuration file. What is accepted must be printed as a file that
 * is accepted again and gives the same values; what is refused, with one line that names the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "config/option.h"

#define PATH "fuzz.yaml"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct input {
    const void *bytes;
    size_t count;
};

static int read_input(void *arg, const char *path, char *bytes, size_t capacity, size_t *count,
                      struct error *err)
{
    const struct input *input = arg;
    (void)path;
    if (input->count > capacity)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, PATH " is too large");
    memcpy(bytes, input->bytes, input->count);
    *count = input->count;
    return EMB_OK;
}

static void check_refusal(int result, const struct error *err)
{
    ASSERT(result == EMB_ERR_INVALID_ARGUMENT && err->code == result);
    /* A default that does not go with what the file says is named alone. */
    ASSERT(strstr(err->text, PATH) || strstr(err->text, "accepted: "));
    ASSERT(!strchr(err->text, '\n') && strlen(err->text) + 1 < sizeof err->text);
}

static void check_again(const struct config *first)
{
    char *text = NULL;
    struct input input = {0};
    FILE *to = open_memstream(&text, &input.count);
    ASSERT(to);
    config_print_effective(to, first);
    ASSERT(fclose(to) == 0);
    struct config second;
    input.bytes = text;
    ASSERT(config_parse_file(PATH, read_input, &input, &second, NULL) == EMB_OK);
    for (int i = 0; i < option_count; i++)
        ASSERT(option_same(&option_table[i], first, &second));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct input input = {bytes, count};
    struct config config;
    struct error err = {0};
    int result = config_parse_file(PATH, read_input, &input, &config, &err);
    if (result == EMB_OK)
        check_again(&config);
    else
        check_refusal(result, &err);
    return 0;
}
