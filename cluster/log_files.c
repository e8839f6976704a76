/* SPDX-License-Identifier: Apache-2.0 */
/* The files of libraft's folder, but for what is in the log. */
#include "cluster/acknowledged.h"
#include "cluster/entry.h"
#include "cluster/log_internal.h"
#include "cluster/segment.h"
#include "cluster/transport.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SNAPSHOT_BYTES_MAX = 1 << 30,
    META_HEADER_BYTES = 32,
    META_BYTES_MAX = META_HEADER_BYTES + (1 << 20),
    METADATA_BYTES = 32,
    FORMAT = 1,
};

/* --- the list --------------------------------------------------------------------------------- */

static bool parse_closed(const char *name, struct log_segment *s)
{
    unsigned long long first, last;
    int end = 0;
    if (sscanf(name, "%16llu-%16llu%n", &first, &last, &end) != 2 || name[end] ||
        strlen(name) != 33)
        return false;
    s->first = first;
    s->last = last;
    return true;
}

static bool parse_open(const char *name, struct log_segment *s)
{
    unsigned long long counter;
    int end = 0;
    if (sscanf(name, "open-%llu%n", &counter, &end) != 1 || name[end])
        return false;
    s->counter = counter;
    return true;
}

static void add_segment(struct log_segment **list, size_t *n, struct log_segment *s,
                        const char *name)
{
    str_fill(s->name, sizeof(s->name), name);
    *list = mem_resize(*list, *n + 1, sizeof(**list));
    (*list)[(*n)++] = *s;
}

/* A snapshot is there when both its files are and the larger one has something in it: libraft
 * writes the .meta first and removes it first. */
static void note_snapshot(struct log_files *f, const char *name)
{
    unsigned long long term, index, time;
    struct stat st;
    int end = 0;
    if (sscanf(name, "snapshot-%llu-%llu-%llu.meta%n", &term, &index, &time, &end) != 3 ||
        end == 0 || name[end])
        return;
    cleanup_free char *data =
        str_printf("%s/%.*s", f->dir, (int)(strlen(name) - strlen(".meta")), name);
    bool newer = !*f->snapshot || term > f->term ||
                 (term == f->term && (index > f->index || (index == f->index && time > f->time)));
    if (!newer || stat(data, &st) < 0 || st.st_size == 0)
        return;
    str_fill(f->snapshot, sizeof(f->snapshot), strrchr(data, '/') + 1);
    f->term = term;
    f->index = index;
    f->time = time;
}

static int by_place(const void *a, const void *b)
{
    const struct log_segment *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->last != y->last)
        return x->last < y->last ? -1 : 1;
    return x->counter < y->counter ? -1 : x->counter > y->counter;
}

static void sort(struct log_segment *list, size_t n)
{
    if (n > 1)
        qsort(list, n, sizeof(*list), by_place);
}

int log_files_list(const char *dir, struct log_files *ret_files, struct err *err)
{
    struct log_files f = {.dir = dir};
    DIR *d = opendir(dir);
    if (!d)
        return err_errno(err, errno, "open folder %s", dir);
    for (struct dirent *e; (e = readdir(d));) {
        struct log_segment s = {0};
        if (strcmp(e->d_name, "metadata1") == 0 || strcmp(e->d_name, "metadata2") == 0)
            f.metadata = true;
        else if (parse_open(e->d_name, &s))
            add_segment(&f.open, &f.open_n, &s, e->d_name);
        else if (parse_closed(e->d_name, &s))
            add_segment(&f.closed, &f.closed_n, &s, e->d_name);
        else
            note_snapshot(&f, e->d_name);
    }
    closedir(d);
    sort(f.closed, f.closed_n);
    sort(f.open, f.open_n);
    *ret_files = f;
    return 0;
}

void log_files_release(struct log_files *files)
{
    free(files->closed);
    free(files->open);
}

/* --- term and vote ---------------------------------------------------------------------------- */

static uint64_t get_u64(const char *data, size_t word)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)(unsigned char)data[8 * word + (size_t)i] << 8 * i;
    return v;
}

/* One file: u64 format | version | term | vote. *@ret_version 0: not there, or cut short while it
 * was written for the first time, as libraft sees it. */
