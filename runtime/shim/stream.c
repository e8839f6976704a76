/* SPDX-License-Identifier: Apache-2.0 */
/* stream - what the container writes: to the ring for those who attach, by lines to the log. */
#include "runtime/shim/shim.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* @n bytes came behind the unfinished line: log the lines that are whole now. */
static void log_lines(struct shim_stream *stream, size_t n)
{
    size_t start = 0, scanned = stream->len;
    stream->len += n;
    for (;;) {
        char *end = memchr(stream->line + scanned, '\n', stream->len - scanned);
        if (!end)
            break;
        size_t at = (size_t)(end - stream->line);
        shim_log_line(stream->name, 'F', stream->line + start, at - start);
        start = scanned = at + 1;
    }
    if (start == 0 && stream->len == sizeof(stream->line)) {
        shim_log_line(stream->name, 'P', stream->line, stream->len);
        start = stream->len;
    }
    stream->len -= start;
    memmove(stream->line, stream->line + start, stream->len);
    shim_log_flush();
}

int shim_stream_read(struct shim *shim, struct shim_stream *stream)
{
    if (stream->fd < 0)
        return -1;
    size_t max = sizeof(stream->line) - stream->len;
    if (shim->exec) {
        size_t room = shim_ring_room(&shim->ring);
        max = max < room ? max : room;
        if (max == 0)
            return 0;
    }
    char *to = stream->line + stream->len;
    ssize_t n = read(stream->fd, to, max);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) { /* EIO: nobody has the terminal open */
        shim_stream_end(shim, stream);
        return -1;
    }
    shim_ring_put(&shim->ring, stream->number, to, (size_t)n);
    if (shim->logs)
        log_lines(stream, (size_t)n);
    return 1;
}

void shim_stream_end(struct shim *shim, struct shim_stream *stream)
{
    if (stream->len > 0)
        shim_log_line(stream->name, 'F', stream->line, stream->len);
    stream->len = 0;
    if (shim->logs)
        shim_log_flush();
    if (stream->fd >= 0)
        close(stream->fd);
    if (stream->fd >= 0 && stream->fd == shim->tty_fd) {
        shim->tty_fd = -1;
        shim->input.fd = -1;
    }
    stream->fd = -1;
}
