/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim/shim.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void close_input(struct shim_input *input)
{
    if (input->fd >= 0 && input->owned)
        close(input->fd);
    input->fd = -1;
    input->start = 0;
    input->len = 0;
}

size_t shim_input_take(struct shim_input *input, const void *data, size_t len)
{
    if (input->fd < 0 || input->close_wanted)
        return len;
    if (input->start > 0) {
        memmove(input->bytes, input->bytes + input->start, input->len);
        input->start = 0;
    }
    size_t room = sizeof(input->bytes) - input->len;
    size_t n = len < room ? len : room;
    memcpy(input->bytes + input->len, data, n);
    input->len += n;
    return n;
}

void shim_input_flush(struct shim_input *input)
{
    while (input->fd >= 0 && input->len > 0) {
        ssize_t n = write(input->fd, input->bytes + input->start, input->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) { /* nobody reads it any more */
            close_input(input);
            return;
        }
        input->start += (size_t)n;
        input->len -= (size_t)n;
    }
    /* A terminal has no end to be closed: who is in it says so by ctrl-d. */
    if (input->close_wanted && input->len == 0 && input->owned)
        close_input(input);
}
