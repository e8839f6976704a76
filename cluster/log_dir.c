/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/log_dir.h"

#include "cluster/entry.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SNAPSHOT_BYTES_MAX = 1 << 30
};

/* What is in the folder. */
struct content {
    bool metadata;
    bool open_written;             /* an open segment that is not all zeros */
    size_t segments;               /* closed ones */
    unsigned long long last_index; /* of the last of them */
    /* The newest snapshot. */
    char *snapshot;
    unsigned long long term, index, time;
};

static void release(struct content *content)
{
    free(content->snapshot);
}

/* FIRST-LAST, 16 digits each. */
static bool is_segment(const char *name, unsigned long long *ret_last)
{
    unsigned long long first;
    int end = 0;
    return strlen(name) == 33 && sscanf(name, "%16llu-%16llu%n", &first, ret_last, &end) == 2 &&
           end == 33;
}

static void note_snapshot(struct content *content, const char *name)
{
    unsigned long long term, index, time;
    int end = 0;
    if (sscanf(name, "snapshot-%llu-%llu-%llu%n", &term, &index, &time, &end) != 3 || name[end])
        return;
    bool newer = !content->snapshot || term > content->term ||
                 (term == content->term &&
                  (index > content->index || (index == content->index && time > content->time)));
    if (!newer)
        return;
    free(content->snapshot);
    content->snapshot = str_copy(name);
    content->term = term;
    content->index = index;
    content->time = time;
}

/* A segment that was written begins with its format, one that is prepared with zeros. */
static bool is_written(int dirfd, const char *name)
{
    char word[8] = {0}, zeros[8] = {0};
    cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 || read(fd, word, sizeof(word)) < 0 || memcmp(word, zeros, sizeof(word)) != 0;
}

static int scan(const char *dir, struct content *content, struct err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return err_errno(err, errno, "open folder %s", dir);
    for (struct dirent *e; (e = readdir(d));) {
        unsigned long long last;
        if (strcmp(e->d_name, "metadata1") == 0 || strcmp(e->d_name, "metadata2") == 0)
            content->metadata = true;
        else if (str_starts(e->d_name, "open-"))
            content->open_written |= is_written(dirfd(d), e->d_name);
        else if (str_starts(e->d_name, "snapshot-"))
            note_snapshot(content, e->d_name);
        else if (is_segment(e->d_name, &last)) {
            content->segments++;
            if (last > content->last_index)
                content->last_index = last;
        }
    }
    closedir(d);
    return 0;
}

static bool snapshot_is_whole(const char *dir, const struct content *content)
{
    cleanup_free char *path = str_printf("%s/%s", dir, content->snapshot);
    cleanup_free char *meta = str_printf("%s.meta", path);
    cleanup_buf struct buf bytes = BUF_INIT;
    const void *payload;
    size_t len;
    int64_t index;
    return file_exists(meta) && file_read(path, SNAPSHOT_BYTES_MAX, &bytes, NULL) == 0 &&
           snapshot_decode(bytes.data, bytes.len, &payload, &len, &index, NULL) == 0;
}

static int remove_segments(const char *dir, struct err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return err_errno(err, errno, "open folder %s", dir);
    int rv = 0;
    for (struct dirent *e; rv == 0 && (e = readdir(d));) {
        unsigned long long last;
        if (is_segment(e->d_name, &last) && unlinkat(dirfd(d), e->d_name, 0) < 0)
            rv = err_errno(err, errno, "remove %s/%s", dir, e->d_name);
    }
    closedir(d);
    return rv < 0 ? rv : file_sync_dir(dir, err);
}

static int prepare(const char *dir, const struct content *content, struct err *err)
{
    if (!content->metadata && (content->segments || content->snapshot))
        return err_set(err, ERR_CORRUPT,
                       "metadata1 and metadata2 are missing in %s, and with them this member's "
                       "vote: remove it from the cluster and let it join anew",
                       dir);
    bool interrupted = content->snapshot && content->segments && !content->open_written &&
                       content->last_index < content->index;
    if (!interrupted || !snapshot_is_whole(dir, content))
        return 0;
    log_info("raft", "%s/%s replaces the log up to %llu: finishing what a stop interrupted", dir,
             content->snapshot, content->last_index);
    return remove_segments(dir, err);
}

int log_dir_prepare(const char *dir, struct err *err)
{
    struct content content = {0};
    int rv = scan(dir, &content, err);
    if (rv == 0)
        rv = prepare(dir, &content, err);
    release(&content);
    return rv;
}
