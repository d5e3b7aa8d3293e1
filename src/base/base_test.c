#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/checksum.h"
#include "base/error.h"
#include "base/ring.h"

static void crc32c_matches_rfc3720(void **state)
{
    /* RFC 3720, appendix B.4. */
    unsigned char bytes[32] = {0};
    assert_int_equal(crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(crc32c(bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c_extend(crc32c(bytes, 7), bytes + 7, 25), 0x46dd794e);
}

static void errors_keep_value_and_text(void **state)
{
    struct error err;
    assert_int_equal(error_set(&err, EMB_ERR_NOT_FOUND, "topic %d", 7), EMB_ERR_NOT_FOUND);
    assert_string_equal(err.text, "topic 7");
    assert_string_equal(error_name(EMB_ERR_BACKPRESSURE), "BACKPRESSURE");
    assert_int_equal(error_from_wire(25), EMB_ERR_BACKPRESSURE);
    assert_int_equal(error_from_wire(9999), EMB_ERR_PROTOCOL);
}

static void ring_keeps_order_while_it_grows_and_wraps(void **state)
{
    struct ring ring;
    ring_init(&ring, sizeof(uint64_t));
    uint64_t pushed = 0, popped = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < round % 37; i++) {
            assert_true(ring_push(&ring, &pushed));
            pushed++;
        }
        for (int i = 0; i < round % 29 && ring_count(&ring); i++) {
            assert_int_equal(*(uint64_t *)ring_front(&ring), popped++);
            ring_pop(&ring);
        }
    }
    assert_int_equal(ring_count(&ring), pushed - popped);
    assert_int_equal(*(uint64_t *)ring_at(&ring, ring_count(&ring) - 1), pushed - 1);
    ring_free(&ring);
}

static void six_byte_numbers_round_trip(void **state)
{
    uint8_t bytes[6];
    put_u48(bytes, 0xfedcba987654ULL);
    assert_int_equal(get_u48(bytes), 0xfedcba987654ULL);
    assert_int_equal(align_up(65, 64), 128);
    assert_true(is_power_of_two(64) && !is_power_of_two(0) && !is_power_of_two(96));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_matches_rfc3720),
        cmocka_unit_test(errors_keep_value_and_text),
        cmocka_unit_test(ring_keeps_order_while_it_grows_and_wraps),
        cmocka_unit_test(six_byte_numbers_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
