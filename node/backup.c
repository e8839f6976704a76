/* SPDX-License-Identifier: Apache-2.0 */
#include "node/backup.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/consensus.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/level.h"
#include "store/level.h"

#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MS = 60000, /* a copy that nobody asks for so long is dropped */
    LOOK_MS = 5000,
};

struct copy {
    char id[BACKUP_ID_BYTES]; /* "": this place is free */
    bool making;
    int64_t used_ms;
    struct buf begin; /* prefix and header */
    struct buf state;
};

struct backups {
    struct daemon *daemon;
    uv_timer_t timer;
    struct copy copies[BACKUP_COPIES_MAX];
    void (*on_freed)(void *arg);
    void *free_arg;
};

/* Work on a thread: it owns all of it. */
struct making {
    struct backups *owner;
    size_t place;
    struct backup_header header;
    struct buf begin;
    struct buf state;
    struct err err;
    backup_ready_cb cb;
    void *arg;
};

/* --- what is in a state ----------------------------------------------------------------------- */

static void describe_stacks(struct store *store, struct backup_header *h)
{
    struct stack *stacks;
    store_list(store, TABLE_STACK, BY_NONE, 0, &stacks, &h->stacks_n);
    h->stacks = mem_alloc(h->stacks_n, sizeof(*h->stacks));
    for (size_t i = 0; i < h->stacks_n; i++) {
        struct service *services;
        size_t n;
        store_list(store, TABLE_SERVICE, BY_STACK_ID, stacks[i].id, &services, &n);
        record_free_list(&service_type, services, n);
        h->stacks[i] =
            (struct backup_stack){.name = str_copy(stacks[i].name), .services = (int64_t)n};
    }
    record_free_list(&stack_type, stacks, h->stacks_n);
}

static char *home_of(struct store *store, const struct volume *volume)
{
    struct node node;
    if (volume->home_node_id == 0 || store_get(store, TABLE_NODE, volume->home_node_id, &node) < 0)
        return str_copy(str_or_empty(volume->home_name));
    char *name = str_copy(node.name);
    record_release(&node_type, &node);
    return name;
}

static void describe_volumes(struct store *store, struct backup_header *h)
{
    struct volume *volumes;
    store_list(store, TABLE_VOLUME, BY_NONE, 0, &volumes, &h->volumes_n);
    h->volumes = mem_alloc(h->volumes_n, sizeof(*h->volumes));
    for (size_t i = 0; i < h->volumes_n; i++)
        h->volumes[i] = (struct backup_volume){.name = str_copy(volumes[i].name),
                                               .home = home_of(store, &volumes[i])};
    record_free_list(&volume_type, volumes, h->volumes_n);
}

static void describe_members(struct store *store, struct backup_header *h)
{
    struct node *nodes;
    store_list(store, TABLE_NODE, BY_NONE, 0, &nodes, &h->members_n);
    h->members = mem_alloc(h->members_n, sizeof(*h->members));
    for (size_t i = 0; i < h->members_n; i++)
        h->members[i] = str_copy(nodes[i].name);
    record_free_list(&node_type, nodes, h->members_n);
}

void backup_describe(struct store *store, struct backup_header *ret_header)
{
    struct cluster cluster;
    struct backup_header h = {.index = store_index(store)};
    if (store_get(store, TABLE_CLUSTER, 1, &cluster) == 0) {
        h.cluster = str_copy(cluster.uuid);
        h.level = level_of(cluster.level);
        record_release(&cluster_type, &cluster);
    }
    describe_stacks(store, &h);
    describe_volumes(store, &h);
    describe_members(store, &h);
    h.services = store_count(store, TABLE_SERVICE);
    h.tasks = store_count(store, TABLE_TASK);
    h.networks = store_count(store, TABLE_NETWORK);
    h.tokens = store_count(store, TABLE_TOKEN);
    h.events = store_count(store, TABLE_EVENT);
    *ret_header = h;
}

/* --- making one ------------------------------------------------------------------------------- */

static void copy_release(struct copy *copy)
{
    buf_release(&copy->begin);
    buf_release(&copy->state);
    *copy = (struct copy){0};
}

/* The copy is opened as a restore opens it: what could not be restored is no backup. */
static void make_work(void *arg)
{
    struct making *m = arg;
    if (m->err.code != 0)
        return;
    struct store *store = store_new();
    if (store_restore(store, m->state.data, m->state.len, &m->err) == 0) {
        struct backup_header h;
        backup_describe(store, &h);
        h.term = m->header.term;
        h.time_ms = m->header.time_ms;
        h.node = steal(&m->header.node);
        h.version = steal(&m->header.version);
        m->header = h;
        backup_begin(&m->header, m->state.data, m->state.len, &m->begin);
    }
    store_free(store);
}

