/* A program of a user: strict C11 and C++17, with names that the library has inside. */
#include <embarcadero/embarcadero.h>

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int error_set(void);
int crc32c(void);
int connection_start(void);

int error_set(void)
{
    return 1;
}

int crc32c(void)
{
    return 2;
}

int connection_start(void)
{
    return 3;
}
#ifdef __cplusplus
}
#endif

int main(void)
{
    struct emb_client_options options;
    struct emb_publisher_options publisher;
    struct emb_client *client;
    struct emb_error err;

    emb_client_options_init(&options);
    emb_publisher_options_init(&publisher);
    options.brokers = "nonsense://";
    if (emb_client_open(&options, &client, &err) != EMB_ERR_INVALID_ARGUMENT || client != NULL)
        return 1;
    if (strcmp(emb_error_name(err.code), "INVALID_ARGUMENT") != 0 || strlen(err.text) == 0)
        return 2;
    if (publisher.acks != EMB_ACKS_DURABLE || options.timeout_ms != 10000)
        return 3;
    printf("%s: %s\n", emb_version(), err.text);
    return error_set() + crc32c() + connection_start() == 6 ? 0 : 4;
}
