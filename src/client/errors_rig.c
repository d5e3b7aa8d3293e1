#include "client/errors_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void scene_init(struct scene *s)
{
    memset(s, 0, sizeof *s);
    fake_rack_init(&s->rack, 2);
}

void scene_start(struct scene *s, uint32_t timeout_ms)
{
    struct emb_client_options options;

    fake_rack_start(&s->rack);
    emb_client_options_init(&options);
    options.brokers = s->rack.address;
    options.timeout_ms = timeout_ms;
    if (emb_client_open(&options, &s->client, &s->err) != EMB_OK)
        fail_msg("%s", s->err.text);
}

void scene_leave(struct scene *s)
{
    fake_rack_stop(&s->rack);
    s->rack_is_gone = true;
}

void scene_end(struct scene *s)
{
    assert_int_equal(emb_client_close(s->client, &s->err), EMB_OK);
    assert_int_equal(s->err.code, EMB_OK);
    if (!s->rack_is_gone)
        fake_rack_stop(&s->rack);
    fake_rack_free(&s->rack);
}

void expect_words(const struct emb_error *err, int got, int code, const char *const *words)
{
    if (got != code || err->code != code)
        fail_msg("%s was expected; %s came: %s", emb_error_name(code), emb_error_name(got),
                 err->text);
    for (; *words != NULL; words++)
        if (strstr(err->text, *words) == NULL)
            fail_msg("\"%s\" is not in: %s", *words, err->text);
}
