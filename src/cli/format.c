#include "cli/format.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "cli/print.h"

/* ---- reading the form ------------------------------------------------------------------------ */

static int escape_read(char byte, char *to)
{
    static const char from[] = "nrt0\\";
    static const char meant[] = "\n\r\t\0\\";
    const char *at = byte ? strchr(from, byte) : NULL;
    if (!at)
        return -1;
    *to = meant[at - from];
    return 0;
}

static void literal_add(struct format *format, char byte, size_t *used)
{
    struct format_part *last = format->count ? &format->parts[format->count - 1] : NULL;
    format->literal[*used] = byte;
    if (last && last->what == 0)
        last->bytes++;
    else
        format->parts[format->count++] =
            (struct format_part){.text = format->literal + *used, .bytes = 1};
    ++*used;
}

int format_read(struct format *format, const char *text, struct error *err)
{
    size_t used = 0;
    *format = (struct format){.json = strcmp(text, "json") == 0};
    if (format->json)
        return EMB_OK;
    if (strcmp(text, "value") == 0)
        text = "%v\\n";
    for (const char *at = text; *at; at++) {
        char byte = *at;
        if (used == sizeof format->literal || format->count == FORMAT_PARTS_MAX)
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "--format is too long; at most 256 bytes and 64 parts are accepted");
        if (byte == '%' && at[1] && strchr("okvth", at[1])) {
            format->parts[format->count++] = (struct format_part){.what = *++at};
            continue;
        }
        if (byte == '%' && *++at != '%')
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "--format: bad \"%%%.1s\" in \"%.60s\"; accepted: %%o %%k %%v %%t %%h "
                             "%%%%",
                             at, text);
        if (byte == '\\' && escape_read(*++at, &byte) != 0)
            return error_set(
                err, EMB_ERR_INVALID_ARGUMENT,
                "--format: bad \"\\%.1s\" in \"%.60s\"; accepted: \\n \\r \\t \\0 \\\\", at, text);
        literal_add(format, byte, &used);
    }
    return EMB_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void headers_put(struct sink *sink, const struct emb_message *message)
{
    for (uint32_t i = 0; i < message->header_count; i++) {
        const struct emb_header *header = &message->headers[i];
        if (i)
            sink_byte(sink, ',');
        sink_put(sink, header->key, strlen(header->key));
        sink_byte(sink, '=');
        sink_put(sink, header->value, header->value_bytes);
    }
}

static void part_put(const struct format_part *part, struct sink *sink,
                     const struct emb_message *message)
{
    switch (part->what) {
    case 'o':
        sink_number(sink, message->offset);
        break;
    case 'k':
        sink_put(sink, message->key, message->key_bytes);
        break;
    case 'v':
        sink_put(sink, message->value, message->value_bytes);
        break;
    case 't':
        sink_number(sink, message->timestamp_ms);
        break;
    case 'h':
        headers_put(sink, message);
        break;
    default:
        sink_put(sink, part->text, part->bytes);
    }
}

static json_t *base64(const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((count + 2) / 3 * 4 + 1);
    char *to = text;
    if (!text || !bytes) {
        free(text);
        return json_null();
    }
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0u);
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[group & 63] : '=';
    }
    json_t *value = json_stringn(text, (size_t)(to - text));
    free(text);
    return value;
}

/* Text as it is; what is no UTF-8 in base64, under a name that says so. */
static void bytes_set(json_t *object, const char *name, const void *bytes, size_t count)
{
    char other[32];
    json_t *text = bytes ? json_stringn(bytes, count) : json_null();
    if (text) {
        print_set(object, name, text);
        return;
    }
    snprintf(other, sizeof other, "%s_base64", name);
    print_set(object, other, base64(bytes, count));
}

static void json_put(struct sink *sink, const struct emb_message *message)
{
    json_t *value = json_object();
    print_set(value, "offset", print_number(message->offset));
    print_set(value, "timestamp", print_number(message->timestamp_ms));
    bytes_set(value, "key", message->key, message->key_bytes);
    bytes_set(value, "value", message->value, message->value_bytes);
    if (message->header_count) {
        json_t *headers = json_array();
        for (uint32_t i = 0; i < message->header_count; i++) {
            const struct emb_header *header = &message->headers[i];
            json_t *one = json_object();
            bytes_set(one, "key", header->key, strlen(header->key));
            bytes_set(one, "value", header->value, header->value_bytes);
            json_array_append_new(headers, one);
        }
        print_set(value, "headers", headers);
    }
    char *text = json_dumps(value, JSON_COMPACT);
    if (text)
        sink_put(sink, text, strlen(text));
    sink_byte(sink, '\n');
    free(text);
    json_decref(value);
}

void format_put(const struct format *format, struct sink *sink, const struct emb_message *message)
{
    if (format->json) {
        json_put(sink, message);
        return;
    }
    for (int i = 0; i < format->count; i++)
        part_put(&format->parts[i], sink, message);
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* Digits behind a dot as milliseconds; the text behind them. */
static const char *fraction_read(const char *at, uint64_t *ms)
{
    uint64_t scale = 100;
    *ms = 0;
    if (*at != '.' || at[1] < '0' || at[1] > '9')
        return at;
    for (at++; *at >= '0' && *at <= '9'; at++) {
        *ms += (uint64_t)(*at - '0') * scale;
        scale /= 10;
    }
    return at;
}

static bool iso_read(const char *text, uint64_t *ms)
{
    struct tm when = {0};
    uint64_t fraction = 0;
    const char *end = strptime(text, "%Y-%m-%d", &when);
    if (!end)
        return false;
    if (*end == 'T' || *end == ' ') {
        end = strptime(end + 1, "%H:%M:%S", &when);
        if (!end)
            return false;
        end = fraction_read(end, &fraction);
    }
    if (*end == 'Z')
        end++;
    struct tm given = when; /* timegm makes March of the 30th of February */
    time_t seconds = timegm(&when);
    *ms = (uint64_t)seconds * 1000 + fraction;
    return *end == '\0' && seconds >= 0 && when.tm_mday == given.tm_mday;
}

int format_start_read(const char *text, int *start, uint64_t *value, struct error *err)
{
    *value = 0;
    if (strcmp(text, "earliest") == 0)
        *start = EMB_START_EARLIEST;
    else if (strcmp(text, "latest") == 0)
        *start = EMB_START_LATEST;
    else if (units_number_read(text, value))
        *start = EMB_START_OFFSET;
    else if (strncmp(text, "timestamp:", 10) == 0 && units_number_read(text + 10, value))
        *start = EMB_START_TIMESTAMP;
    else if (text[0] == '@' && iso_read(text + 1, value))
        *start = EMB_START_TIMESTAMP;
    else
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--from: bad value \"%.60s\"; accepted: earliest, latest, an offset, "
                         "timestamp:MS or @2024-05-01T12:00:00Z",
                         text);
    return EMB_OK;
}
