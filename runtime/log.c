/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - a reader's walk over the files of all runs kept, oldest first:
 *
 *     1.log.2 → 1.log.1 → 1.log → 2.log → …
 *
 * Files are renamed under the reader and the oldest deleted, so a place is a file's identity and an
 * offset, never a name. The identity mixes inode and birth time: a new file may get the inode of
 * one just deleted.
 */
#include "runtime/log.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container_record.h"
#include "runtime/internal.h"
#include "runtime/shim/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK_MIN = 32768, /* room for the longest line the shim writes */
    CHUNK_MAX = 4 << 20,
    BLOCK = 65536,
};

struct log_file {
    int fd;
    int64_t id;
    int64_t size;
};

/* The files of one run, oldest first. */
struct run_files {
    struct log_file file[SHIM_LOG_FILES_MAX];
    size_t n;
};

static void run_files_release(struct run_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        close(files->file[i].fd);
    files->n = 0;
}

static int64_t identity(int fd, int64_t *ret_size)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_SIZE | STATX_BTIME, &st) < 0)
        return 0;
    *ret_size = (int64_t)st.stx_size;
    uint64_t born = (uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
    if (!(st.stx_mask & STATX_BTIME))
        born = 0;
    uint64_t id = (st.stx_ino ^ (born * 0x9e3779b97f4a7c15u)) & INT64_MAX;
    return id ? (int64_t)id : 1;
}

/* Open the files of @run. Newest first: a rotation in between then shows one twice, which is
 * dropped, and hides only the newest, which is found the next time. */
static void open_run(int dir_fd, int64_t run, struct run_files *ret_files)
{
    struct run_files newest_first = {.n = 0};
    /* A rotation under way, or cut short, leaves a gap of one. */
    for (int age = 0, missing = 0; age < SHIM_LOG_FILES_MAX && missing < 2; age++) {
        char name[64];
        snprintf(name, sizeof(name), age ? "%lld.log.%d" : "%lld.log", (long long)run, age);
        struct log_file file = {.fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
        if (file.fd < 0) {
            missing++;
            continue;
        }
        missing = 0;
        file.id = identity(file.fd, &file.size);
        bool seen = file.id == 0;
        for (size_t i = 0; i < newest_first.n; i++)
            seen = seen || newest_first.file[i].id == file.id;
        if (seen)
            close(file.fd);
        else
            newest_first.file[newest_first.n++] = file;
    }
    ret_files->n = newest_first.n;
    for (size_t i = 0; i < newest_first.n; i++)
        ret_files->file[i] = newest_first.file[newest_first.n - 1 - i];
}

static int compare_runs(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The runs that have log files, ascending. The caller frees the array. */
static int64_t *list_runs(int dir_fd, size_t *ret_n)
{
    int64_t *runs = mem_alloc(1, sizeof(*runs));
    size_t n = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int64_t run = strtoll(e->d_name, NULL, 10);
        if (run <= 0)
            continue;
        runs = mem_resize(runs, n + 1, sizeof(*runs));
        runs[n++] = run;
    }
    if (dir)
        closedir(dir);
    qsort(runs, n, sizeof(*runs), compare_runs);
    size_t unique = 0;
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || runs[unique - 1] != runs[i])
            runs[unique++] = runs[i];
    }
    *ret_n = unique;
    return runs;
}

static int open_logs(struct runtime *rt, const char *id, struct err *err)
{
    if (!container_record_id_ok(id))
        return err_set(err, ERR_INVALID, "'%s' is no container id", str_or_empty(id));
    cleanup_free char *data = container_data_dir(rt, id);
    cleanup_free char *path = str_printf("%s/" SHIM_DIR_LOG, data);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_NOTFOUND, "there is no container %s", id);
    return fd < 0 ? err_errno(err, errno, "open %s", path) : fd;
}

/* The file the cursor is in, or where the walk goes on if that one is gone; the index may be
 * files->n: nothing there. */
static size_t find_place(const struct run_files *files, struct log_cursor *cursor)
{
    for (size_t i = 0; i < files->n && cursor->file; i++) {
        if (files->file[i].id == cursor->file && cursor->offset <= files->file[i].size)
            return i;
    }
    cursor->offset = 0;
    cursor->file = files->n ? files->file[0].id : 0;
    return 0;
}

/* Append whole lines of @file from @cursor on, at most @max bytes. Returns how many. @final: nobody
 * writes to it any more, so bytes without an end are given up. */
static size_t read_lines(const struct log_file *file, struct log_cursor *cursor, size_t max,
                         bool final, struct buf *out)
{
    char *to = buf_reserve(out, max + 1);
    ssize_t n = pread(file->fd, to, max, cursor->offset);
    if (n <= 0) {
        to[0] = '\0';
        return 0;
    }
    char *last = memrchr(to, '\n', (size_t)n);
    size_t whole = last ? (size_t)(last - to) + 1 : 0;
    to[whole] = '\0';
    out->len += whole;
    cursor->offset += (int64_t)whole;
    if (whole == 0 && (final || (size_t)n == max))
        cursor->offset += n;
    return whole;
}

