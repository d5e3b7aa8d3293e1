#include "bin/streams.h"

#include <fcntl.h>
#include <unistd.h>

int streams_open(void)
{
    /* Those below are in use, so that what is opened gets the number looked at. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return -1;
    return 0;
}