static int read_metadata(const char *dir, int number, uint64_t *ret_version, uint64_t *ret_term,
                         uint64_t *ret_vote, struct err *err)
{
    cleanup_free char *path = str_printf("%s/metadata%d", dir, number);
    cleanup_buf struct buf data = BUF_INIT;
    *ret_version = 0;
    if (!file_exists(path))
        return 0;
    int rv = file_read(path, METADATA_BYTES, &data, err);
    if (rv == ERR_TOOBIG)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it has more than its %d bytes", path,
                       METADATA_BYTES);
    if (rv < 0 || data.len < METADATA_BYTES)
        return rv;
    if (get_u64(data.data, 0) != FORMAT)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it does not begin with its format", path);
    uint64_t version = get_u64(data.data, 1);
    if (version == 0 || version % 2 != (uint64_t)number % 2)
        return err_set(err, ERR_CORRUPT,
                       "%s is damaged: version %llu (at byte 8) cannot be in this file", path,
                       (unsigned long long)version);
    *ret_version = version;
    *ret_term = get_u64(data.data, 2);
    *ret_vote = get_u64(data.data, 3);
    return 0;
}

/* libraft's files have no checksum; ours says what they are to say. */
static int compare(const struct log_files *f, const struct acknowledged *r, int number,
                   uint64_t term, uint64_t vote, struct err *err)
{
    bool now = term == r->term && vote == r->vote;
    bool before = term == r->term_before && vote == r->vote_before;
    if (now || before)
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "%s/metadata%d is damaged: it has term %llu and vote %llu (at byte 16), and "
                   "%llu and %llu were written",
                   f->dir, number, (unsigned long long)term, (unsigned long long)vote,
                   (unsigned long long)r->term, (unsigned long long)r->vote);
}

int log_files_metadata(const struct log_files *f, const struct acknowledged *record,
                       uint64_t *ret_term, uint64_t *ret_vote, struct err *err)
{
    uint64_t version[3] = {0}, term[3] = {0}, vote[3] = {0};
    for (int i = 1; i <= 2; i++)
        if (read_metadata(f->dir, i, &version[i], &term[i], &vote[i], err) < 0)
            return err->code;
    int newest = version[1] > version[2] ? 1 : 2;
    bool none = version[newest] == 0;
    if (none && (f->closed_n || *f->snapshot || (record && record->term_before)))
        return err_set(err, ERR_CORRUPT,
                       "metadata1 and metadata2 are missing in %s, and with them this member's "
                       "vote",
                       f->dir);
    uint64_t other = version[3 - newest];
    if (other && version[newest] != other + 1)
        return err_set(err, ERR_CORRUPT,
                       "%s/metadata1 or metadata2 is damaged: version %llu (at byte 8) does not "
                       "follow %llu",
                       f->dir, (unsigned long long)version[newest], (unsigned long long)other);
    *ret_term = term[newest];
    *ret_vote = vote[newest];
    return record ? compare(f, record, newest, *ret_term, *ret_vote, err) : 0;
}

/* --- the newest snapshot ---------------------------------------------------------------------- */

/* u64 format | u64 CRC of what follows | u64 index of the configuration | u64 length |
 * configuration */
static int check_meta(const char *path, struct err *err)
{
    cleanup_buf struct buf data = BUF_INIT;
    int rv = file_read(path, META_BYTES_MAX, &data, err);
    if (rv == ERR_TOOBIG)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it is too long", path);
    if (rv < 0)
        return rv;
    if (data.len < META_HEADER_BYTES || get_u64(data.data, 0) != FORMAT)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it does not begin as it should", path);
    uint64_t len = get_u64(data.data, 3);
    if (len == 0 || len != data.len - META_HEADER_BYTES)
        return err_set(err, ERR_CORRUPT, "%s is damaged: it has %zu bytes and should have %llu",
                       path, data.len, META_HEADER_BYTES + (unsigned long long)len);
    if (get_u64(data.data, 1) != segment_crc(data.data + 16, data.len - 16, 0))
        return err_set(err, ERR_CORRUPT, "%s is damaged: the checksum (at byte 8) does not match",
                       path);
    struct raft_configuration configuration;
    rv = transport_decode_configuration(data.data + META_HEADER_BYTES, len, &configuration, err);
    if (rv < 0)
        return err_wrap(err, "%s", path);
    raft_configuration_close(&configuration);
    return 0;
}

int log_files_snapshot(const struct log_files *f, struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", f->dir, f->snapshot);
    cleanup_free char *meta = str_printf("%s.meta", path);
    cleanup_buf struct buf data = BUF_INIT;
    const void *payload;
    size_t len;
    int64_t index;
    if (check_meta(meta, err) < 0)
        return err->code;
    int rv = file_read(path, SNAPSHOT_BYTES_MAX, &data, err);
    if (rv == 0)
        rv = snapshot_decode(data.data, data.len, &payload, &len, &index, err);
    return rv == ERR_CORRUPT || rv == ERR_UNSUPPORTED ? err_wrap(err, "%s", path) : rv;
}
