/* Real files, in a directory of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

static char place[] = "config-read-XXXXXX";
static struct error error;
static char bytes[64];
static size_t count;

static int enter(void **state)
{
    return mkdtemp(place) && chdir(place) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    return chdir("..") || rmdir(place);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(const char *path, size_t capacity, int code, const char *why)
{
    assert_int_equal(config_read_file(NULL, path, bytes, capacity, &count, &error), code);
    assert_int_equal(error.code, code);
    assert_non_null(strstr(error.text, path));
    if (!strstr(error.text, why))
        fail_msg("\"%s\" is not in \"%s\"", why, error.text);
}

static void a_file_is_read_whole_up_to_the_limit(void **state)
{
    write_file("some", "port: 7000\n");
    assert_int_equal(config_read_file(NULL, "some", bytes, sizeof bytes, &count, &error), EMB_OK);
    assert_int_equal(count, 11);
    assert_memory_equal(bytes, "port: 7000\n", 11);
    assert_int_equal(config_read_file(NULL, "some", bytes, 11, &count, &error), EMB_OK);
    assert_int_equal(count, 11);
    assert_refused("some", 10, EMB_ERR_INVALID_ARGUMENT, "at most 10 bytes");
    unlink("some");
    write_file("empty", "");
    assert_int_equal(config_read_file(NULL, "empty", bytes, sizeof bytes, &count, &error), EMB_OK);
    assert_int_equal(count, 0);
    unlink("empty");
}

static void what_is_no_regular_file_is_refused(void **state)
{
    assert_refused("none", sizeof bytes, EMB_ERR_NOT_FOUND, "No such file");
    assert_refused("/", sizeof bytes, EMB_ERR_INVALID_ARGUMENT, "is a directory");
    assert_refused("/dev/zero", sizeof bytes, EMB_ERR_INVALID_ARGUMENT, "is no regular file");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_refused("pipe", sizeof bytes, EMB_ERR_INVALID_ARGUMENT, "is no regular file");
    unlink("pipe");
}

static void what_may_not_be_read_is_told(void **state)
{
    if (geteuid() == 0) {
        /* root reads everything; what it cannot read either is told the same way. */
        assert_refused("/proc/self/mem", sizeof bytes, EMB_ERR_IO, "Input/output error");
        return;
    }
    write_file("secret", "port: 1\n");
    assert_int_equal(chmod("secret", 0), 0);
    assert_refused("secret", sizeof bytes, EMB_ERR_PERMISSION, "Permission denied");
    unlink("secret");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_up_to_the_limit),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(what_may_not_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
