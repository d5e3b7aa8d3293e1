#include "client/tcp/request.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_CORRELATION 2

static void connect_next(struct request *r)
{
    const struct connection_events events = {0};
    uint32_t others = r->only_first ? 0 : r->address_count - r->tried - 1;

    r->at = (r->first + r->tried) % r->address_count;
    r->tried++;
    r->up_by_ns = connection_patience(r->now_ns, r->deadline_ns, others);
    connection_start(&r->connection, r->poller, &r->addresses[r->at], r->client_name, &events);
}

void request_start(struct request *r, uint64_t now_ns)
{
    r->now_ns = now_ns;
    r->done = false;
    r->tried = 0;
    r->asked = false;
    r->answer = NULL;
    r->error = (struct error){0};
    connect_next(r);
}

void request_end(struct request *r)
{
    connection_stop(&r->connection, false);
    free(r->answer);
    r->answer = NULL;
}

static int finish(struct request *r, int code, const char *text)
{
    if (code != EMB_OK)
        error_set(&r->error, code, "%s", text);
    r->done = true;
    return 1;
}

static int went_down(struct request *r)
{
    struct error why = r->connection.error;

    if (r->asked || r->only_first || r->tried >= r->address_count)
        return finish(r, why.code, why.text);
    connection_stop(&r->connection, true);
    connect_next(r);
    return 1;
}

static int answer_keep(struct request *r, const void *body, size_t bytes)
{
    r->answer = malloc(bytes > 0 ? bytes : 1);
    if (r->answer == NULL)
        return finish(r, EMB_ERR_NO_MEMORY, "no memory for the broker's answer");
    memcpy(r->answer, body, bytes);
    r->answer_bytes = bytes;
    return finish(r, EMB_OK, NULL);
}

static int answer_take(struct request *r)
{
    struct connection *c = &r->connection;
    struct frame_header header;
    struct error err = {0};
    void *body;
    int got = connection_receive(c, &header, &body);

    if (got < 0)
        return went_down(r);
    if (got == 0)
        return 0;
    if (header.type == FRAME_ERROR) {
        connection_error_get(c, &header, body, &err);
        return finish(r, err.code, err.text);
    }
    if (header.type != r->expected || header.correlation != REQUEST_CORRELATION) {
        connection_fail(c, EMB_ERR_PROTOCOL, "a %s frame as answer to %s",
                        frame_type_name(header.type), frame_type_name(r->type));
        return finish(r, c->error.code, c->error.text);
    }
    return answer_keep(r, body, header.body_bytes);
}

static void late_fail(struct request *r)
{
    if (r->asked)
        connection_fail(&r->connection, EMB_ERR_TIMEOUT, "no answer to %s in time",
                        frame_type_name(r->type));
    else
        connection_late(&r->connection);
}

int request_work(struct request *r, uint64_t now_ns)
{
    struct connection *c = &r->connection;

    if (r->done)
        return 0;
    r->now_ns = now_ns;
    int work = connection_work(c);
    if (c->state == CONNECTION_DOWN)
        return went_down(r);
    if (c->state == CONNECTION_UP && !r->asked) {
        r->rack = *c->rack;
        if (r->type == FRAME_HELLO)
            return finish(r, EMB_OK, NULL);
        connection_send(c, r->type, REQUEST_CORRELATION, r->body, r->body_bytes);
        r->asked = true;
        work += 1 + connection_work(c);
    }
    if (c->state == CONNECTION_UP)
        work += answer_take(r);
    if (!r->done && now_ns >= (r->asked ? r->deadline_ns : r->up_by_ns)) {
        late_fail(r);
        return went_down(r);
    }
    return work;
}
