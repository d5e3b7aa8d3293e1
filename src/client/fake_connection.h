/* What the files of the fake rack share. One thread, while the rack runs. */
#ifndef CLIENT_FAKE_CONNECTION_H
#define CLIENT_FAKE_CONNECTION_H

#include "client/fake_rack.h"

struct fake_connection {
    struct fake_rack *rack;
    struct env_socket *socket;
    uint32_t broker;
    unsigned char *in;
    size_t in_count;
    size_t in_capacity;
    unsigned char *out;
    size_t out_at;
    size_t out_count;
    size_t out_capacity;
    bool subscribed;
    uint32_t subscription;
    uint64_t next_offset;
    bool cut;        /* reset when what stands in `out` is sent */
    bool falls_mute; /* then */
    struct fake_connection *next;
};

/* fake_rack.c */
void fake_answer(struct fake_connection *c, uint8_t type, uint64_t correlation,
                 const struct wire_writer *w);
void fake_answer_error(struct fake_connection *c, uint64_t correlation, int code, const char *text);
/* -1: close the connection. */
int fake_produce(struct fake_connection *c, const struct frame_header *header, const void *body);

/* fake_answers.c: handles one frame; -1: close the connection. */
int fake_frame(struct fake_connection *c, const struct frame_header *header, const void *body);

#endif
