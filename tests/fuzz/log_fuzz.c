/*
 * Fuzz target: the log of a region that another host has written. Lines have right CRCs and any
 * contents; the input says whether the sequencer's lines are among them, or whether a real
 * sequencer reads what hostile nodes write. Follower, broker and sequencer must come through: they
 * may end with an error, but not by an assertion, and not by leaving the region.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "base/fuzz_input.h"
#include "broker/broker.h"
#include "sequencer/sequencer.h"
#include "tests/fuzz/script_env.h"
#include "tests/fuzz/small_region.h"

#define STEPS 300

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct world {
    struct env *env;
    unsigned char *memory;
    struct region region, seat;
    struct follower *follower;
    struct sequencer *sequencer; /* NULL: its lines are the input's */
    struct broker *broker;
    struct fuzz_input in;
    uint64_t position;  /* of the next GOI entry */
    uint64_t lane_next; /* of the hostile node's lane */
};

static void turn(struct world *world)
{
    script_pass(world->env, 1000000ULL * input_u8(&world->in));
    uint64_t now_ns = script_now_ns(world->env);
    script_poll(world->env);
    if (world->sequencer)
        sequencer_do_work(world->sequencer, now_ns);
    if (follower_failure(world->follower, NULL) != EMB_OK)
        return;
    follower_do_work(world->follower, now_ns);
    if (follower_failure(world->follower, NULL) == EMB_OK)
        broker_do_work(world->broker, now_ns);
}

static void begin_sequencer(struct world *world, bool real)
{
    struct epoch_view epoch = {.epoch = 1, .slot = 1};
    struct sequencer_options options = {.region = &world->seat,
                                        .epoch = epoch,
                                        .nodes_expected = 2,
                                        .chain_length = 1,
                                        .stores_expected = 1,
                                        .fence_timeout_ns = 100000000};
    region_epoch_publish(&world->seat, &epoch);
    if (real) {
        ASSERT(sequencer_create(&options, &world->sequencer, NULL) == EMB_OK);
        return;
    }
    struct interval first = {0};
    region_interval_publish(&world->seat, 0, 1, 0, &first);
}

/* Somebody wants something of the broker: it will use what it believes to have been given. */
static void begin_client(struct world *world)
{
    unsigned char bytes[FRAME_HEADER_BYTES + 64];
    struct wire_writer w;
    struct topic_settings settings = {.order = TOPIC_ORDER_TOTAL};
    struct env_socket *peer = script_connect(world->env);
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, 64);
    wire_put_text(&w, "t");
    topic_settings_put(&w, &settings);
    frame_header_write(
        bytes, &(struct frame_header){.type = FRAME_TOPIC_CREATE, .body_bytes = (uint32_t)w.used});
    script_feed(peer, bytes, FRAME_HEADER_BYTES + w.used);
}

static void begin(struct world *world, const uint8_t *bytes, size_t count)
{
    *world = (struct world){.in = {bytes, count}};
    world->env = script_create();
    uint8_t flags = input_u8(&world->in);
    world->memory = small_region_make(flags & 2 ? MEM_SOFTWARE : MEM_HARDWARE);
    small_region_attach(&world->region, world->memory);
    small_region_attach(&world->seat, world->memory);
    begin_sequencer(world, flags & 1);
    struct follower_options follower = {.region = &world->region};
    ASSERT(follower_create(&follower, &world->follower, NULL) == EMB_OK);
    struct broker_options options = {.env = world->env,
                                     .poller = script_poller(world->env),
                                     .follower = world->follower,
                                     .host = ""};
    ASSERT(broker_create(&options, &world->broker, NULL) == EMB_OK);
    struct node_request_shared ask = {
        .incarnation = 7, .roles = ROLE_BROKER, .lanes_wanted = 1, .port = 1};
    region_node_request_publish(&world->region, 0, &ask);
    begin_client(world);
}

static void end(struct world *world)
{
    broker_destroy(world->broker);
    follower_destroy(world->follower);
    if (world->sequencer)
        sequencer_destroy(world->sequencer);
    script_destroy(world->env);
}

/* ---- what the other host writes -------------------------------------------------------------- */

/* Numbers around what is sensible, and now and then any. */
static uint64_t number(struct world *world)
{
    uint8_t small = input_u8(&world->in);
    return small == 255 ? input_u64(&world->in) : small;
}

static uint64_t address_take(struct world *world)
{
    uint32_t segment = input_u8(&world->in) % world->region.areas.segments;
    return region_segment_address(&world->region, segment) + 64u * (input_u8(&world->in) % 64u);
}

/* A META batch somewhere in the BLog; what names it. */
static uint64_t record_write(struct world *world)
{
    struct meta_record record = {.type = input_u8(&world->in) % META_TYPE_END, .version = 1};
    unsigned char batch[META_BATCH_BYTES];
    size_t count;
    const uint8_t *bytes = input_bytes(&world->in, input_u8(&world->in), &count);
    memcpy(record.bytes, bytes, count);
    uint32_t batch_bytes = meta_batch_build(batch, &record, 1);
    uint64_t address = address_take(world);
    if (address + batch_bytes > SMALL_REGION_BYTES)
        return 0;
    memcpy(world->memory + address, batch, batch_bytes);
    return payload_word(address, batch_bytes);
}

static uint64_t payload_take(struct world *world)
{
    uint8_t how = input_u8(&world->in);
    if (how < 160)
        return record_write(world);
    uint64_t address = address_take(world);
    return how < 250 ? payload_word(address, input_u8(&world->in)) : input_u64(&world->in);
}

