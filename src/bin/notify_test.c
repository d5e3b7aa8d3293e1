/* systemd's side: a socket that takes datagrams, by path and by abstract name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "bin/notify.h"

static char place[] = "/tmp/embarcadero-notify-XXXXXX";
static char address[80];
static int listener = -1;
static struct error error;

/* Binds `name`; its first byte is what is bound to, '\0' for the abstract space. */
static void listen_on(const char *name, size_t bytes)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, name, bytes);
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)),
                     0);
}

static int enter(void **state)
{
    if (!mkdtemp(place))
        return -1;
    snprintf(address, sizeof address, "%s/notify", place);
    listen_on(address, strlen(address) + 1);
    return 0;
}

static int leave(void **state)
{
    close(listener);
    snprintf(address, sizeof address, "%s/notify", place);
    unlink(address);
    return rmdir(place);
}

/* The next datagram; it was sent before, so nothing is waited for. */
static const char *received(void)
{
    static char state[1024];
    ssize_t bytes = recv(listener, state, sizeof state - 1, 0);
    assert_true(bytes > 0);
    state[bytes] = '\0';
    return state;
}

static void states_are_those_of_sd_notify(void **state)
{
    assert_int_equal(notify_ready(address, NULL, &error), EMB_OK);
    assert_string_equal(received(), "READY=1");
    assert_int_equal(notify_ready(address, "node 3 of 4", &error), EMB_OK);
    assert_string_equal(received(), "READY=1\nSTATUS=node 3 of 4");
    assert_int_equal(notify_status(address, "leaving", &error), EMB_OK);
    assert_string_equal(received(), "STATUS=leaving");
    assert_int_equal(notify_stopping(address, &error), EMB_OK);
    assert_string_equal(received(), "STOPPING=1");
}

static void a_reload_says_when_it_began(void **state)
{
    unsigned long long first, second;
    assert_int_equal(notify_reloading(address, &error), EMB_OK);
    assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%llu", &first), 1);
    assert_int_equal(notify_reloading(address, &error), EMB_OK);
    assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%llu", &second), 1);
    assert_true(first > 0 && second >= first);
}

static void a_status_is_one_line(void **state)
{
    char status[1000];
    assert_int_equal(notify_status(address, "a\nREADY=0", &error), EMB_OK);
    assert_string_equal(received(), "STATUS=a\\nREADY=0");
    memset(status, 's', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    assert_int_equal(notify_ready(address, status, &error), EMB_OK);
    const char *got = received();
    assert_memory_equal(got, "READY=1\nSTATUS=sss", 18);
    assert_true(strlen(got) > 400 && strlen(got) < 520);
}

static void abstract_names_begin_with_an_at_sign(void **state)
{
    char name[60];
    int path_listener = listener;
    int bytes = snprintf(name, sizeof name, "@embarcadero-notify-%d", (int)getpid());
    name[0] = '\0';
    listen_on(name, (size_t)bytes);
    name[0] = '@';
    assert_int_equal(notify_stopping(name, &error), EMB_OK);
    assert_string_equal(received(), "STOPPING=1");
    close(listener);
    listener = path_listener;
}

static void nobody_listening_is_no_failure(void **state)
{
    assert_int_equal(notify_ready(NULL, "x", &error), EMB_OK);
    assert_int_equal(notify_ready("", "x", &error), EMB_OK);
    assert_int_equal(notify_stopping(NULL, NULL), EMB_OK);
}

static void what_cannot_be_reached_is_told(void **state)
{
    char gone[100];
    snprintf(gone, sizeof gone, "%s/gone", place);
    assert_int_equal(notify_ready(gone, NULL, &error), EMB_ERR_IO);
    assert_non_null(strstr(error.text, gone));
    assert_int_equal(notify_ready("relative", NULL, &error), EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "\"relative\""));
    assert_int_equal(notify_ready("@", NULL, &error), EMB_ERR_INVALID_ARGUMENT);
    char longest[120];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(notify_ready(longest, NULL, &error), EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "107 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_those_of_sd_notify),
        cmocka_unit_test(a_reload_says_when_it_began),
        cmocka_unit_test(a_status_is_one_line),
        cmocka_unit_test(abstract_names_begin_with_an_at_sign),
        cmocka_unit_test(nobody_listening_is_no_failure),
        cmocka_unit_test(what_cannot_be_reached_is_told),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
