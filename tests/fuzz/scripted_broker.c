#include "tests/fuzz/scripted_broker.h"

#include "base/assert.h"

void scripted_turn(struct scripted *scripted, uint64_t ns)
{
    script_pass(scripted->env, ns);
    uint64_t now_ns = script_now_ns(scripted->env);
    script_poll(scripted->env);
    sequencer_do_work(scripted->sequencer, now_ns);
    follower_do_work(scripted->follower, now_ns);
    broker_do_work(scripted->broker, now_ns);
    ASSERT(follower_failure(scripted->follower, NULL) == EMB_OK);
    ASSERT(sequencer_failure(scripted->sequencer, NULL) == EMB_OK);
}

void scripted_turns(struct scripted *scripted, unsigned turns, uint64_t ns)
{
    while (turns--)
        scripted_turn(scripted, ns);
}

static void begin_log(struct scripted *scripted)
{
    struct sequencer_options options = {
        .region = &scripted->seat, .epoch = {.epoch = 1, .slot = 1}, .nodes_expected = 1};
    struct follower_options follower = {.region = &scripted->region};
    struct node_request_shared ask = {
        .incarnation = 7, .roles = ROLE_BROKER, .lanes_wanted = 1, .port = 1};
    region_epoch_publish(&scripted->seat, &options.epoch);
    ASSERT(sequencer_create(&options, &scripted->sequencer, NULL) == EMB_OK);
    ASSERT(follower_create(&follower, &scripted->follower, NULL) == EMB_OK);
    region_node_request_publish(&scripted->region, 0, &ask);
}

void scripted_begin_in(struct scripted *scripted, unsigned char *memory, uint64_t bytes,
                       struct broker_options options, bool by_file)
{
    *scripted = (struct scripted){.env = script_create(), .memory = memory};
    ASSERT(region_attach(&scripted->region, memory, bytes, MEM_WRITEBACK_AUTO, NULL) == EMB_OK);
    ASSERT(region_attach(&scripted->seat, memory, bytes, MEM_WRITEBACK_AUTO, NULL) == EMB_OK);
    begin_log(scripted);
    options.env = scripted->env;
    options.poller = script_poller(scripted->env);
    options.follower = scripted->follower;
    options.map = by_file ? (struct env_map *)scripted->memory : NULL;
    options.host = "";
    ASSERT(broker_create(&options, &scripted->broker, NULL) == EMB_OK);
    scripted_turns(scripted, 6, MS);
}

void scripted_begin(struct scripted *scripted, struct broker_options options, bool by_file)
{
    scripted_begin_in(scripted, small_region_make(MEM_HARDWARE), SMALL_REGION_BYTES, options,
                      by_file);
}

void scripted_end(struct scripted *scripted)
{
    struct broker_counters counters;
    script_reset_all(scripted->env);
    scripted_turn(scripted, 11000 * MS); /* who waits for a position is not looked at before */
    scripted_turns(scripted, 4, 300 * MS);
    broker_counters(scripted->broker, &counters);
    ASSERT(counters.connections == 0);
    broker_destroy(scripted->broker);
    follower_destroy(scripted->follower);
    sequencer_destroy(scripted->sequencer);
    script_destroy(scripted->env);
}

bool scripted_receive(struct env_socket *peer, struct frame_header *header,
                      const unsigned char **body)
{
    size_t count;
    struct error err;
    const unsigned char *bytes = script_sent(peer, &count);
    if (count < FRAME_HEADER_BYTES)
        return false;
    ASSERT(frame_header_read(bytes, header, &err) == EMB_OK);
    if (count < FRAME_HEADER_BYTES + header->body_bytes)
        return false;
    *body = script_taken(peer, FRAME_HEADER_BYTES + header->body_bytes) + FRAME_HEADER_BYTES;
    return true;
}
