/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - a container's output in the CRI text format, with rotation.
 *
 * Lines gather in one buffer and go to the file whole. When writing fails (a full disk, most of the
 * time) the file is cut back to its last whole line and the lines are dropped and counted; the
 * first write that works again is preceded by one that says how many are missing. So a container is
 * never blocked by its log.
 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER_MAX = 64,
    OUT_MAX = 2 * (SHIM_LINE_MAX + HEADER_MAX),
};

static struct {
    int dir_fd;
    int fd; /* -1: must be opened */
    long long run;
    int64_t max_bytes;
    int files;
    bool none; /* the file stays empty: it only shows that the run was */
    int64_t size;
    uint64_t lost; /* lines dropped since the last successful write */
    int lost_errno;
    size_t len;
    unsigned lines; /* in out */
    char out[OUT_MAX];
} log_file;

static void file_name(char *name, size_t size, int age)
{
    if (age == 0)
        snprintf(name, size, "%lld.log", log_file.run);
    else
        snprintf(name, size, "%lld.log.%d", log_file.run, age);
}

static bool open_file(void)
{
    char name[64];
    file_name(name, sizeof(name), 0);
    if (log_file.dir_fd >= 0)
        log_file.fd = openat(log_file.dir_fd, name,
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat st;
    if (log_file.fd < 0 || fstat(log_file.fd, &st) < 0)
        return false;
    log_file.size = st.st_size;
    return true;
}

static void rotate(void)
{
    char from[64], to[64];
    for (int age = log_file.files - 1; age > 0; age--) {
        file_name(from, sizeof(from), age - 1);
        file_name(to, sizeof(to), age);
        renameat(log_file.dir_fd, from, log_file.dir_fd, to);
    }
    /* The only file begins anew under another identity: a reader is not to go on in its middle. */
    file_name(from, sizeof(from), 0);
    if (log_file.files == 1)
        unlinkat(log_file.dir_fd, from, 0);
    close(log_file.fd);
    log_file.fd = -1;
}

void shim_log_open(int data_fd, long long run, const char *options)
{
    char *rest;
    log_file.dir_fd = openat(data_fd, SHIM_DIR_LOG, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    log_file.run = run;
    log_file.max_bytes = strtoll(options, &rest, 10);
    log_file.files = (int)strtol(rest, &rest, 10);
    if (log_file.files < 1 || log_file.files > SHIM_LOG_FILES_MAX)
        log_file.files = SHIM_LOG_FILES;
    log_file.none = strchr(rest, SHIM_FLAG_NO_LOG) != NULL;
    log_file.fd = -1;
    open_file();
}

/* "2026-01-02T03:04:05.123456789Z stdout F " */
static int format_header(char *to, size_t size, const char *stream, char tag)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    return snprintf(to, size, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ %s %c ", tm.tm_year + 1900,
                    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec,
                    stream, tag);
}

/* Write all or nothing. */
static bool write_whole(const char *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(log_file.fd, data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            log_file.lost_errno = n < 0 ? errno : ENOSPC;
            if (done > 0 && ftruncate(log_file.fd, log_file.size) < 0)
                log_file.size += (int64_t)done;
            return false;
        }
        done += (size_t)n;
    }
    log_file.size += (int64_t)len;
    return true;
}

static bool write_gap(void)
{
    char line[256];
    int head = format_header(line, sizeof(line), "stderr", 'F');
    int len = snprintf(line + head, sizeof(line) - (size_t)head,
                       "[wherry: %llu lines are missing here: %s]\n",
                       (unsigned long long)log_file.lost, strerror(log_file.lost_errno));
    if (!write_whole(line, (size_t)(head + len)))
        return false;
    log_file.lost = 0;
    return true;
}

void shim_log_flush(void)
{
    if (log_file.len == 0)
        return;
    if (log_file.fd >= 0 && log_file.size > 0 &&
        log_file.size + (int64_t)log_file.len > log_file.max_bytes)
        rotate();
    bool ok = log_file.fd >= 0 || open_file();
    if (!ok)
        log_file.lost_errno = errno;
    ok = ok && (log_file.lost == 0 || write_gap()) && write_whole(log_file.out, log_file.len);
    if (!ok)
        log_file.lost += log_file.lines;
    log_file.len = 0;
    log_file.lines = 0;
}

void shim_log_line(const char *stream, char tag, const char *text, size_t len)
{
    if (log_file.none)
        return;
    size_t most = len + HEADER_MAX + 1;
    int64_t in_file = log_file.size + (int64_t)log_file.len;
    if (log_file.len + most > OUT_MAX ||
        (log_file.len > 0 && in_file + (int64_t)most > log_file.max_bytes))
        shim_log_flush();
    char *to = log_file.out + log_file.len;
    int head = format_header(to, HEADER_MAX, stream, tag);
    memcpy(to + head, text, len);
    to[(size_t)head + len] = '\n';
    log_file.len += (size_t)head + len + 1;
    log_file.lines++;
}