static void make_done(void *arg)
{
    struct making *m = arg;
    struct copy *copy = &m->owner->copies[m->place];
    char id[BACKUP_ID_BYTES];
    str_fill(id, sizeof(id), copy->id);
    copy->making = false;
    copy->used_ms = clock_boot_ms();
    copy->begin = m->begin;
    copy->state = m->state;
    if (m->err.code != 0) {
        copy_release(copy);
        err_wrap(&m->err, "the copy of the state");
    }
    record_release(&backup_header_type, &m->header);
    m->cb(m->arg, &m->err, id);
    free(m);
}

static void drop_idle(struct backups *b)
{
    int64_t now = clock_boot_ms();
    size_t kept = 0;
    for (size_t i = 0; i < BACKUP_COPIES_MAX; i++) {
        struct copy *copy = &b->copies[i];
        if (*copy->id && !copy->making && now - copy->used_ms > IDLE_MS)
            copy_release(copy);
        kept += *copy->id != '\0';
    }
    if (kept == 0)
        uv_timer_stop(&b->timer);
}

static void on_timer(uv_timer_t *timer)
{
    drop_idle(timer->data);
}

int backups_take(struct backups *b, backup_ready_cb cb, void *arg, struct err *err)
{
    struct daemon *d = b->daemon;
    unsigned char raw[(BACKUP_ID_BYTES - 1) / 2];
    size_t place = 0;
    drop_idle(b);
    while (place < BACKUP_COPIES_MAX && *b->copies[place].id)
        place++;
    if (place == BACKUP_COPIES_MAX)
        return err_set(err, ERR_BUSY,
                       "this member holds %d backups already that are being fetched; try again in "
                       "a minute, or ask another member",
                       BACKUP_COPIES_MAX);
    struct copy *copy = &b->copies[place];
    random_bytes(raw, sizeof(raw));
    hex_encode(raw, sizeof(raw), copy->id);
    copy->making = true;
    struct making *m = mem_alloc(1, sizeof(*m));
    m->owner = b;
    m->place = place;
    m->cb = cb;
    m->arg = arg;
    m->header = (struct backup_header){.term = consensus_term(d->consensus),
                                       .time_ms = clock_wall_ms(),
                                       .node = str_copy(d->name),
                                       .version = str_copy(level_version(d))};
    store_snapshot(d->store, &m->state);
    if (m->state.len > BACKUP_STATE_MAX)
        err_set(&m->err, ERR_TOOBIG, "%zu bytes are more than a backup holds", m->state.len);
    uv_timer_start(&b->timer, on_timer, LOOK_MS, LOOK_MS);
    jobs_run(d->jobs, make_work, make_done, m);
    return 0;
}

/* --- fetching it ------------------------------------------------------------------------------ */

static struct copy *find(struct backups *b, const char *id)
{
    for (size_t i = 0; i < BACKUP_COPIES_MAX && *id; i++)
        if (!b->copies[i].making && str_equal(b->copies[i].id, id))
            return &b->copies[i];
    return NULL;
}

int backups_read(struct backups *b, const char *id, int64_t offset, const void **ret_data,
                 size_t *ret_len, int64_t *ret_size, struct err *err)
{
    struct copy *copy = find(b, id);
    if (!copy)
        return err_set(err, ERR_NOTFOUND,
                       "this member does not have that backup (any more): start it again");
    size_t begin = copy->begin.len;
    size_t size = begin + copy->state.len;
    if (offset < 0 || (uint64_t)offset > size)
        return err_set(err, ERR_INVALID, "the backup has %zu bytes", size);
    size_t at = (size_t)offset;
    const char *from = at < begin ? copy->begin.data + at : copy->state.data + (at - begin);
    size_t len = at < begin ? begin - at : size - at;
    copy->used_ms = clock_boot_ms();
    *ret_data = from;
    *ret_len = len < BACKUP_PIECE_MAX ? len : BACKUP_PIECE_MAX;
    *ret_size = (int64_t)size;
    return 0;
}

void backups_drop(struct backups *b, const char *id)
{
    struct copy *copy = find(b, id);
    if (copy)
        copy_release(copy);
}

/* --- its life --------------------------------------------------------------------------------- */

struct backups *backups_new(struct daemon *d)
{
    struct backups *b = mem_alloc(1, sizeof(*b));
    b->daemon = d;
    uv_timer_init(&d->loop, &b->timer);
    b->timer.data = b;
    return b;
}

static void on_closed(uv_handle_t *handle)
{
    struct backups *b = handle->data;
    void (*on_freed)(void *arg) = b->on_freed;
    void *arg = b->free_arg;
    for (size_t i = 0; i < BACKUP_COPIES_MAX; i++)
        copy_release(&b->copies[i]);
    free(b);
    on_freed(arg);
}

void backups_free(struct backups *b, void (*on_freed)(void *arg), void *arg)
{
    b->on_freed = on_freed;
    b->free_arg = arg;
    uv_close((uv_handle_t *)&b->timer, on_closed);
}
