/* Two hosts are two mappings of the same memory; each test runs in every mode this CPU has. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "mem/mem.h"

#define SHARED_BYTES  (64 * 1024)
#define PAYLOAD_AT    4096
#define PAYLOAD_BYTES 1000
#define ROUNDS        2000

/* A race detector goes by addresses: under it both hosts use one mapping. */
#if defined(__SANITIZE_THREAD__)
#define ONE_MAPPING 1
#else
#define ONE_MAPPING 0
#endif

struct host {
    struct mem mem;
    unsigned char *base;
};

struct pair {
    struct host hosts[2];
    uint64_t failures;
};

static void pair_open(struct pair *pair, enum mem_coherence coherence, enum mem_writeback writeback)
{
    int fd = memfd_create("mem_test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, SHARED_BYTES), 0);
    pair->failures = 0;
    for (int i = 0; i < 2; i++) {
        struct host *host = &pair->hosts[i];
        assert_int_equal(mem_init(&host->mem, coherence, writeback, NULL), EMB_OK);
        host->base = pair->hosts[0].base;
        if (i == 0 || !ONE_MAPPING)
            host->base = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(host->base != MAP_FAILED);
    }
    close(fd);
}

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < (ONE_MAPPING ? 1 : 2); i++)
        munmap(pair->hosts[i].base, SHARED_BYTES);
}

/* Calls fn for the hardware-coherent mode and for each write-back instruction of this CPU. */
static int each_mode(void (*fn)(struct pair *))
{
    struct pair pair;
    int modes = 1;
    pair_open(&pair, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    fn(&pair);
    pair_close(&pair);
    for (int i = MEM_WRITEBACK_MOVDIR64B; i <= MEM_WRITEBACK_DC_CVAC; i++) {
        for (int read_back = 0; read_back < 2; read_back++) {
            if (!mem_writeback_available((enum mem_writeback)i))
                continue;
            pair_open(&pair, MEM_SOFTWARE, (enum mem_writeback)i);
            pair.hosts[0].mem.read_back = pair.hosts[1].mem.read_back = read_back;
            fn(&pair);
            pair_close(&pair);
            modes++;
        }
    }
    return modes;
}

static struct pub_u64 *word_at(struct host *host, size_t line)
{
    return (struct pub_u64 *)(host->base + line * CACHE_LINE);
}

static unsigned char payload_byte(uint64_t round, size_t at)
{
    return (unsigned char)(round * 31 + at);
}

/* Payload, write back, drain, a line that refers to it, a word that counts lines. */
static void *ping_writer(void *arg)
{
    struct pair *pair = arg;
    struct host *host = &pair->hosts[0];
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        unsigned char *payload = host->base + PAYLOAD_AT + 7;
        for (size_t i = 0; i < PAYLOAD_BYTES; i++)
            payload[i] = payload_byte(round, i);
        mem_write_back(&host->mem, payload, PAYLOAD_BYTES);
        mem_drain(&host->mem);
        uint64_t line[8];
        for (uint64_t i = 0; i < 8; i++)
            line[i] = round * 8 + i;
        mem_publish_line(&host->mem, word_at(host, 1), line);
        mem_drain(&host->mem);
        mem_publish_u64(&host->mem, word_at(host, 2), round);
        mem_drain(&host->mem);
        while (mem_observe_u64(&host->mem, word_at(host, 3)) < round)
            sched_yield();
    }
    return NULL;
}

static uint64_t ping_wrong(struct host *host, uint64_t round)
{
    uint64_t line[8], wrong = 0;
    mem_observe_line(&host->mem, line, word_at(host, 1));
    for (uint64_t i = 0; i < 8; i++)
        wrong += line[i] != round * 8 + i;
    const unsigned char *payload = host->base + PAYLOAD_AT + 7;
    mem_observe_range(&host->mem, payload, PAYLOAD_BYTES);
    for (size_t i = 0; i < PAYLOAD_BYTES; i++)
        wrong += payload[i] != payload_byte(round, i);
    return wrong;
}

static void *ping_reader(void *arg)
{
    struct pair *pair = arg;
    struct host *host = &pair->hosts[1];
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seen;
        while ((seen = mem_observe_u64_to_act(&host->mem, word_at(host, 2))) < round)
            sched_yield();
        pair->failures += seen != round;
        pair->failures += ping_wrong(host, round);
        mem_publish_u64(&host->mem, word_at(host, 3), round);
        mem_drain(&host->mem);
    }
    return NULL;
}

static void run_threads(struct pair *pair, void *(*first)(void *), void *(*second)(void *))
{
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, first, pair), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, second, pair), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
}

