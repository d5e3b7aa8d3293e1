#include "client/address.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "tcp://"

static int address_refuse(const char *part, size_t bytes, const char *why, struct error *err)
{
    return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                     "broker address \"%.*s\": %s; expected tcp://host:port,host:port", (int)bytes,
                     part, why);
}

static int port_read(const char *at, const char *end, uint16_t *port)
{
    unsigned value = 0;

    if (at == end || end - at > 5)
        return -1;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + (unsigned)(*at - '0');
    }
    if (value == 0 || value > 65535)
        return -1;
    *port = (uint16_t)value;
    return 0;
}

/* The end of the host, and where it begins without its brackets; NULL when a bracket is missing. */
static const char *host_end(const char **part, const char *end, const char **after)
{
    const char *stop;

    if (**part == '[') {
        stop = memchr(*part, ']', (size_t)(end - *part));
        *part += 1;
        *after = stop != NULL ? stop + 1 : NULL;
        return stop;
    }
    stop = memchr(*part, ':', (size_t)(end - *part));
    *after = stop != NULL ? stop : end;
    return *after;
}

static int address_read(const char *part, size_t bytes, struct address *address, struct error *err)
{
    const char *end = part + bytes;
    const char *host = part;
    const char *after;

    if (memmem(part, bytes, "://", 3) != NULL)
        return address_refuse(part, bytes, "only tcp:// is supported", err);
    if (bytes == 0)
        return address_refuse(part, bytes, "it is empty", err);
    const char *stop = host_end(&host, end, &after);
    if (stop == NULL)
        return address_refuse(part, bytes, "a bracket is not closed", err);
    size_t host_bytes = (size_t)(stop - host);
    if (host_bytes == 0 || host_bytes > HOST_NAME_MAX_BYTES)
        return address_refuse(part, bytes, "the host has 1 to 253 bytes", err);
    address->port = ADDRESSES_DEFAULT_PORT;
    if (after != end && (*after != ':' || port_read(after + 1, end, &address->port) != 0))
        return address_refuse(part, bytes, "the port is a number from 1 to 65535", err);
    memcpy(address->host, host, host_bytes);
    address->host[host_bytes] = '\0';
    return EMB_OK;
}

int addresses_read(const char *text, struct address *addresses, uint32_t *count, struct error *err)
{
    const char *at = text;

    *count = 0;
    for (;;) {
        if (strncmp(at, SCHEME, strlen(SCHEME)) == 0)
            at += strlen(SCHEME);
        size_t bytes = strcspn(at, ",");
        if (*count == ADDRESSES_MAX)
            return address_refuse(text, strlen(text), "there are more than 32", err);
        int code = address_read(at, bytes, &addresses[*count], err);
        if (code != EMB_OK)
            return code;
        ++*count;
        if (at[bytes] == '\0')
            return EMB_OK;
        at += bytes + 1;
    }
}
