/* Lines as they arrive at the other end of a pipe. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "bin/log.h"

static int ends[2];
static char text[4096];

static int enter(void **state)
{
    return pipe2(ends, O_NONBLOCK | O_CLOEXEC);
}

static int leave(void **state)
{
    return close(ends[0]) || close(ends[1]);
}

/* What has been written; "" when nothing has. */
static const char *written(void)
{
    ssize_t bytes = read(ends[0], text, sizeof text - 1);
    text[bytes > 0 ? bytes : 0] = '\0';
    return text;
}

static void journal_stream_of(int fd, char stream[64])
{
    struct stat found;
    assert_int_equal(fstat(fd, &found), 0);
    snprintf(stream, 64, "%llu:%llu", (unsigned long long)found.st_dev,
             (unsigned long long)found.st_ino);
}

static void only_what_is_urgent_enough_is_written(void **state)
{
    struct log log;
    log_init(&log, ends[1], CONFIG_LOG_AUTO, LOG_LEVEL_WARNING, NULL);
    log_write(&log, LOG_LEVEL_INFO, "quiet", NULL, 0);
    assert_string_equal(written(), "");
    log_write(&log, LOG_LEVEL_WARNING, "heard", NULL, 0);
    assert_non_null(strstr(written(), "Z warning heard\n"));
    log.shown = LOG_LEVEL_DEBUG;
    log_write(&log, LOG_LEVEL_DEBUG, "all", NULL, 0);
    assert_non_null(strstr(written(), "Z debug all\n"));
}

static void the_journal_is_known_by_its_descriptor(void **state)
{
    char stream[64];
    struct log log;
    struct log_field fields[] = {LOG_NUMBER("node", 3), LOG_TEXT("host", "a b")};
    journal_stream_of(ends[1], stream);
    log_init(&log, ends[1], CONFIG_LOG_AUTO, LOG_LEVEL_INFO, stream);
    log_write(&log, LOG_LEVEL_ERROR, "gone", fields, COUNT_OF(fields));
    assert_string_equal(written(), "<3>gone node=3 host=\"a b\"\n");
    log_init(&log, ends[1], CONFIG_LOG_TEXT, LOG_LEVEL_INFO, stream);
    assert_int_equal(log.form, LOG_FORM_TEXT);
    log_init(&log, ends[1], CONFIG_LOG_JSON, LOG_LEVEL_INFO, stream);
    assert_int_equal(log.form, LOG_FORM_JSON);
}

static void another_descriptor_is_not_the_journal(void **state)
{
    static const char *const others[] = {NULL, "", "1", "x:y", "0:0", "1:2"};
    struct log log;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        log_init(&log, ends[1], CONFIG_LOG_AUTO, LOG_LEVEL_INFO, others[i]);
        assert_int_equal(log.form, LOG_FORM_TEXT);
    }
}

static void lines_have_the_time(void **state)
{
    struct log log;
    int year;
    log_init(&log, ends[1], CONFIG_LOG_JSON, LOG_LEVEL_INFO, NULL);
    log_write(&log, LOG_LEVEL_INFO, "ready", NULL, 0);
    assert_int_equal(sscanf(written(), "{\"time\":\"%d-", &year), 1);
    assert_true(year >= 2025);
    assert_non_null(strstr(text, "Z\",\"level\":\"info\",\"message\":\"ready\"}\n"));
}

static void what_cannot_be_written_is_lost_without_harm(void **state)
{
    struct log log;
    log_init(&log, -1, CONFIG_LOG_AUTO, LOG_LEVEL_INFO, "1:1");
    log_write(&log, LOG_LEVEL_INFO, "nobody", NULL, 0);
    log_init(&log, ends[1], CONFIG_LOG_AUTO, LOG_LEVEL_INFO, NULL);
    char message[900];
    memset(message, 'm', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    for (int i = 0; i < 200; i++) /* more than a pipe holds */
        log_write(&log, LOG_LEVEL_INFO, message, NULL, 0);
    size_t lines = 0;
    while (*written())
        for (char *at = text; (at = strchr(at, '\n')); at++)
            lines++;
    assert_true(lines > 10 && lines < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_urgent_enough_is_written),
        cmocka_unit_test(the_journal_is_known_by_its_descriptor),
        cmocka_unit_test(another_descriptor_is_not_the_journal),
        cmocka_unit_test(lines_have_the_time),
        cmocka_unit_test(what_cannot_be_written_is_lost_without_harm),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
