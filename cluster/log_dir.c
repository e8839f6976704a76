/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/acknowledged.h"
#include "cluster/log_internal.h"
#include "cluster/segment.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SEGMENT_BYTES_MAX = 64 << 20,
};

#define U(number) ((unsigned long long)(number))

/* An open segment, read. */
struct open_segment {
    struct segment content;
    bool written;
    uint64_t first; /* index of its first entry */
};

/* The examination. */
struct examination {
    struct log_files files;
    const struct acknowledged *record;
    uint64_t must_have; /* the log must reach to there */
    size_t run;         /* the first closed segment that counts */
    struct open_segment *open;
    uint64_t last;        /* index of the last good entry, or of the snapshot */
    const char *end_name; /* of the file with the last entry, NULL: none */
    size_t end_at;        /* and where it ends there */
    char torn[240];       /* where the log's last write was torn; "": nowhere */
    bool has_written;     /* some open segment was written to */
};

static int read_segment(const struct examination *x, const char *name, bool closed,
                        struct segment *ret, struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", x->files.dir, name);
    cleanup_buf struct buf data = BUF_INIT;
    int rv = file_read(path, SEGMENT_BYTES_MAX, &data, err);
    if (rv == ERR_TOOBIG)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it is too long", path);
    if (rv == 0)
        segment_read(data.data, data.len, closed, ret);
    return rv;
}

/* --- what was cut short ----------------------------------------------------------------------- */

static int remove_closed(struct examination *x, size_t from, size_t to, struct err *err)
{
    struct log_files *f = &x->files;
    for (size_t i = from; i < to; i++) {
        cleanup_free char *path = str_printf("%s/%s", f->dir, f->closed[i].name);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_errno(err, errno, "remove %s", path);
    }
    memmove(f->closed + from, f->closed + to, (f->closed_n - to) * sizeof(*f->closed));
    f->closed_n -= to - from;
    return file_sync_dir(f->dir, err);
}

/* A snapshot of the leader was durable, the log it replaces not yet removed: libraft would refuse
 * that for damaged. */
static int finish_installation(struct examination *x, struct err *err)
{
    struct log_files *f = &x->files;
    if (!*f->snapshot || f->closed_n == 0 || x->has_written ||
        f->closed[f->closed_n - 1].last >= f->index)
        return 0;
    log_info("raft", "%s/%s replaces the log up to %llu: finishing what a stop interrupted", f->dir,
             f->snapshot, U(f->closed[f->closed_n - 1].last));
    return remove_closed(x, 0, f->closed_n, err);
}

/* The log was being cut after the entry @last: the shorter copy of a segment was durable, the
 * longer one and what followed not yet removed. What was acknowledged had been lowered before. */
static bool is_truncation(const struct examination *x, uint64_t last)
{
    return x->record && x->must_have <= last && !x->has_written;
}

static int finish_truncation(struct examination *x, size_t from, struct err *err)
{
    log_info("raft", "%s/%s and what follows was being cut off: finishing what a stop interrupted",
             x->files.dir, x->files.closed[from].name);
    return remove_closed(x, from, x->files.closed_n, err);
}

/* --- the log ---------------------------------------------------------------------------------- */

/* Find the last row of closed segments without a gap; what is before it a snapshot has. */
static int find_run(struct examination *x, struct err *err)
{
    struct log_files *f = &x->files;
    uint64_t behind_snapshot = f->index + 1;
    x->run = 0;
    for (size_t i = 0; i < f->closed_n; i++) {
        const struct log_segment *s = &f->closed[i];
        if (s->first == 0 || s->first > s->last)
            return err_set(err, ERR_CORRUPT, "%s/%s is no file of a log", f->dir, s->name);
        if (i == 0 || s->first == f->closed[i - 1].last + 1)
            continue;
        const struct log_segment *older = &f->closed[i - 1];
        bool reached = f->closed[x->run].first <= behind_snapshot;
        if (s->first > older->last && s->first <= behind_snapshot)
            x->run = i; /* older ones that a snapshot made needless */
        else if (reached && is_truncation(x, older->last))
            return finish_truncation(x, i, err);
        else if (s->first > older->last)
            return err_set(err, ERR_CORRUPT,
                           "entries %llu to %llu of the log in %s are missing, between %s and %s",
                           U(older->last + 1), U(s->first - 1), f->dir, older->name, s->name);
        else
            return err_set(err, ERR_CORRUPT, "%s/%s and %s hold the same entries", f->dir,
                           older->name, s->name);
    }
    if (f->closed_n > 0 && f->closed[x->run].first > behind_snapshot)
        return err_set(
            err, ERR_CORRUPT, "entries %llu to %llu of the log in %s are missing, before %s",
            U(behind_snapshot), U(f->closed[x->run].first - 1), f->dir, f->closed[x->run].name);
    return 0;
}

static int read_closed(struct examination *x, struct err *err)
{
    const struct log_files *f = &x->files;
    x->last = f->index;
    for (size_t i = x->run; i < f->closed_n; i++) {
        const struct log_segment *s = &f->closed[i];
        struct segment content;
        if (read_segment(x, s->name, true, &content, err) < 0)
            return err->code;
        if (content.end == SEGMENT_WHOLE && content.entries == s->last - s->first + 1) {
            x->last = s->last;
            x->end_name = s->name;
            x->end_at = content.used;
            continue;
        }
        if (content.end == SEGMENT_WHOLE)
            snprintf(content.why, sizeof(content.why), "it holds %llu entries", U(content.entries));
        return err_set(err, ERR_CORRUPT, "%s/%s is damaged at byte %zu, entry %llu: %s", f->dir,
                       s->name, content.used, U(s->first + content.entries), content.why);
    }
    return 0;
}

