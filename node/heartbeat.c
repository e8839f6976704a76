/* SPDX-License-Identifier: Apache-2.0 */
#include "node/heartbeat.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/consensus.h"
#include "node/addresses.h"
#include "node/daemon.h"
#include "node/level.h"
#include "node/propose.h"
#include "node/space.h"
#include "store/level.h"

#include <stdlib.h>

/* A member whose disk is full (space.h). */
struct full {
    int64_t id;
    int64_t free_bytes;
};
static const struct field full_fields[] = {
    FIELD_INT(struct full, id),
    FIELD_INT(struct full, free_bytes),
};
static const struct record_type full_type = RECORD_TYPE("full", struct full, full_fields);

struct beat {
    bool answer;
    int64_t commit; /* answers: the leader's commit index */
    int64_t level;  /* of changes that the sender knows; the first release says nothing */
    bool is_short;  /* the sender's disk is full */
    int64_t free_bytes;
    struct full *full; /* answers: all the leader knows of */
    size_t full_n;
};
static const struct field beat_fields[] = {
    FIELD_BOOL(struct beat, answer),    FIELD_INT(struct beat, commit),
    FIELD_INT(struct beat, level),      FIELD_BOOL(struct beat, is_short),
    FIELD_INT(struct beat, free_bytes), FIELD_LIST(struct beat, full, full_type),
};
static const struct record_type beat_type = RECORD_TYPE("beat", struct beat, beat_fields);

/* What the leader knows of a node. */
struct seen {
    int64_t id;
    int64_t last_ms;
    bool heard;     /* since we took over */
    int64_t level;  /* of changes that it knows, as it said last */
    bool reporting; /* a change of its status is under way */
    bool is_short;
    int64_t free_bytes;
};

struct heartbeat {
    struct daemon *daemon;
    uv_timer_t beat_timer;
    uv_timer_t judge_timer;
    uv_check_t judge_check; /* runs after the sockets were read */
    bool ready;
    struct seen *seen;
    size_t seen_n;
    int64_t judged_ms;
    int64_t answered_ms;   /* when a leader last answered us */
    int64_t leader_commit; /* what it said */
    struct full *full;     /* likewise */
    size_t full_n;
    bool was_synced;
    int64_t synced_ms; /* with was_synced: when our copy was last as far as the leader's */
    int handles;
    void (*on_freed)(void *arg);
    void *free_arg;
};

enum {
    JUDGE_MS = 250,
};

static struct seen *seen_of(struct heartbeat *h, int64_t id)
{
    for (size_t i = 0; i < h->seen_n; i++)
        if (h->seen[i].id == id)
            return &h->seen[i];
    h->seen = mem_resize(h->seen, h->seen_n + 1, sizeof(*h->seen));
    /* A new leader, and a new member, get one time to live. */
    h->seen[h->seen_n] = (struct seen){.id = id, .last_ms = clock_boot_ms()};
    return &h->seen[h->seen_n++];
}

static void list_full(const struct heartbeat *h, struct beat *beat)
{
    beat->full = mem_alloc(h->seen_n + 1, sizeof(*beat->full));
    if (beat->is_short)
        beat->full[beat->full_n++] = (struct full){h->daemon->id, beat->free_bytes};
    for (size_t i = 0; i < h->seen_n; i++)
        if (h->seen[i].is_short)
            beat->full[beat->full_n++] = (struct full){h->seen[i].id, h->seen[i].free_bytes};
}

static void send_beat(struct heartbeat *h, int64_t to, bool answer)
{
    struct beat beat = {.answer = answer,
                        .commit = consensus_commit_index(h->daemon->consensus),
                        .level = level_known(h->daemon),
                        .is_short = space_is_short(h->daemon),
                        .free_bytes = space_free_bytes(h->daemon)};
    cleanup_buf struct buf message = BUF_INIT;
    if (answer)
        list_full(h, &beat);
    record_encode(&beat_type, &beat, &message);
    free(beat.full);
    bus_send(h->daemon->bus, to, BUS_HEARTBEAT, false, message.data, message.len);
}