static void ping_pong(struct pair *pair)
{
    run_threads(pair, ping_writer, ping_reader);
    assert_int_equal(pair->failures, 0);
}

static void payload_and_lines_arrive_whole(void **state)
{
    assert_true(each_mode(ping_pong) >= 1);
}

/* An observed stamp means that the other words are at least as new, drained or not. */
static void *stamp_writer(void *arg)
{
    struct pair *pair = arg;
    struct host *host = &pair->hosts[0];
    for (uint64_t round = 1; round <= 10 * ROUNDS; round++) {
        uint64_t line[8] = {round, round, round, round, round, round, round, round};
        mem_publish_line(&host->mem, word_at(host, 1), line);
    }
    mem_drain(&host->mem);
    return NULL;
}

static void *stamp_reader(void *arg)
{
    struct pair *pair = arg;
    struct host *host = &pair->hosts[1];
    uint64_t line[8] = {0}, last = 0;
    while (last < 10 * ROUNDS) {
        mem_observe_line_to_act(&host->mem, line, word_at(host, 1));
        for (int i = 1; i < 8; i++)
            pair->failures += line[i] < line[0];
        pair->failures += line[0] < last;
        if (line[0] == last)
            sched_yield();
        last = line[0];
    }
    return NULL;
}

static void stamp_race(struct pair *pair)
{
    run_threads(pair, stamp_writer, stamp_reader);
    assert_int_equal(pair->failures, 0);
}

static void the_stamp_comes_last(void **state)
{
    assert_true(each_mode(stamp_race) >= 1);
}

/*
 * The mutual look of the doorbell and of edge R5: each stores its word, drains, observes the
 * other's. That both miss each other is what drain must exclude. Rounds are kept in step by two
 * more words.
 */
#define DEKKER_LINE(round, who) (100 + ((round) % 64) * 2 + (who))

static void dekker(struct pair *pair, int who, uint64_t *saw)
{
    struct host *host = &pair->hosts[who];
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        mem_publish_u64(&host->mem, word_at(host, 10 + (size_t)who), round);
        mem_drain(&host->mem);
        while (mem_observe_u64(&host->mem, word_at(host, 11 - (size_t)who)) < round)
            sched_yield();
        mem_publish_u64(&host->mem, word_at(host, DEKKER_LINE(round, (size_t)who)), round);
        mem_drain(&host->mem);
        saw[round] =
            mem_observe_u64(&host->mem, word_at(host, DEKKER_LINE(round, 1 - (size_t)who)));
    }
}

static uint64_t dekker_saw[2][ROUNDS + 1];

static void *dekker_first(void *arg)
{
    dekker(arg, 0, dekker_saw[0]);
    return NULL;
}

static void *dekker_second(void *arg)
{
    dekker(arg, 1, dekker_saw[1]);
    return NULL;
}

static void dekker_run(struct pair *pair)
{
    run_threads(pair, dekker_first, dekker_second);
    for (uint64_t round = 1; round <= ROUNDS; round++)
        assert_true(dekker_saw[0][round] == round || dekker_saw[1][round] == round);
}

static void a_drain_keeps_loads_behind_stores(void **state)
{
    assert_true(each_mode(dekker_run) >= 1);
}

static void words_in_a_group(struct pair *pair)
{
    struct host *writer = &pair->hosts[0], *reader = &pair->hosts[1];
    uint64_t out[17];
    for (uint64_t i = 0; i < 16; i++)
        mem_publish_u64(&writer->mem, word_at(writer, 20 + 3 * i), 1000 + i);
    mem_drain(&writer->mem);
    out[16] = 77;
    mem_observe_words(&reader->mem, word_at(reader, 20), 3 * CACHE_LINE, 16, out);
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(out[i], 1000 + i);
    assert_int_equal(out[16], 77);
    assert_int_equal(mem_own_u64(&writer->mem, word_at(writer, 23)), 1001);
}

static void a_group_of_words_is_read(void **state)
{
    each_mode(words_in_a_group);
}

/* ---- what the CPU has ------------------------------------------------------------------------ */

static void names_round_trip(void **state)
{
    enum mem_writeback writeback;
    for (int i = MEM_WRITEBACK_AUTO; i <= MEM_WRITEBACK_DC_CVAC; i++) {
        const char *name = mem_writeback_name((enum mem_writeback)i);
        assert_int_equal(mem_writeback_parse(name, &writeback), EMB_OK);
        assert_int_equal(writeback, i);
    }
    assert_int_equal(mem_writeback_parse("clflush", &writeback), EMB_ERR_INVALID_ARGUMENT);
    assert_int_equal(mem_writeback_parse("", &writeback), EMB_ERR_INVALID_ARGUMENT);
    assert_string_equal(mem_writeback_name((enum mem_writeback)99), "unknown");
}