static int read_open(struct examination *x, struct err *err)
{
    struct log_files *f = &x->files;
    x->open = mem_alloc(f->open_n + 1, sizeof(*x->open));
    for (size_t i = 0; i < f->open_n; i++) {
        struct open_segment *o = &x->open[i];
        if (read_segment(x, f->open[i].name, false, &o->content, err) < 0)
            return err->code;
        o->written = o->content.used > 0 || o->content.end != SEGMENT_WHOLE;
        x->has_written |= o->written;
    }
    return 0;
}

/* Follow the open segments from where the closed ones end. */
static int follow_open(struct examination *x, struct err *err)
{
    const struct log_files *f = &x->files;
    for (size_t i = 0; i < f->open_n; i++) {
        struct open_segment *o = &x->open[i];
        if (!o->written)
            continue;
        /* Writes come one after the other: only the very last may be torn. */
        if (*x->torn)
            return err_set(err, ERR_CORRUPT, "%s, and %s was written after it", x->torn,
                           f->open[i].name);
        o->first = x->last + 1;
        x->end_name = f->open[i].name;
        x->end_at = o->content.used;
        x->last += o->content.entries;
        if (o->content.end == SEGMENT_DAMAGED)
            return err_set(err, ERR_CORRUPT, "%s/%s is damaged at byte %zu, entry %llu: %s", f->dir,
                           f->open[i].name, o->content.used, U(x->last + 1), o->content.why);
        if (o->content.end == SEGMENT_TORN)
            snprintf(x->torn, sizeof(x->torn), "%s/%s is damaged at byte %zu, entry %llu: %s",
                     f->dir, f->open[i].name, o->content.used, U(x->last + 1), o->content.why);
    }
    return 0;
}

static int check_end(const struct examination *x, struct err *err)
{
    const struct log_files *f = &x->files;
    if (x->last >= x->must_have)
        return 0;
    if (*x->torn)
        return err_set(err, ERR_CORRUPT, "%.140s; entries up to %llu were acknowledged", x->torn,
                       U(x->must_have));
    return err_set(err, ERR_CORRUPT,
                   "the log in %s ends at entry %llu (byte %zu of %s) but entries up to %llu were "
                   "acknowledged: it lost entries",
                   f->dir, U(x->last), x->end_at, x->end_name ? x->end_name : "no file",
                   U(x->must_have));
}

/* --- in order --------------------------------------------------------------------------------- */

static int close_segment(const struct examination *x, size_t i, struct err *err)
{
    const struct log_files *f = &x->files;
    const struct open_segment *o = &x->open[i];
    cleanup_free char *path = str_printf("%s/%s", f->dir, f->open[i].name);
    if (o->content.entries == 0) {
        if (unlink(path) < 0)
            return err_errno(err, errno, "remove %s", path);
        return 0;
    }
    cleanup_free char *closed =
        str_printf("%s/%016llu-%016llu", f->dir, U(o->first), U(o->first + o->content.entries - 1));
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)o->content.used) < 0 || fsync(fd) < 0)
        return err_errno(err, errno, "close %s", path);
    if (rename(path, closed) < 0)
        return err_errno(err, errno, "rename %s to %s", path, closed);
    return 0;
}

static int close_segments(const struct examination *x, struct err *err)
{
    const struct log_files *f = &x->files;
    if (*x->torn)
        log_info("raft", "%s: the last write was torn and was not acknowledged; it is cut off",
                 x->torn);
    for (size_t i = 0; i < f->open_n; i++)
        if (close_segment(x, i, err) < 0)
            return err->code;
    return f->open_n > 0 ? file_sync_dir(f->dir, err) : 0;
}

static int examine(struct examination *x, struct log_content *content, struct err *err)
{
    const struct log_files *f = &x->files;
    if (log_files_metadata(f, x->record, &content->term, &content->vote, err) < 0 ||
        (*f->snapshot && log_files_snapshot(f, err) < 0) || read_open(x, err) < 0 ||
        finish_installation(x, err) < 0 || find_run(x, err) < 0 || read_closed(x, err) < 0 ||
        follow_open(x, err) < 0 || check_end(x, err) < 0)
        return err->code;
    content->fresh = !f->metadata && !*f->snapshot && f->closed_n == 0 && !x->has_written;
    content->last_index = x->last;
    return close_segments(x, err);
}

int log_dir_prepare(const char *dir, const struct acknowledged *record, int64_t committed,
                    struct log_content *ret_content, struct err *err)
{
    struct examination x = {.record = record, .must_have = (uint64_t)committed};
    struct log_content content = {0};
    int rv = log_files_list(dir, &x.files, err);
    if (rv < 0)
        return rv;
    if (record && record->index > x.must_have)
        x.must_have = record->index;
    if (x.files.index > x.must_have)
        x.must_have = x.files.index;
    rv = examine(&x, &content, err);
    log_files_release(&x.files);
    free(x.open);
    if (rv == 0)
        *ret_content = content;
    return rv;
}