static void on_beat_timer(uv_timer_t *timer)
{
    struct heartbeat *h = timer->data;
    int64_t leader = consensus_leader(h->daemon->consensus);
    if (leader != 0 && leader != h->daemon->id)
        send_beat(h, leader, false);
    if (leader != 0 || !h->daemon->addresses)
        return;
    /* Whoever leads is to know that we live, also while raft has not told us of it yet: a member
     * with a new log has its containers still. */
    int64_t ids[64];
    size_t n = addresses_ids(h->daemon->addresses, ids, ARRAY_SIZE(ids));
    for (size_t i = 0; i < n; i++)
        send_beat(h, ids[i], false);
}

struct judgement {
    struct heartbeat *heartbeat;
    int64_t id;
};

static void on_judged(void *arg, const struct change_result *result)
{
    struct judgement *j = arg;
    if (result->err.code != 0 && result->err.code != ERR_CANCELED &&
        result->err.code != ERR_NOTLEADER)
        log_warn("leader", "status of n%lld was not written: %s", (long long)j->id,
                 result->err.msg);
    seen_of(j->heartbeat, j->id)->reporting = false;
    free(j);
}

static void judge(struct heartbeat *h, const struct node *node, int64_t now)
{
    struct seen *seen = seen_of(h, node->id);
    if (node->id == h->daemon->id)
        seen->last_ms = now;
    bool up = now - seen->last_ms < HEARTBEAT_TTL_MS;
    if (seen->reporting || up == (node->status == NODE_UP))
        return;
    /* Only a beat that came after we took over proves that it is back. */
    if (up && node->id != h->daemon->id && !seen->heard)
        return;
    log_info("leader", "node %s is %s", node->name, up ? "up" : "down");
    seen->reporting = true;
    struct change_node_status change = {.node_id = node->id, .status = up ? NODE_UP : NODE_DOWN};
    struct judgement j = {.heartbeat = h, .id = node->id};
    propose_change(h->daemon->propose, CHANGE_NODE_STATUS, &change, NULL, PROPOSE_TIMEOUT_MS,
                   on_judged, mem_copy(&j, sizeof(j)));
}

static void on_judge_check(uv_check_t *check)
{
    struct heartbeat *h = check->data;
    uv_check_stop(check);
    int64_t now = clock_boot_ms();
    /* While we were away nobody's time ran. */
    int64_t late = now - h->judged_ms - JUDGE_MS;
    h->judged_ms = now;
    if (late > JUDGE_MS)
        for (size_t i = 0; i < h->seen_n; i++) {
            int64_t last = h->seen[i].last_ms + late;
            h->seen[i].last_ms = last < now ? last : now;
        }
    if (!h->ready)
        return;
    struct node *nodes = NULL;
    size_t n;
    store_list(h->daemon->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++)
        judge(h, &nodes[i], now);
    record_free_list(&node_type, nodes, n);
}

static void on_judge_timer(uv_timer_t *timer)
{
    struct heartbeat *h = timer->data;
    uv_check_start(&h->judge_check, on_judge_check);
}

struct heartbeat *heartbeat_new(struct daemon *d)
{
    struct heartbeat *h = mem_alloc(1, sizeof(*h));
    h->daemon = d;
    h->answered_ms = clock_boot_ms();
    uv_timer_init(&d->loop, &h->beat_timer);
    uv_timer_init(&d->loop, &h->judge_timer);
    uv_check_init(&d->loop, &h->judge_check);
    h->beat_timer.data = h->judge_timer.data = h->judge_check.data = h;
    h->handles = 3;
    uv_timer_start(&h->beat_timer, on_beat_timer, 0, HEARTBEAT_MS);
    return h;
}

static void on_closed(uv_handle_t *handle)
{
    struct heartbeat *h = handle->data;
    if (--h->handles > 0)
        return;
    void (*on_freed)(void *arg) = h->on_freed;
    void *arg = h->free_arg;
    free(h->seen);
    record_free_list(&full_type, h->full, h->full_n);
    free(h);
    on_freed(arg);
}

void heartbeat_free(struct heartbeat *h, void (*on_freed)(void *arg), void *arg)
{
    h->on_freed = on_freed;
    h->free_arg = arg;
    uv_close((uv_handle_t *)&h->beat_timer, on_closed);
    uv_close((uv_handle_t *)&h->judge_timer, on_closed);
    uv_close((uv_handle_t *)&h->judge_check, on_closed);
}

