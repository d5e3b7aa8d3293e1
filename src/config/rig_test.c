#include "config/rig_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int read_text(void *arg, const char *path, char *bytes, size_t capacity, size_t *count,
                     struct error *err)
{
    const struct rig *rig = arg;
    if (!rig->file || strcmp(path, RIG_FILE) != 0)
        return error_set(err, EMB_ERR_NOT_FOUND, "%s: no such file", path);
    *count = strlen(rig->file);
    assert_true(*count <= capacity);
    memcpy(bytes, rig->file, *count);
    return EMB_OK;
}

void rig_set_sources(struct rig *rig, const char *line)
{
    int argc = 0;
    static char program[] = "embarcaderod";
    rig->argv[argc++] = program;
    assert_true(strlen(line) < sizeof rig->line);
    memcpy(rig->line, line, strlen(line) + 1);
    for (char *rest = rig->line, *word; (word = strsep(&rest, " "));)
        if (*word) {
            assert_true(argc < RIG_WORDS);
            rig->argv[argc++] = word;
        }
    rig->sources = (struct config_sources){.argc = argc,
                                           .argv = rig->argv,
                                           .environment = rig->variables,
                                           .read_fn = read_text,
                                           .read_arg = rig};
}

int rig_parse(struct rig *rig, const char *line)
{
    rig_set_sources(rig, line);
    memset(&rig->error, 0, sizeof rig->error);
    return config_parse(&rig->sources, &rig->config, &rig->error);
}

int rig_parse_file(struct rig *rig, const char *text)
{
    rig->file = text;
    return rig_parse(rig, "--config " RIG_FILE " --node-id 0 --region shm:rack");
}

void rig_accepts(struct rig *rig, const char *line)
{
    if (rig_parse(rig, line) != EMB_OK)
        fail_msg("\"%s\" is refused: %s", line, rig->error.text);
}

void rig_says(const struct rig *rig, const char *part)
{
    if (!strstr(rig->error.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, rig->error.text);
}

static void check_refusal(const struct rig *rig, int result, const char *what)
{
    if (result != EMB_ERR_INVALID_ARGUMENT)
        fail_msg("\"%s\" gave %d", what, result);
    assert_int_equal(rig->error.code, EMB_ERR_INVALID_ARGUMENT);
    assert_null(strchr(rig->error.text, '\n'));
}

void rig_refuses(struct rig *rig, const char *line, const char *a, const char *b, const char *c)
{
    check_refusal(rig, rig_parse(rig, line), line);
    rig_says(rig, a);
    rig_says(rig, b);
    rig_says(rig, c);
}

void rig_refuses_file(struct rig *rig, const char *text, const char *place, const char *a,
                      const char *b)
{
    check_refusal(rig, rig_parse_file(rig, text), text);
    if (strncmp(rig->error.text, place, strlen(place)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", rig->error.text, place);
    rig_says(rig, a);
    rig_says(rig, b);
}
