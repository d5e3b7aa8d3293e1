#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

const char *error_text(int code)
{
    switch (code) {
    case 0:
        return "success";
#define TEXT(name, value, text)                                                                    \
    case -(value):                                                                                 \
        return text;
        EMB_ERROR_TABLE(TEXT)
#undef TEXT
    default:
        return "unknown error";
    }
}

const char *error_name(int code)
{
    switch (code) {
    case 0:
        return "OK";
#define NAME(name, value, text)                                                                    \
    case -(value):                                                                                 \
        return #name;
        EMB_ERROR_TABLE(NAME)
#undef NAME
    default:
        return "UNKNOWN";
    }
}

int error_from_wire(unsigned value)
{
    switch (value) {
    case 0:
        return 0;
#define CODE(name, number, text)                                                                   \
    case (number):                                                                                 \
        return -(number);
        EMB_ERROR_TABLE(CODE)
#undef CODE
    default:
        return EMB_ERR_PROTOCOL;
    }
}
