/* The subscriber's part in the client's thread: feeds the core with what the reader gave back, and
   the reader with what the core received. */
#include "client/subscriber.h"

/* Before the core works: a seek, and buffers. */
static int orders_take(struct emb_subscriber *s, uint64_t now_ns)
{
    struct incoming *incoming;
    struct incoming *returned;

    pthread_mutex_lock(&s->mutex);
    returned = s->returned;
    s->returned = NULL;
    bool seek = s->seek == SEEK_ASKED;
    if (seek) {
        /* The reader waits in emb_subscriber_seek: what is ready belongs to no one. */
        *s->ready_end = returned;
        returned = s->ready;
        s->ready = NULL;
        s->ready_end = &s->ready;
    }
    uint8_t start = s->seek_start;
    uint64_t value = s->seek_value;
    pthread_mutex_unlock(&s->mutex);
    int work = returned != NULL || seek;
    while ((incoming = returned) != NULL) {
        returned = incoming->next;
        subscribe_give(&s->core, incoming);
    }
    if (!seek)
        return work;
    subscribe_seek(&s->core, start, value, now_ns);
    pthread_mutex_lock(&s->mutex);
    s->state = s->core.state;
    s->answered = false;
    s->seek = SEEK_DONE;
    pthread_mutex_unlock(&s->mutex);
    s->told_state = s->core.state;
    s->told_answered = false;
    return work;
}

static void state_tell(struct emb_subscriber *s)
{
    s->state = s->core.state;
    s->failed = s->core.error;
    s->answered = s->core.answered;
    s->first_offset = s->core.first_offset;
    s->told_answered = s->core.answered;
    s->told_state = s->core.state;
}

/* After it: what was received, and how it stands. */
static int results_give(struct emb_subscriber *s)
{
    struct incoming *incoming = subscribe_take(&s->core);
    bool full = s->core.connection.stalled;

    if (incoming == NULL && s->told_state == s->core.state &&
        s->told_answered == s->core.answered && s->core_is_full == full)
        return 0;
    pthread_mutex_lock(&s->mutex);
    bool news =
        incoming != NULL || s->told_state != s->core.state || s->told_answered != s->core.answered;
    for (; incoming != NULL; incoming = subscribe_take(&s->core)) {
        *s->ready_end = incoming;
        s->ready_end = &incoming->next;
    }
    state_tell(s);
    s->core_is_full = full;
    if (news && s->waiting)
        pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return 1; /* one more turn, in case the reader returned something meanwhile */
}

int subscriber_work(void *subscriber, uint64_t now_ns)
{
    struct emb_subscriber *s = subscriber;
    int work = 0;

    if (!s->core_started) {
        s->core_options.poller = runner_poller(s->client->runner);
        subscribe_start(&s->core, &s->core_options, now_ns);
        s->core_started = true;
    }
    work += orders_take(s, now_ns);
    work += subscribe_work(&s->core, now_ns);
    return work + results_give(s);
}

void subscriber_leave(void *subscriber)
{
    struct emb_subscriber *s = subscriber;
    struct incoming *incoming;

    if (!s->core_started)
        return;
    if (s->current != NULL)
        subscribe_give(&s->core, s->current);
    s->current = NULL;
    *s->ready_end = NULL;
    while ((incoming = s->ready) != NULL) {
        s->ready = incoming->next;
        subscribe_give(&s->core, incoming);
    }
    while ((incoming = s->returned) != NULL) {
        s->returned = incoming->next;
        subscribe_give(&s->core, incoming);
    }
    subscribe_stop(&s->core);
}