static void a_missing_instruction_is_refused_by_name(void **state)
{
    struct mem mem;
    int missing = 0;
    for (int i = MEM_WRITEBACK_MOVDIR64B; i <= MEM_WRITEBACK_DC_CVAC; i++) {
        enum mem_writeback writeback = (enum mem_writeback)i;
        struct error err = {0};
        if (mem_writeback_available(writeback)) {
            assert_int_equal(mem_init(&mem, MEM_SOFTWARE, writeback, &err), EMB_OK);
            assert_int_equal(mem.writeback, writeback);
            assert_int_not_equal(mem.word_writeback, MEM_WRITEBACK_MOVDIR64B);
            continue;
        }
        missing++;
        assert_int_equal(mem_init(&mem, MEM_SOFTWARE, writeback, &err), EMB_ERR_NOT_SUPPORTED);
        assert_non_null(strstr(err.text, mem_writeback_name(writeback)));
        if (mem_writeback_available(MEM_WRITEBACK_CLWB))
            assert_non_null(strstr(err.text, "accepted here: "));
    }
    assert_true(missing > 0); /* no CPU is both x86 and Arm */
    assert_int_equal(mem_init(&mem, MEM_HARDWARE, MEM_WRITEBACK_DC_CVAC, NULL), EMB_OK);
    assert_int_equal(mem_init(&mem, (enum mem_coherence)3, MEM_WRITEBACK_AUTO, NULL),
                     EMB_ERR_INVALID_ARGUMENT);
}

static void auto_takes_what_is_there(void **state)
{
    struct mem mem;
    if (!mem_writeback_available(MEM_WRITEBACK_AUTO)) {
        print_message("skipped: this CPU has no instruction for it\n");
        skip();
    }
    assert_int_equal(mem_init(&mem, MEM_SOFTWARE, MEM_WRITEBACK_AUTO, NULL), EMB_OK);
    assert_true(mem_writeback_available(mem.writeback));
    assert_int_not_equal(mem.writeback, MEM_WRITEBACK_AUTO);
    assert_false(mem.direct);
}

/* ---- the bitmap ------------------------------------------------------------------------------ */

#define BITS 1000 /* the last word is used in part */

struct taker {
    struct mem mem;
    struct pub_u64 *words;
    uint32_t taken[BITS];
    unsigned count;
};

static void *bitmap_taker(void *arg)
{
    struct taker *taker = arg;
    int64_t bit;
    while ((bit = mem_bitmap_take(&taker->mem, taker->words, BITS)) >= 0)
        taker->taken[taker->count++] = (uint32_t)bit;
    return NULL;
}

static void four_threads_take_different_bits(void **state)
{
    static struct pub_u64 words[(BITS + 63) / 64];
    static struct taker takers[4];
    unsigned char owners[BITS] = {0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        mem_init(&takers[i].mem, MEM_HARDWARE, MEM_WRITEBACK_AUTO, NULL);
        takers[i].words = words;
        assert_int_equal(pthread_create(&threads[i], NULL, bitmap_taker, &takers[i]), 0);
    }
    unsigned total = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        total += takers[i].count;
        for (unsigned k = 0; k < takers[i].count; k++) {
            assert_true(takers[i].taken[k] < BITS);
            owners[takers[i].taken[k]]++;
        }
    }
    assert_int_equal(total, BITS);
    for (int i = 0; i < BITS; i++)
        assert_int_equal(owners[i], 1);

    struct mem *mem = &takers[0].mem;
    mem_bitmap_give(mem, words, 777);
    mem_bitmap_give(mem, words, 63);
    mem_bitmap_give(mem, words, 63); /* cleared already */
    assert_true(mem_bitmap_take_at(mem, words, 777));
    assert_false(mem_bitmap_take_at(mem, words, 777));
    assert_int_equal(mem_bitmap_take(mem, words, BITS), 63);
    assert_int_equal(mem_bitmap_take(mem, words, BITS), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_and_lines_arrive_whole),
        cmocka_unit_test(the_stamp_comes_last),
        cmocka_unit_test(a_drain_keeps_loads_behind_stores),
        cmocka_unit_test(a_group_of_words_is_read),
        cmocka_unit_test(names_round_trip),
        cmocka_unit_test(a_missing_instruction_is_refused_by_name),
        cmocka_unit_test(auto_takes_what_is_there),
        cmocka_unit_test(four_threads_take_different_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
