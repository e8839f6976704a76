/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/report.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum {
    PROGRESS_EACH_MS = 100,
};

/* One line, and its answer, at a time: several threads pull. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The runtime is gone when its pipe is: then so are we. */
static void send_line(struct buf *line)
{
    buf_putc(line, '\n');
    if (fd_write_all(STDOUT_FILENO, line->data, line->len) < 0)
        _exit(1);
}

static void put_encoded(struct buf *line, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= ' ' || c == '%' || c >= 0x7f)
            buf_printf(line, "%%%02x", c);
        else
            buf_putc(line, (char)c);
    }
}

/* Send a line about progress, unless the last one was a moment ago. */
static void send_progress(struct buf *line)
{
    static int64_t last_ms;
    int64_t now_ms = clock_boot_ms();
    pthread_mutex_lock(&lock);
    if (now_ms - last_ms >= PROGRESS_EACH_MS) {
        last_ms = now_ms;
        send_line(line);
    }
    pthread_mutex_unlock(&lock);
}

void report_progress(int64_t done, int64_t total)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "progress %lld %lld", (long long)done, (long long)total);
    send_progress(&line);
}

void report_transfer(int64_t done, int64_t total, unsigned layers_done, unsigned layers,
                     int64_t speed)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "progress %lld %lld %u %u %lld", (long long)done, (long long)total,
               layers_done, layers, (long long)speed);
    send_progress(&line);
}

void report_digest(const char *digest)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "digest %s", digest);
    send_line(&line);
}

/* Send a question and wait for what the runtime says. */
static bool ask(struct buf *line)
{
    char answer[2];
    pthread_mutex_lock(&lock);
    send_line(line);
    for (size_t got = 0; got < sizeof(answer);) {
        ssize_t n = read(STDIN_FILENO, answer + got, sizeof(answer) - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(1);
        got += (size_t)n;
    }
    pthread_mutex_unlock(&lock);
    return answer[0] == 'y';
}

bool report_have(const char *digest, int64_t size)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "have %s %lld", digest, (long long)size);
    return ask(&line);
}

int report_blob(const char *digest, int64_t size, const char *file, struct err *err)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "blob %s %lld %s", digest, (long long)size, file);
    return ask(&line) ? 0 : err_set(err, ERR_FAILED, "blob %s was not accepted", digest);
}

void report_image(const char *digest, const char *name)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "image %s ", digest);
    put_encoded(&line, name ? name : "-");
    send_line(&line);
}

void report_path(const char *kind, const char *path)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "%s ", kind);
    put_encoded(&line, path);
    send_line(&line);
}

bool report_ask(const char *kind, const char *path)
{
    cleanup_buf struct buf line = BUF_INIT;
    buf_printf(&line, "%s ", kind);
    put_encoded(&line, path);
    return ask(&line);
}

void report_end(const struct err *err)
{
    cleanup_buf struct buf line = BUF_INIT;
    if (err) {
        buf_printf(&line, "error %d ", -err->code);
        for (const char *s = err->msg; *s; s++)
            buf_putc(&line, *s >= 0 && *s < ' ' ? ' ' : *s);
    } else {
        buf_puts(&line, "done");
    }
    send_line(&line);
}
