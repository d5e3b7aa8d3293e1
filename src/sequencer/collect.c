/*
 * Collecting: each live lane in turn gives a burst of new entries, until the lanes have nothing
 * more, the pass is full or its time is over. The lane that is first changes from pass to pass.
 */
#include "base/assert.h"
#include "sequencer/state.h"

void collect_lane_open(struct sequencer *s, uint32_t lane)
{
    s->lanes[lane] = (struct lane_in){.live = true,
                                      .generation = s->meta.lanes[lane].generation,
                                      .next = s->meta.lanes[lane].start,
                                      .held_oldest = HELD_NONE,
                                      .held_newest = HELD_NONE};
}

void collect_lane_close(struct sequencer *s, uint32_t lane)
{
    s->lanes[lane].live = false;
}

uint32_t collect_lane_undecided(const struct sequencer *s, uint32_t lane)
{
    uint32_t undecided = 0;
    for (uint64_t i = 0; i < s->region->geometry.lane_slots; i++)
        undecided += *collect_undecided(s, lane, i);
    return undecided;
}

uint8_t *collect_undecided(const struct sequencer *s, uint32_t lane, uint64_t index)
{
    uint32_t slots = s->region->geometry.lane_slots;
    return &s->undecided[(size_t)lane * slots + (index & (slots - 1))];
}

/* Room in the pass for the entry itself and what its commit may release. */
static bool pass_has_room(const struct sequencer *s)
{
    return s->decided_count < PASS_ENTRIES / 2;
}

/* What it published may be gone or twice: it is read no further, and the others go on. */
static void leave_lane(struct sequencer *s, struct lane_in *in)
{
    in->left = true;
    s->counters.lanes_left++;
}

static uint32_t collect_lane(struct sequencer *s, uint32_t lane)
{
    struct lane_in *in = &s->lanes[lane];
    uint32_t count = 0;
    while (count < LANE_BURST && pass_has_room(s)) {
        struct collected c = {.lane = lane};
        enum lane_look look =
            region_lane_observe(s->region, lane, in->generation, in->next, &c.entry); /* R6 */
        if (look == LANE_NOT_YET)
            break;
        uint8_t *undecided = collect_undecided(s, lane, in->next);
        if (look == LANE_LAPPED || *undecided) { /* its owner did not wait for the outcome */
            leave_lane(s, in);
            break;
        }
        *undecided = 1;
        in->next++;
        count++;
        order_entry(s, &c);
    }
    return count;
}

/* Time is taken by counting: do_work is given the clock once. A line costs well under 500 ns. */
static uint32_t lines_per_pass(const struct sequencer *s)
{
    uint64_t lines = s->options.pass_ns / 500;
    return lines > PASS_ENTRIES ? PASS_ENTRIES : lines < LANE_BURST ? LANE_BURST : (uint32_t)lines;
}

void collect_pass(struct sequencer *s)
{
    uint32_t lanes = s->region->geometry.lanes;
    uint32_t most = lines_per_pass(s);
    uint32_t found;
    ASSERT(lanes > 0);
    do {
        found = 0;
        for (uint32_t i = 0; i < lanes && pass_has_room(s); i++) {
            uint32_t lane = (s->first_lane + i) % lanes;
            if (s->lanes[lane].live && !s->lanes[lane].left)
                found += collect_lane(s, lane);
        }
        s->lines_collected += found;
    } while (found && s->lines_collected < most && pass_has_room(s));
    s->first_lane = (s->first_lane + 1) % lanes;
}
