#include <stdlib.h>

#include "client/client.h"

static int items_tell(const struct request *r,
                      void (*fn)(void *arg, const struct emb_status_item *item), void *arg,
                      struct error *err)
{
    struct wire_reader reader;
    struct status_item item;

    wire_reader_init(&reader, r->answer, r->answer_bytes, err);
    uint32_t count = wire_get_u32(&reader, "count");
    for (uint32_t i = 0; i < count && reader.code == EMB_OK; i++) {
        status_item_get(&reader, &item);
        if (reader.code != EMB_OK)
            break;
        const struct emb_status_item told = {
            .table = item.table,
            .row = item.row,
            .name = item.name,
            .is_text = item.is_text,
            .number = item.is_text ? 0 : item.number,
            .text = item.is_text ? item.text : "",
        };
        fn(arg, &told);
    }
    return wire_reader_end(&reader);
}

int emb_status(struct emb_client *client, int broker,
               void (*fn)(void *arg, const struct emb_status_item *item), void *arg,
               struct emb_error *err)
{
    struct request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return error_set(error_of(err), EMB_ERR_NO_MEMORY, "no memory for a request");
    int code = client_ask(client, broker, r, FRAME_STATUS, FRAME_STATUS_OK, NULL, error_of(err));
    if (code == EMB_OK)
        code = items_tell(r, fn, arg, error_of(err));
    request_end(r);
    free(r);
    return code == EMB_OK ? result_ok(err) : code;
}
