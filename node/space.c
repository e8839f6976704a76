/* SPDX-License-Identifier: Apache-2.0 */
#include "node/space.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/members.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    LOOK_MS = 250,
    TRANSFER_MS = 500, /* between two attempts to hand leadership on */
    TRANSFERS = 6,     /* then changes are refused */
    HEARD_MS = 1500,   /* in which all that are up have sent a heartbeat */
    MIB = 1 << 20,
};

struct space {
    struct daemon *daemon;
    uv_timer_t timer;
    int64_t free_bytes;
    bool is_short;
    int transfers; /* attempts since we are short and lead */
    int64_t transfer_ms;
    int64_t leading_ms; /* since when both holds, 0: it does not */
    int64_t heir;       /* who was asked last */
};

/* --- looking ---------------------------------------------------------------------------------- */

/* -1: it cannot be told. The daemon is root, so what is kept for root counts. */
static int64_t look(const struct daemon *d)
{
    cleanup_free char *raft = str_printf("%s/raft", d->data_dir);
    struct statvfs fs;
    if (statvfs(raft, &fs) < 0 && statvfs(d->data_dir, &fs) < 0)
        return -1;
    return (int64_t)(fs.f_bfree * fs.f_frsize);
}

static int64_t needed(const struct daemon *d)
{
    return SPACE_MIN_BYTES + 2 * consensus_snapshot_bytes(d->consensus);
}

static char *reserve_path(const struct daemon *d)
{
    return str_printf("%s/reserve", d->data_dir);
}

static void give_up_reserve(const struct daemon *d, int64_t free_bytes)
{
    cleanup_free char *path = reserve_path(d);
    if (unlink(path) == 0)
        log_warn("space", "%s has %" PRId64 " MiB free: the reserve of %d MiB is given up",
                 d->data_dir, free_bytes / MIB, SPACE_RESERVE_BYTES / MIB);
}

/* Where the file system cannot allocate without writing there is none. */
static void make_reserve(const struct daemon *d)
{
    cleanup_free char *path = reserve_path(d);
    if (file_exists(path))
        return;
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && fallocate(fd, 0, 0, SPACE_RESERVE_BYTES) < 0 && errno == ENOSPC)
        unlink(path);
}

void space_make_room(const struct daemon *d)
{
    int64_t free_bytes = look(d);
    if (free_bytes >= 0 && free_bytes < SPACE_LAST_BYTES)
        give_up_reserve(d, free_bytes);
}

/* --- acting ----------------------------------------------------------------------------------- */

/* A voter that has room, another one than the last if there is; 0: none. */
static int64_t find_heir(const struct space *s)
{
    struct daemon *d = s->daemon;
    struct standings all;
    int64_t heir = 0;
    standings_read(d, &all);
    for (size_t i = 0; i < all.n; i++) {
        const struct standing *m = &all.all[i];
        if (m->id == d->id || !m->in_raft || m->role != ROLE_VOTER || !m->up || m->witness ||
            !heartbeat_has_room(d->heartbeat, m->id))
            continue;
        if (heir == 0 || heir == s->heir)
            heir = m->id;
    }
    standings_release(&all);
    return heir;
}

static void hand_on(struct space *s)
{
    struct daemon *d = s->daemon;
    int64_t now = clock_boot_ms();
    if (!s->is_short || !consensus_is_ready(d->consensus)) {
        s->transfers = 0;
        s->transfer_ms = s->leading_ms = 0;
        return;
    }
    if (s->leading_ms == 0)
        s->leading_ms = now;
    int64_t pause = s->transfers < TRANSFERS ? TRANSFER_MS : 10 * TRANSFER_MS;
    if (now < s->transfer_ms)
        return;
    s->transfer_ms = now + pause;
    int64_t heir = find_heir(s);
    if (heir == 0) {
        /* Those who lead since a moment have not heard of all yet. */
        if (now - s->leading_ms >= HEARD_MS)
            s->transfers = TRANSFERS;
        return;
    }
    s->heir = heir;
    s->transfers += s->transfers < TRANSFERS;
    log_info("space", "leadership is handed to n%" PRId64 ", which has room", heir);
    consensus_transfer_to(d->consensus, heir);
}

static void on_timer(uv_timer_t *timer)
{
    struct space *s = timer->data;
    struct daemon *d = s->daemon;
    int64_t free_bytes = look(d), need = needed(d);
    if (free_bytes < 0)
        return;
    s->free_bytes = free_bytes;
    bool is_short = free_bytes < need + (s->is_short ? SPACE_MORE_BYTES : 0);
    if (is_short != s->is_short) {
        s->is_short = is_short;
        consensus_set_no_room(d->consensus, is_short);
        if (is_short)
            log_warn("space",
                     "%s has %" PRId64 " MiB free and %" PRId64
                     " MiB are needed: this member takes no changes until there is room",
                     d->data_dir, free_bytes / MIB, need / MIB);
        else
            log_info("space", "%s has %" PRId64 " MiB free: this member takes changes again",
                     d->data_dir, free_bytes / MIB);
        heartbeat_now(d->heartbeat);
    }
    if (free_bytes < SPACE_LAST_BYTES)
        give_up_reserve(d, free_bytes);
    else if (free_bytes >= need + SPACE_MORE_BYTES + SPACE_RESERVE_BYTES)
        make_reserve(d);
    hand_on(s);
}

struct space *space_new(struct daemon *d)
{
    struct space *s = mem_alloc(1, sizeof(*s));
    s->daemon = d;
    uv_timer_init(&d->loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_timer, 0, LOOK_MS);
    return s;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void space_free(struct space *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->timer, on_closed);
}

/* --- saying ----------------------------------------------------------------------------------- */

int space_check(const struct daemon *d, struct err *err)
{
    const struct space *s = d->space;
    if (!s || !s->is_short)
        return 0;
    if (s->transfers < TRANSFERS)
        return err_set(err, ERR_BUSY, "leadership is being handed on");
    return err_set(err, ERR_NOSPACE,
                   "no changes for now: the leader %s has %" PRId64 " MiB free in %s and needs "
                   "%" PRId64 ", and no other voter can lead: make room there",
                   d->name, s->free_bytes / MIB, d->data_dir, (needed(d) + SPACE_MORE_BYTES) / MIB);
}

int64_t space_free_bytes(const struct daemon *d)
{
    return d->space ? d->space->free_bytes : 0;
}

bool space_is_short(const struct daemon *d)
{
    return d->space && d->space->is_short;
}

void space_explain(struct daemon *d, struct buf *out)
{
    struct node *nodes;
    size_t n;
    if (space_is_short(d))
        buf_printf(out,
                   "The disk of %s is full: %" PRId64 " MiB are free in %s, and %" PRId64
                   " are needed. This member takes no changes until there is room.\n",
                   d->name, d->space->free_bytes / MIB, d->data_dir,
                   (needed(d) + SPACE_MORE_BYTES) / MIB);
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++)
        if (nodes[i].id != d->id && heartbeat_is_short(d->heartbeat, nodes[i].id))
            buf_printf(out,
                       "The disk of %s is full: %" PRId64 " MiB are free where its log is. It "
                       "takes no changes until there is room.\n",
                       nodes[i].name, heartbeat_free_bytes(d->heartbeat, nodes[i].id) / MIB);
    record_free_list(&node_type, nodes, n);
}