void heartbeat_on_leader(struct heartbeat *h, bool ready)
{
    if (ready == h->ready) {
        if (!ready)
            on_beat_timer(&h->beat_timer); /* a new leader elsewhere hears from us at once */
        return;
    }
    /* While we led we were as far as anybody. */
    if (h->ready && !ready)
        h->answered_ms = h->synced_ms = clock_boot_ms();
    h->was_synced |= ready;
    h->ready = ready;
    h->seen_n = 0;
    h->judged_ms = clock_boot_ms();
    if (ready)
        uv_timer_start(&h->judge_timer, on_judge_timer, JUDGE_MS, JUDGE_MS);
    else
        uv_timer_stop(&h->judge_timer);
}

void heartbeat_on_message(struct heartbeat *h, int64_t from, const void *data, size_t len)
{
    struct beat beat;
    struct err err;
    if (record_decode(&beat_type, data, len, false, &beat, &err) < 0) {
        log_warn("bus", "n%lld sent a damaged heartbeat: %s", (long long)from, err.msg);
        return;
    }
    int64_t now = clock_boot_ms();
    if (beat.answer && from == consensus_leader(h->daemon->consensus)) {
        h->answered_ms = now;
        h->leader_commit = beat.commit;
        record_free_list(&full_type, h->full, h->full_n);
        h->full = steal(&beat.full);
        h->full_n = beat.full_n;
        beat.full_n = 0;
    } else if (!beat.answer && h->ready) {
        struct seen *seen = seen_of(h, from);
        seen->last_ms = now;
        seen->heard = true;
        seen->level = beat.level;
        seen->is_short = beat.is_short;
        seen->free_bytes = beat.free_bytes;
        send_beat(h, from, true);
    }
    record_release(&beat_type, &beat);
}

void heartbeat_now(struct heartbeat *h)
{
    on_beat_timer(&h->beat_timer);
}

bool heartbeat_is_short(const struct heartbeat *h, int64_t id)
{
    for (size_t i = 0; h->ready && i < h->seen_n; i++)
        if (h->seen[i].id == id)
            return h->seen[i].is_short;
    for (size_t i = 0; !h->ready && i < h->full_n; i++)
        if (h->full[i].id == id)
            return true;
    return false;
}

bool heartbeat_has_room(const struct heartbeat *h, int64_t id)
{
    for (size_t i = 0; i < h->seen_n; i++)
        if (h->seen[i].id == id)
            return h->seen[i].heard && !h->seen[i].is_short;
    return false;
}

int64_t heartbeat_free_bytes(const struct heartbeat *h, int64_t id)
{
    for (size_t i = 0; h->ready && i < h->seen_n; i++)
        if (h->seen[i].id == id)
            return h->seen[i].free_bytes;
    for (size_t i = 0; !h->ready && i < h->full_n; i++)
        if (h->full[i].id == id)
            return h->full[i].free_bytes;
    return 0;
}

int heartbeat_level(const struct heartbeat *h, int64_t id)
{
    for (size_t i = 0; i < h->seen_n; i++)
        if (h->seen[i].id == id && h->seen[i].heard)
            return level_of(h->seen[i].level);
    return 0;
}

bool heartbeat_is_synced(const struct heartbeat *h)
{
    if (h->ready)
        return true;
    return h->leader_commit > 0 && consensus_leader(h->daemon->consensus) != 0 &&
           clock_boot_ms() - h->answered_ms < HEARTBEAT_TTL_MS &&
           store_index(h->daemon->store) >= h->leader_commit;
}

int64_t heartbeat_behind(const struct heartbeat *h)
{
    int64_t behind = h->leader_commit - store_index(h->daemon->store);
    return h->ready || behind < 0 ? 0 : behind;
}

int64_t heartbeat_out_of_contact_ms(const struct heartbeat *h)
{
    return h->ready ? 0 : clock_boot_ms() - h->answered_ms;
}

int64_t heartbeat_unsynced_ms(struct heartbeat *h)
{
    if (heartbeat_is_synced(h)) {
        h->was_synced = true;
        h->synced_ms = h->ready ? clock_boot_ms() : h->answered_ms;
    }
    if (h->ready)
        return 0;
    return h->was_synced ? clock_boot_ms() - h->synced_ms : INT64_MAX;
}