/* Move on to the file after @at in this run, or to the next run. False when there is none. */
static bool next_file(const struct run_files *files, size_t at, const int64_t *runs, size_t runs_n,
                      struct log_cursor *cursor)
{
    if (at + 1 < files->n) {
        cursor->file = files->file[at + 1].id;
        cursor->offset = 0;
        return true;
    }
    for (size_t i = 0; i < runs_n; i++) {
        if (runs[i] > cursor->run) {
            *cursor = (struct log_cursor){.run = runs[i]};
            return true;
        }
    }
    return false;
}

/* Whether anything is after @cursor, which may move to the file where it is. */
static bool has_more(int dir_fd, struct log_cursor *cursor)
{
    size_t runs_n;
    cleanup_free int64_t *runs = list_runs(dir_fd, &runs_n);
    for (;;) {
        struct run_files files;
        open_run(dir_fd, cursor->run, &files);
        size_t at = find_place(&files, cursor);
        bool more = at < files.n && files.file[at].size > cursor->offset;
        bool last = at + 1 >= files.n && (runs_n == 0 || runs[runs_n - 1] <= cursor->run);
        bool moved = !more && !last && next_file(&files, at, runs, runs_n, cursor);
        if (more && last) {
            /* An unfinished line alone is nothing to come back for at once. */
            char tail;
            more = pread(files.file[at].fd, &tail, 1, files.file[at].size - 1) == 1 && tail == '\n';
        }
        run_files_release(&files);
        if (!moved)
            return more;
    }
}

int log_read_cri(struct runtime *rt, const char *id, struct log_cursor *cursor, size_t max_bytes,
                 struct buf *out, bool *ret_more, struct err *err)
{
    cleanup_close int dir_fd = open_logs(rt, id, err);
    if (dir_fd < 0)
        return dir_fd;
    size_t room = max_bytes < CHUNK_MIN ? CHUNK_MIN : max_bytes > CHUNK_MAX ? CHUNK_MAX : max_bytes;
    size_t runs_n;
    /* Runs are listed before files are opened: a run that another follows is written no more. */
    cleanup_free int64_t *runs = list_runs(dir_fd, &runs_n);
    if (cursor->run == 0 && runs_n > 0)
        *cursor = (struct log_cursor){.run = runs[0]};
    bool going = cursor->run > 0;
    while (going && room >= CHUNK_MIN / 2) {
        struct run_files files;
        open_run(dir_fd, cursor->run, &files);
        size_t at = find_place(&files, cursor);
        bool final = at + 1 < files.n || (runs_n > 0 && runs[runs_n - 1] > cursor->run);
        int64_t before = cursor->offset;
        size_t got = at < files.n ? read_lines(&files.file[at], cursor, room, final, out) : 0;
        room -= got;
        if (cursor->offset == before)
            going = next_file(&files, at, runs, runs_n, cursor);
        run_files_release(&files);
    }
    *ret_more = cursor->run > 0 && has_more(dir_fd, cursor);
    return 0;
}

/* True for the last part of a line: "TIME STREAM F text". */
static bool is_full_line(const char *line, const char *end)
{
    const char *stream = memchr(line, ' ', (size_t)(end - line));
    const char *tag = stream ? memchr(stream + 1, ' ', (size_t)(end - stream - 1)) : NULL;
    return tag && tag + 1 < end && tag[1] == 'F';
}

/* Walk @file backwards. *@lines counts down with each full line; the one that makes it -1 is the
 * last not wanted, and its end is returned; -1 when the file has fewer. */
static int64_t seek_in_file(const struct log_file *file, int64_t *lines)
{
    cleanup_free char *block = mem_alloc(BLOCK, 1);
    int64_t end = file->size; /* everything from here on was counted */
    while (end > 0) {
        int64_t from = end > BLOCK ? end - BLOCK : 0;
        ssize_t n = pread(file->fd, block, (size_t)(end - from), from);
        if (n != end - from)
            return -1;
        char *stop = block + n; /* end of the line looked at */
        for (;;) {
            char *before =
                stop - block > 1 ? memrchr(block, '\n', (size_t)(stop - block - 1)) : NULL;
            char *line = before ? before + 1 : block;
            if (!before && from > 0)
                break;
            if (stop > line && stop[-1] == '\n' && is_full_line(line, stop) && --*lines < 0)
                return from + (stop - block);
            stop = line;
            if (stop == block)
                break;
        }
        end = stop - block == n ? from : from + (stop - block);
    }
    return -1;
}

int log_seek_tail(struct runtime *rt, const char *id, int64_t lines, struct log_cursor *cursor,
                  struct err *err)
{
    cleanup_close int dir_fd = open_logs(rt, id, err);
    if (dir_fd < 0)
        return dir_fd;
    size_t runs_n;
    cleanup_free int64_t *runs = list_runs(dir_fd, &runs_n);
    struct log_cursor place = {0};
    for (size_t i = runs_n; i-- > 0 && place.file == 0;) {
        struct run_files files;
        open_run(dir_fd, runs[i], &files);
        for (size_t f = files.n; f-- > 0;) {
            int64_t offset = seek_in_file(&files.file[f], &lines);
            if (offset >= 0) {
                place =
                    (struct log_cursor){.run = runs[i], .file = files.file[f].id, .offset = offset};
                break;
            }
        }
        run_files_release(&files);
    }
    *cursor = place;
    return 0;
}
