/*
 * "Acks respect real-time order (P1)": A publishes m1 and gets its ack, then B publishes m2: nobody
 * delivers m2 before m1. (1-requirements)
 *
 * Looked at from both sides when an act gets its position, of any topic, for all topics share one
 * order: it is above all positions that had been acknowledged, to anybody, when it was invoked; and
 * if the act itself was acknowledged already, none that was invoked after that ack stands before
 * it. Order 0 promises no order at all. A later copy of an act without session does not count.
 */
#include "sim/check/internal.h"

static uint32_t newest_committed; /* highest number + 1 of an act in the log */

static void begin(void)
{
    newest_committed = 0;
}

static void committed(const struct committed *committed)
{
    const struct act *act = committed->act;
    const struct topic_settings *topic = log_topic(committed->entry.topic);
    if (!act || !topic || topic->order == TOPIC_ORDER_NONE ||
        log_first_data(act) != committed->position)
        return;
    const struct known_act *known = known_act(act);
    if (act->after_position != NO_POSITION && committed->position <= act->after_position)
        finding("realtime",
                "%s of %s: when it was published, position %llu was acknowledged already",
                entry_text(committed), act_text(act), (ull)act->after_position);
    if (known->oks && newest_committed > known->acts_when_acked)
        finding("realtime", "%s of %s, which was acknowledged before %s was even published",
                entry_text(committed), act_text(act), act_text(history_at(newest_committed - 1)));
    newest_committed = (uint32_t)max_u64(newest_committed, act->number + 1ULL);
}

const struct checker check_realtime = {
    .name = "realtime",
    .invariant = "acks respect real-time order (P1)",
    .begin = begin,
    .committed = committed,
};