static void write_goi_entry(struct world *world)
{
    struct goi_entry_shared entry = {.epoch = 1};
    entry.kind = input_u8(&world->in) % 8;
    entry.lane = input_u8(&world->in);
    entry.flags = input_u8(&world->in);
    entry.reason = input_u8(&world->in);
    entry.topic = input_u8(&world->in) % 8;
    entry.pbr_index = (uint32_t)number(world);
    entry.message_count = (uint32_t)number(world);
    entry.base_offset = number(world);
    entry.session = number(world) << 16;
    entry.client_sequence = number(world);
    entry.payload = payload_take(world);
    if (entry.lane > 70)
        entry.lane = entry.lane & 1 ? LANE_SEQUENCER : 0;
    region_goi_publish(&world->seat, world->position++, &entry);
}

static void write_pbr_entry(struct world *world)
{
    struct pbr_entry_shared entry = {0};
    entry.payload = payload_take(world);
    entry.session = number(world) << 16;
    entry.client_sequence = number(world);
    entry.topic = input_u8(&world->in) % 8;
    entry.message_count = (uint32_t)number(world);
    entry.control_epoch = (uint32_t)number(world);
    entry.broker = input_u8(&world->in) % 40;
    entry.kind = input_u8(&world->in) % 4;
    uint32_t lane = input_u8(&world->in) & 1;
    uint32_t generation = 1 + input_u8(&world->in) % 3 / 2;
    uint64_t index = world->lane_next++;
    uint8_t jump = input_u8(&world->in);
    if (jump > 200)
        index = world->lane_next += number(world);
    region_lane_publish(&world->seat, lane, generation, index, &entry);
}

static void write_request(struct world *world)
{
    struct node_request_shared ask = {0};
    ask.incarnation = number(world);
    ask.roles = input_u8(&world->in);
    ask.lanes_wanted = (uint32_t)number(world);
    ask.port = input_u8(&world->in);
    ask.life = input_u8(&world->in) % 3;
    ask.store_uuid[0] = input_u8(&world->in);
    region_node_request_publish(&world->seat, input_u8(&world->in) % NODE_MAX, &ask);
}

static void write_interval(struct world *world)
{
    struct interval interval = {0};
    interval.epoch = number(world);
    interval.end = number(world);
    interval.next_start = number(world);
    uint32_t workspace = input_u8(&world->in) % 2;
    uint64_t owner = 1 + input_u8(&world->in) % 2;
    uint64_t line = input_u8(&world->in) % INTERVAL_MAX;
    region_interval_publish(&world->seat, workspace, owner, line, &interval);
}

static void write_checkpoint(struct world *world)
{
    uint64_t capacity;
    size_t count;
    uint32_t workspace = input_u8(&world->in) % 2;
    int half = input_u8(&world->in) & 1;
    unsigned char *body = region_checkpoint_body(&world->seat, workspace, half, &capacity);
    const uint8_t *bytes = input_bytes(&world->in, input_u16(&world->in) % 1024, &count);
    memcpy(body, bytes, count);
    struct checkpoint_shared header = {.bytes = count, .body_crc = crc32c(body, count)};
    header.sequence = number(world);
    header.owner_epoch = 1 + input_u8(&world->in) % 2;
    header.covers = number(world);
    region_checkpoint_publish(&world->seat, workspace, half, &header);
}

static void write_epoch(struct world *world)
{
    struct epoch_view view = {0};
    view.epoch = 1 + input_u8(&world->in) % 3;
    view.sequencer = input_u8(&world->in) % NODE_MAX;
    view.workspace = input_u8(&world->in) % 2;
    view.slot = input_u8(&world->in) % EPOCH_SLOT_COUNT;
    region_epoch_publish(&world->seat, &view);
}

/* Words that have no CRC: beats, reads, completions, the ring's heads. */
static void write_word(struct world *world)
{
    struct region *region = &world->seat;
    uint32_t node = input_u8(&world->in) % NODE_MAX;
    unsigned char *lines[] = {(void *)region_node_beat(region, node),
                              (void *)region_node_read(region, node),
                              (void *)region_completion(region, input_u8(&world->in) % 65, node)};
    uint64_t value = number(world);
    if (input_u8(&world->in) & 1)
        value = completion_word(1, value);
    unsigned char *line = lines[input_u8(&world->in) % 3];
    memcpy(line + 8 * (input_u8(&world->in) % 4), &value, sizeof value);
}

static void write_segment(struct world *world)
{
    uint32_t segment = input_u8(&world->in) % world->region.areas.segments;
    uint64_t generation = number(world);
    uint32_t owner = input_u8(&world->in);
    region_segment_publish(&world->seat, segment, generation, owner, input_u8(&world->in));
}

static void write_raw(struct world *world)
{
    size_t count;
    uint64_t at = SUPERBLOCK_BYTES + input_u32(&world->in) % (world->region.areas.blog / 2);
    const uint8_t *bytes = input_bytes(&world->in, input_u8(&world->in) % 64, &count);
    memcpy(world->memory + at, bytes, count);
}

static void step(struct world *world)
{
    typedef void write_fn(struct world * world);
    static write_fn *const writes[] = {
        turn,          write_goi_entry, write_pbr_entry,  write_request, write_word,
        write_segment, write_interval,  write_checkpoint, write_epoch,   write_raw};
    uint8_t what = input_u8(&world->in);
    if (what & 0x80) {
        region_committed_publish(&world->seat, 0, world->position);
        turn(world);
    } else if (what == 0x7f) {
        region_committed_publish(&world->seat, 0, number(world));
    } else if (what == 0x7e) {
        region_retry_below_publish(&world->seat, what & 1, number(world));
    } else {
        writes[what % COUNT_OF(writes)](world);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct world world;
    begin(&world, bytes, count);
    for (int i = 0; i < STEPS && world.in.left; i++)
        step(&world);
    for (int i = 0; i < 4; i++)
        turn(&world);
    end(&world);
    return 0;
}
