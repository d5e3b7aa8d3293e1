#include "base/error.h"
#include "embarcadero/embarcadero.h"

const char *emb_version(void)
{
    return EMB_VERSION;
}

const char *emb_error_name(int code)
{
    return error_name(code);
}

const char *emb_error_text(int code)
{
    return error_text(code);
}
