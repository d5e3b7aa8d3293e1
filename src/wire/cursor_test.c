#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/wire.h"

static const unsigned char golden[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e, 0x0d,
                                       0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x03, 0x00, 'a',  'b',  'c'};

static void put_all(struct wire_writer *w)
{
    wire_put_u8(w, 0x01);
    wire_put_u16(w, 0x0203);
    wire_put_u32(w, 0x04050607);
    wire_put_u64(w, 0x08090a0b0c0d0e0fULL);
    wire_put_text(w, "abc");
}

static void numbers_and_text_have_their_golden_bytes(void **state)
{
    unsigned char bytes[sizeof golden];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    put_all(&w);
    assert_false(w.overflow);
    assert_int_equal(w.used, sizeof golden);
    assert_memory_equal(bytes, golden, sizeof golden);

    struct wire_reader r;
    char text[4];
    wire_reader_init(&r, golden, sizeof golden, NULL);
    assert_int_equal(wire_get_u8(&r, "a"), 0x01);
    assert_int_equal(wire_get_u16(&r, "b"), 0x0203);
    assert_int_equal(wire_get_u32(&r, "c"), 0x04050607);
    assert_int_equal(wire_get_u64(&r, "d"), 0x08090a0b0c0d0e0fULL);
    wire_get_text(&r, "e", text, sizeof text);
    assert_string_equal(text, "abc");
    assert_int_equal(wire_reader_end(&r), EMB_OK);
}

static void a_writer_never_passes_its_end(void **state)
{
    for (size_t capacity = 0; capacity < sizeof golden; capacity++) {
        unsigned char bytes[sizeof golden];
        memset(bytes, 0xee, sizeof bytes);
        struct wire_writer w;
        wire_writer_init(&w, bytes, capacity);
        put_all(&w);
        assert_true(w.overflow && w.used <= capacity);
        assert_memory_equal(bytes, golden, w.used);
        for (size_t i = w.used; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0xee);
    }
}

static void text_longer_than_its_length_overflows(void **state)
{
    char *text = malloc(UINT16_MAX + 2);
    unsigned char *bytes = malloc(UINT16_MAX + 16);
    memset(text, 'x', UINT16_MAX + 1);
    text[UINT16_MAX + 1] = '\0';
    struct wire_writer w;
    wire_writer_init(&w, bytes, UINT16_MAX + 16);
    wire_put_text(&w, text + 1);
    assert_false(w.overflow);
    assert_int_equal(w.used, UINT16_MAX + 2);
    wire_writer_init(&w, bytes, UINT16_MAX + 16);
    wire_put_text(&w, text);
    assert_true(w.overflow);
    assert_int_equal(w.used, 0);
    free(bytes);
    free(text);
}

static void the_first_error_stays(void **state)
{
    struct wire_reader r;
    struct error err;
    char text[8] = "before";
    wire_reader_init(&r, "\1\2\3", 3, &err);
    assert_int_equal(wire_get_u8(&r, "first"), 1);
    assert_int_equal(wire_get_u32(&r, "second"), 0);
    assert_int_equal(wire_get_u8(&r, "third"), 0);
    wire_get_text(&r, "fourth", text, sizeof text);
    assert_string_equal(text, "");
    wire_reader_fail(&r, "fifth");
    assert_int_equal(r.at, 1);
    assert_int_equal(wire_reader_end(&r), EMB_ERR_PROTOCOL);
    assert_string_equal(err.text, "second needs 4 bytes, but only 2 of the body's 3 are left");
}

static void bytes_left_are_an_error(void **state)
{
    struct wire_reader r;
    struct error err;
    wire_reader_init(&r, "\1\2\3", 3, &err);
    wire_get_u16(&r, "number");
    assert_int_equal(wire_reader_end(&r), EMB_ERR_PROTOCOL);
    assert_string_equal(err.text, "1 bytes are left after the last field of a body of 3");
    wire_reader_init(&r, NULL, 0, NULL);
    assert_int_equal(wire_reader_end(&r), EMB_OK);
}

static int text_result(const void *bytes, size_t count, char *text, size_t capacity)
{
    struct wire_reader r;
    unsigned char *copy = malloc(count ? count : 1);
    memcpy(copy, bytes, count);
    wire_reader_init(&r, copy, count, NULL);
    wire_get_text(&r, "text", text, capacity);
    int result = wire_reader_end(&r);
    free(copy);
    return result;
}

static void text_is_bounded_and_has_no_zero(void **state)
{
    char text[4];
    assert_int_equal(text_result("\0\0", 2, text, sizeof text), EMB_OK);
    assert_string_equal(text, "");
    assert_int_equal(text_result("\3\0abc", 5, text, sizeof text), EMB_OK);
    assert_int_equal(text_result("\4\0abcd", 6, text, sizeof text), EMB_ERR_PROTOCOL);
    assert_string_equal(text, "");
    assert_int_equal(text_result("\3\0a\0c", 5, text, sizeof text), EMB_ERR_PROTOCOL);
    assert_string_equal(text, "");
    assert_int_equal(text_result("\3\0ab", 4, text, sizeof text), EMB_ERR_PROTOCOL);
    assert_int_equal(text_result("\xff\xff", 2, text, sizeof text), EMB_ERR_PROTOCOL);
    assert_int_equal(text_result("\1", 1, text, sizeof text), EMB_ERR_PROTOCOL);
    char one[1];
    assert_int_equal(text_result("\0\0", 2, one, sizeof one), EMB_OK);
    assert_int_equal(text_result("\1\0a", 3, one, sizeof one), EMB_ERR_PROTOCOL);
}

static void a_choice_has_a_last_value(void **state)
{
    for (unsigned value = 0; value < 256; value++) {
        unsigned char byte = (unsigned char)value;
        struct wire_reader r;
        struct error err;
        wire_reader_init(&r, &byte, 1, &err);
        assert_int_equal(wire_get_choice(&r, "level", 2), value <= 2 ? value : 0);
        assert_int_equal(wire_reader_end(&r), value <= 2 ? EMB_OK : EMB_ERR_PROTOCOL);
        if (value == 3)
            assert_string_equal(err.text, "level is 3; 0 to 2 are accepted");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_text_have_their_golden_bytes),
        cmocka_unit_test(a_writer_never_passes_its_end),
        cmocka_unit_test(text_longer_than_its_length_overflows),
        cmocka_unit_test(the_first_error_stays),
        cmocka_unit_test(bytes_left_are_an_error),
        cmocka_unit_test(text_is_bounded_and_has_no_zero),
        cmocka_unit_test(a_choice_has_a_last_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
