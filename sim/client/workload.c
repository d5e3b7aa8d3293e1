/* The plan of a seed's workload: topics, who publishes to them and how, who reads. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/client/internal.h"

/* ---- topics ---------------------------------------------------------------------------------- */

static uint8_t draw_order(bool first)
{
    if (draw_percent(first ? 85 : 60))
        return TOPIC_ORDER_CLIENT;
    return (uint8_t)draw_below(3);
}

static void topic_draw(struct topic_plan *topic, uint32_t number, uint32_t replicas)
{
    struct topic_settings *s = &topic->settings;

    *topic = (struct topic_plan){.state = TOPIC_PLANNED};
    snprintf(topic->name, sizeof topic->name, "t%u", (unsigned)(number % 10));
    s->order = draw_order(number == 0);
    s->replicas = (uint8_t)(draw_percent(65) ? replicas : draw_between(0, replicas));
    s->min_insync = s->replicas > 0 && draw_one_in(5);
    s->durability = draw_one_in(5) ? TOPIC_DURABILITY_PERIODIC : TOPIC_DURABILITY_SYNC;
    s->gap = topic_has_sessions(s) && draw_percent(50) ? TOPIC_GAP_SKIP : TOPIC_GAP_FENCE;
    s->gap_timeout_us = (uint32_t)(s->gap == TOPIC_GAP_SKIP ? draw_between(1000, 5000)
                                                            : draw_skewed(30000, 300000));
}

/* ---- clients --------------------------------------------------------------------------------- */

static uint8_t draw_acks(const struct topic_settings *settings)
{
    if (!topic_has_sessions(settings) && draw_percent(15))
        return 0;
    return settings->replicas > 0 && draw_percent(60) ? 2 : 1;
}

static void publisher_draw(struct publisher *p, uint32_t number, uint32_t batches)
{
    static const uint64_t paces_ns[] = {5 * US, 50 * US, 500 * US, 1000 * US, 2000 * US, 3000 * US};

    *p = (struct publisher){.number = number, .batches = batches};
    p->topic = &clients.topics[draw_below(clients.topic_count)];
    p->unruly = topic_has_sessions(&p->topic->settings) && draw_percent(40);
    p->acks = draw_acks(&p->topic->settings);
    p->window = (uint32_t)draw_between(1, 16);
    p->pace_ns = paces_ns[draw_below(COUNT_OF(paces_ns))];
}

static uint8_t draw_start(void)
{
    if (draw_percent(60))
        return START_EARLIEST;
    return (uint8_t)draw_between(START_LATEST, START_TIMESTAMP);
}

static void reader_draw(struct reader *r, uint32_t number)
{
    *r = (struct reader){.number = number, .start = draw_start()};
    r->topic = &clients.topics[draw_below(clients.topic_count)];
    r->level = draw_percent(70) ? READ_DURABLE : READ_LATEST;
    r->max_buffered_bytes = draw_one_in(3) ? (uint32_t)draw_between(256, 8192) : 1u << 20;
    r->delay_ns = draw_one_in(3) ? draw_between(20 * MS, 300 * MS) : 0;
    r->pause_ns = draw_one_in(3) ? draw_between(1 * MS, 100 * MS) : 0;
    r->edge_seeks = draw_one_in(4) ? (uint32_t)draw_between(50, 150) : 0;
    if (r->edge_seeks > 0)
        r->seek_every = (uint32_t)draw_between(2, 8);
    else
        r->seek_every = draw_one_in(2) ? (uint32_t)draw_between(20, 100) : 0;
    r->leave_every = draw_one_in(2) ? (uint32_t)draw_between(20, 100) : 0;
}

/* Sometimes so large that a few batches fill what a broker has. */
static uint32_t draw_batch_bytes(uint32_t segment_bytes)
{
    uint64_t usual = segment_bytes / 4;

    if (draw_one_in(3))
        usual = draw_skewed(min_u64(usual, 2048), segment_bytes / 2);
    else if (draw_one_in(2))
        usual = (uint64_t)segment_bytes * 3 / 4;
    return (uint32_t)max_u64(min_u64(usual, 64u << 10), 2048);
}

static void plan_draw(struct workload_shape *shape, uint32_t segment_bytes, uint32_t replicas)
{
    memset(&clients, 0, sizeof clients);
    shape->topics = (uint32_t)(draw_percent(50) ? 1 : draw_between(2, CLIENT_TOPICS_MAX));
    shape->publishers = (uint32_t)draw_between(1, CLIENT_PUBLISHERS_MAX);
    shape->subscribers = (uint32_t)draw_between(0, CLIENT_READERS_MAX);
    shape->batches = (uint32_t)draw_between(300, 700);
    shape->batch_bytes_most = draw_batch_bytes(segment_bytes);
    shape->replicas = replicas;
    clients.topic_count = shape->topics;
    clients.publisher_count = shape->publishers;
    clients.reader_count = shape->subscribers;
    clients.batch_bytes_most = shape->batch_bytes_most;
    for (uint32_t i = 0; i < clients.topic_count; i++)
        topic_draw(&clients.topics[i], i, replicas);
    for (uint32_t i = 0; i < clients.publisher_count; i++)
        publisher_draw(&clients.publishers[i], i, shape->batches / shape->publishers);
    for (uint32_t i = 0; i < clients.reader_count; i++)
        reader_draw(&clients.readers[i], i);
}

/* ---- in words -------------------------------------------------------------------------------- */

static void say(char *text, unsigned text_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(char *text, unsigned text_bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, text_bytes - used, format, args);
    va_end(args);
}

static void topic_say(const struct topic_settings *s, char *text, unsigned text_bytes)
{
    say(text, text_bytes, "order %u", s->order);
    if (topic_has_sessions(s))
        say(text, text_bytes, s->gap == TOPIC_GAP_SKIP ? " skip" : " fence");
    say(text, text_bytes, " r%u%s", s->replicas,
        s->durability == TOPIC_DURABILITY_PERIODIC ? " periodic" : "");
}

void workload_draw(struct workload_shape *shape, uint32_t segment_bytes, uint32_t replicas,
                   char *text, unsigned text_bytes)
{
    uint32_t unruly = 0;

    ASSERT(text_bytes > 0);
    plan_draw(shape, segment_bytes, replicas);
    for (uint32_t i = 0; i < clients.publisher_count; i++)
        unruly += clients.publishers[i].unruly;
    text[0] = '\0';
    say(text, text_bytes, "%u topic%s (", shape->topics, shape->topics == 1 ? "" : "s");
    for (uint32_t i = 0; i < clients.topic_count; i++) {
        say(text, text_bytes, "%s", i > 0 ? ", " : "");
        topic_say(&clients.topics[i].settings, text, text_bytes);
    }
    say(text, text_bytes, "), %u steady and %u unruly publishers, %u readers, %u batches",
        shape->publishers - unruly, unruly, shape->subscribers, shape->batches);
}
