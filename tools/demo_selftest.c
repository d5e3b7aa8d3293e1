/*
 * How it works. A small source is told to a check as two subscribers would have been handed it,
 * once right and once for each planted fault; likewise a small log to the disk check. Each fault
 * names the promise by which it must be found.
 */
#include "tools/demo_selftest.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/demo_check.h"
#include "tools/demo_selftest_disk.h"

#define LINES       23u
#define MARKERS     5u
#define MESSAGES    (LINES + MARKERS)
#define VALUE_BYTES 40u

/* A message as it is told to a check. */
struct told {
    uint64_t offset;
    uint32_t key_bytes;
    uint32_t value_bytes;
    bool no_value;
    char key[KEY_TEXT_BYTES];
    char value[VALUE_BYTES];
};

struct story {
    struct told told[MESSAGES + 1];
    unsigned count;
};

/* Line 3, 10, 17 are empty; 4 and 8, both of publisher 0, are the same. */
static uint32_t line_text(unsigned line, char text[VALUE_BYTES])
{
    if (line % 7 == 3)
        text[0] = '\0';
    else
        snprintf(text, VALUE_BYTES, "line %u of the source", line == 8 ? 4 : line);
    return (uint32_t)strlen(text);
}

static int open_test_source(struct source *source)
{
    char text[VALUE_BYTES], path[32];
    struct error err;
    int fd = memfd_create("source", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    FILE *file = fopen(path, "w");
    for (unsigned line = 0; file && line < LINES; line++) {
        line_text(line, text);
        fprintf(file, "%s%s", text, line + 1 < LINES ? "\n" : "");
    }
    int rc = file && fclose(file) == 0 ? source_open(source, path, &err) : EMB_ERR_IO;
    if (fd >= 0)
        close(fd);
    return rc;
}

static void tell(struct story *story, uint64_t id)
{
    struct told *told = &story->told[story->count];
    *told = (struct told){.offset = story->count};
    told->key_bytes = key_text(id, told->key);
    if (id & ID_MARKER)
        told->value_bytes = marker_text(id & ~ID_MARKER, told->value);
    else
        told->value_bytes = line_text((unsigned)id, told->value);
    story->count++;
}

/* Publishers by turns, but publisher 3 a turn late; a marker now and then. */
static void tell_right(struct story *story)
{
    story->count = 0;
    uint64_t markers = 0;
    for (unsigned turn = 0; turn <= LINES / PUBLISHERS + 1; turn++) {
        for (unsigned k = 0; k < PUBLISHERS; k++) {
            unsigned line = turn * PUBLISHERS + k;
            if (k == 3 && turn == 0)
                continue;
            line -= k == 3 ? PUBLISHERS : 0;
            if (line < LINES)
                tell(story, line);
        }
        if (markers < MARKERS)
            tell(story, ID_MARKER | markers++);
    }
}

/* ---- the faults of messages ------------------------------------------------------------------ */

static unsigned find(const struct story *story, uint64_t id)
{
    char key[KEY_TEXT_BYTES];
    key_text(id, key);
    unsigned i = 0;
    while (i + 1 < story->count && strcmp(story->told[i].key, key) != 0)
        i++;
    return i;
}

static void renumber(struct story *story)
{
    for (unsigned i = 0; i < story->count; i++)
        story->told[i].offset = i;
}

static void swap(struct story *story, uint64_t id, uint64_t other)
{
    struct told *a = &story->told[find(story, id)], *b = &story->told[find(story, other)];
    struct told kept = *a;
    *a = *b;
    *b = kept;
    renumber(story);
}

static void lose(struct story *story, uint64_t id)
{
    unsigned i = find(story, id);
    memmove(&story->told[i], &story->told[i + 1], (--story->count - i) * sizeof story->told[0]);
}

static void repeat(struct story *story, uint64_t id)
{
    unsigned i = find(story, id);
    memmove(&story->told[i + 1], &story->told[i], (story->count++ - i) * sizeof story->told[0]);
}

enum {
    SWAP_OWN,
    SWAP_SAME_BYTES,
    SWAP_MARKERS,
    LOSE,
    LOSE_WITH_OFFSET,
    LOSE_LAST,
    LOSE_MARKER,
    LOSE_LAST_MARKER,
    REPEAT,
    REPEAT_OFFSET,
    REPEAT_MARKER,
    ALTER,
    SHORTEN,
    LENGTHEN,
    EMPTY_TO_NONE,
    ALTER_MARKER,
    KEY_OF_ANOTHER,
    KEY_PADDED,
    KEY_BEYOND,
    KEY_FOREIGN,
    FAULTS
};

static const struct {
    const char *name;
    const char *promise;
} faults[FAULTS] = {
    [SWAP_OWN] = {"two lines of a publisher swapped", "P2"},
    [SWAP_SAME_BYTES] = {"two lines of a publisher with equal bytes swapped", "P2"},
    [SWAP_MARKERS] = {"two markers swapped", "P1"},
    [LOSE] = {"a line lost, offsets dense", "P2"},
    [LOSE_WITH_OFFSET] = {"a line lost with its offset", "P3"},
    [LOSE_LAST] = {"the last line lost", "P2"},
    [LOSE_MARKER] = {"a marker lost", "P1"},
    [LOSE_LAST_MARKER] = {"the last marker lost", "P1"},
    [REPEAT] = {"a line handed out twice", "P2"},
    [REPEAT_OFFSET] = {"a line handed out twice at one offset", "P3"},
    [REPEAT_MARKER] = {"a marker handed out twice", "P1"},
    [ALTER] = {"a byte altered", "P2"},
    [SHORTEN] = {"a value shortened", "P2"},
    [LENGTHEN] = {"a byte added to an empty value", "P2"},
    [EMPTY_TO_NONE] = {"an empty value turned into none", "P2"},
    [ALTER_MARKER] = {"a byte of a marker altered", "P1"},
    [KEY_OF_ANOTHER] = {"a key with another publisher's number", "P2"},
    [KEY_PADDED] = {"a key with a leading zero", "P2"},
    [KEY_BEYOND] = {"a key of a line behind the last", "P2"},
    [KEY_FOREIGN] = {"a key that is none", "P2"},
};

static void set_key(struct story *story, uint64_t id, const char *key)
{
    struct told *told = &story->told[find(story, id)];
    told->key_bytes = (uint32_t)strlen(key);
    memcpy(told->key, key, told->key_bytes + 1);
}

static void plant_order(struct story *story, int fault)
{
    switch (fault) {
    case SWAP_OWN:
        swap(story, 1, 5);
        break;
    case SWAP_SAME_BYTES:
        swap(story, 4, 8);
        break;
    case SWAP_MARKERS:
        swap(story, ID_MARKER | 1, ID_MARKER | 2);
        break;
    case LOSE:
        lose(story, 9);
        renumber(story);
        break;
    case LOSE_WITH_OFFSET:
        lose(story, 9);
        break;
    case LOSE_LAST:
        lose(story, LINES - 1);
        renumber(story);
        break;
    case LOSE_MARKER:
        lose(story, ID_MARKER | 2);
        renumber(story);
        break;
    case LOSE_LAST_MARKER:
        lose(story, ID_MARKER | (MARKERS - 1));
        renumber(story);
        break;
    case REPEAT:
        repeat(story, 6);
        renumber(story);
        break;
    case REPEAT_OFFSET:
        repeat(story, 6);
        break;
    case REPEAT_MARKER:
        repeat(story, ID_MARKER | 0);
        renumber(story);
        break;
    default:
        break;
    }
}

static void plant_bytes(struct story *story, int fault)
{
    switch (fault) {
    case ALTER:
        story->told[find(story, 12)].value[2] ^= 1;
        break;
    case SHORTEN:
        story->told[find(story, 12)].value_bytes--;
        break;
    case LENGTHEN:
        story->told[find(story, 3)].value_bytes++;
        break;
    case EMPTY_TO_NONE:
        story->told[find(story, 3)].no_value = true;
        break;
    case ALTER_MARKER:
        story->told[find(story, ID_MARKER | 1)].value[0] = 'M';
        break;
    case KEY_OF_ANOTHER:
        set_key(story, 12, "1:12");
        break;
    case KEY_PADDED:
        set_key(story, 12, "0:012");
        break;
    case KEY_BEYOND:
        set_key(story, 12, "0:24");
        break;
    case KEY_FOREIGN:
        set_key(story, 12, "twelve");
        break;
    default:
        break;
    }
}

/* ---- telling them ---------------------------------------------------------------------------- */

static bool told_to(struct reader_check *check, const struct story *story)
{
    bool good = true;
    for (unsigned i = 0; good && i < story->count; i++) {
        const struct told *told = &story->told[i];
        struct checked_message message = {
            .offset = told->offset,
            .key = {told->key, told->key_bytes},
            .value = {told->no_value ? NULL : told->value, told->value_bytes},
        };
        good = reader_check_message(check, &message);
    }
    return good && reader_check_end(check, MARKERS);
}

static unsigned missed(const char *name, const char *promise, bool good, const char *why)
{
    bool found = !good && strncmp(why, promise, strlen(promise)) == 0;
    if (!found)
        fprintf(stderr, "selftest: %s: must be found as %s, but: %s\n", name, promise,
                good ? "not found" : why);
    return !found;
}

static unsigned try_faults(const struct source *source)
{
    unsigned count = 0;
    for (int fault = 0; fault < FAULTS; fault++) {
        struct reader_check check;
        struct story story;
        tell_right(&story);
        plant_order(&story, fault);
        plant_bytes(&story, fault);
        reader_check_init(&check, source, 1);
        bool good = told_to(&check, &story);
        count += missed(faults[fault].name, faults[fault].promise, good, check.why);
        reader_check_free(&check);
    }
    return count;
}

/* What only two subscribers, or a subscriber and the acknowledgements, show. */
static unsigned try_pairs(const struct source *source)
{
    struct story story;
    struct reader_check a, b;
    char why[WHY_BYTES] = "";
    uint64_t acked[LINES] = {0};
    unsigned count = 0, mine = 0;
    tell_right(&story);
    reader_check_init(&a, source, 1);
    reader_check_init(&b, source, 2);
    bool good = told_to(&a, &story);
    for (unsigned line = 1; line < LINES; line += PUBLISHERS)
        acked[mine++] = find(&story, line);
    swap(&story, 1, 2); /* of two publishers: each one's order stands */
    good = good && told_to(&b, &story);
    if (!good || !readers_agree(&a, &a, why) || !acks_agree(&a, acked, mine, 1, PUBLISHERS, why)) {
        fprintf(stderr, "selftest: a fault where none is: %s%s%s\n", a.why, b.why, why);
        count++;
    }
    good = readers_agree(&a, &b, why);
    count += missed("two publishers' lines swapped at one subscriber", "P3", good, why);
    memcpy(b.ids, a.ids, a.count * sizeof *a.ids);
    b.count--;
    good = readers_agree(&a, &b, why);
    count += missed("one subscriber with less than the other", "P3", good, why);
    acked[3]++;
    good = acks_agree(&a, acked, mine, 1, PUBLISHERS, why);
    count += missed("a wrong offset acknowledged", "P2", good, why);
    acked[3] = UINT64_MAX;
    good = acks_agree(&a, acked, mine, 1, PUBLISHERS, why);
    count += missed("no offset acknowledged", "P2", good, why);
    reader_check_free(&a);
    reader_check_free(&b);
    return count;
}

int demo_selftest(void)
{
    struct source source;
    if (open_test_source(&source)) {
        fprintf(stderr, "selftest: the source cannot be made\n");
        return 1;
    }
    unsigned disk_faults = 0;
    unsigned count = source.lines != LINES;
    count += try_faults(&source);
    count += try_pairs(&source);
    count += selftest_disk(&disk_faults);
    printf("selftest: %u faults planted, %u of them missed\n", FAULTS + 4 + disk_faults, count);
    source_close(&source);
    return count != 0;
}
