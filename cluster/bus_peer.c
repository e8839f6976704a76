/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/bus_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What both sides of a connection say first. */
struct hello {
    int64_t version;
    char *cluster; /* uuid */
    int64_t from;
    int64_t to;
    int64_t channel;
    int64_t incarnation; /* random, of this run of the process */
};

static const struct field hello_fields[] = {
    FIELD_INT(struct hello, version), FIELD_STRING(struct hello, cluster),
    FIELD_INT(struct hello, from),    FIELD_INT(struct hello, to),
    FIELD_INT(struct hello, channel), FIELD_INT(struct hello, incarnation),
};

static const struct record_type hello_type = RECORD_TYPE("hello", struct hello, hello_fields);

enum {
    LIVED_MS = 1000, /* a connection that lasted this long was a good one */
    WARN_EVERY_MS = 10000,
};

static const char *channel_name(enum channel_kind channel)
{
    return channel == CHANNEL_CONTROL ? "control" : "bulk";
}

/* --- finding ------------------------------------------------------------------------------- */

struct peer *peer_find(const struct bus *bus, int64_t id)
{
    for (struct peer *p = bus->peers; p; p = p->next)
        if (p->id == id)
            return p;
    return NULL;
}

struct peer *peer_find_key(const struct bus *bus, const struct conn *conn)
{
    for (struct peer *p = bus->peers; p; p = p->next)
        if (conn_has_key(conn, &p->public_key))
            return p;
    return NULL;
}

bool peer_may_warn(struct peer *p, const struct bus *bus)
{
    if (p->warned_ms && bus_now(bus) - p->warned_ms < WARN_EVERY_MS)
        return false;
    p->warned_ms = bus_now(bus);
    return true;
}

/* --- dialling ------------------------------------------------------------------------------ */

/* Try again later, and later still the next time. The larger id waits a little longer, so that the
 * two rarely dial at once. */
static void retry_later(struct bus *bus, const struct peer *p, struct channel *ch)
{
    int yield = bus->self_id > p->id ? YIELD_MS : 0;
    ch->retry_at_ms = bus_now(bus) + ch->backoff_ms + yield;
    ch->backoff_ms *= 2;
    if (ch->backoff_ms > BACKOFF_MAX_MS)
        ch->backoff_ms = BACKOFF_MAX_MS;
    bus_schedule(bus);
}

static void dial_soon(struct bus *bus, struct peer *p)
{
    for (size_t i = 0; i < CHANNEL_MAX; i++) {
        struct channel *ch = &p->channels[i];
        ch->backoff_ms = BACKOFF_MIN_MS;
        ch->retry_at_ms = bus_now(bus) + (bus->self_id > p->id ? YIELD_MS : 0);
    }
}

static void dial(struct bus *bus, struct peer *p, enum channel_kind channel)
{
    struct conn *c = conn_new(bus, &peer_dial_ops);
    c->peer = p;
    c->channel = channel;
    c->deadline_ms = bus_now(bus) + HANDSHAKE_MS;
    struct channel *ch = &p->channels[channel];
    const struct target *to = &p->targets[ch->target++ % p->targets_n];
    str_fill(c->remote, sizeof(c->remote), to->address);
    ch->dialling = c;
    conn_dial(c, &to->numeric);
}

void peer_dial_due(struct bus *bus, int64_t *next_ms)
{
    for (struct peer *p = bus->peers; p; p = p->next) {
        for (enum channel_kind i = 0; p->targets_n > 0 && i < CHANNEL_MAX; i++) {
            struct channel *ch = &p->channels[i];
            if (!ch->conn && !ch->dialling && ch->retry_at_ms <= bus_now(bus))
                dial(bus, p, i);
            if (!ch->conn && !ch->dialling)
                bus_earlier(next_ms, ch->retry_at_ms);
        }
    }
}

static void send_hello(struct conn *c)
{
    struct bus *bus = c->bus;
    struct hello hello = {
        .version = HELLO_VERSION,
        .cluster = str_copy(identity_cluster(bus->config.identity)),
        .from = bus->self_id,
        .to = c->peer->id,
        .channel = c->channel,
        .incarnation = (int64_t)bus->incarnation,
    };
    cleanup_buf struct buf out = BUF_INIT;
    record_encode(&hello_type, &hello, &out);
    record_release(&hello_type, &hello);
    conn_queue(c, FRAME_HELLO, out.data, out.len);
}

void peer_say_hello(struct conn *c)
{
    send_hello(c);
}

static void on_dial_secure(struct conn *c)
{
    if (conn_has_key(c, &c->peer->public_key)) {
        send_hello(c);
        return;
    }
    if (peer_may_warn(c->peer, c->bus))
        log_warn("bus", "who answers at %s does not have the key of n%" PRId64 "; not trusted",
                 c->remote, c->peer->id);
    conn_close(c, "it has another key");
}

/* --- which connection stays ---------------------------------------------------------------- */

/* Send nothing more on @c, but take what is under way, and close it a little later. */
static void make_lame(struct conn *c)
{
    c->state = CONN_LAME;
    c->deadline_ms = bus_now(c->bus) + LAME_MS;
    bus_schedule(c->bus);
}

/* There is a connection @old already. False: it stays. */
static bool take_over(struct conn *c, struct conn *old)
{
    struct bus *bus = c->bus;
    if (c->accepted == old->accepted) {
        conn_close(old, "a newer one took its place");
        return c->state != CONN_CLOSED;
    }
    bool ours_stays = bus->self_id < c->peer->id;
    if (old->accepted == ours_stays) {
        make_lame(old);
        return true;
    }
    if (c->accepted) {
        conn_close(c, "there is another one");
    } else {
        /* The other side may have it in use until it sees the one that stays. */
        struct channel *ch = &c->peer->channels[c->channel];
        if (ch->dialling == c)
            ch->dialling = NULL;
        make_lame(c);
    }
    return false;
}

/* Both hellos were said. */
static void peer_up(struct conn *c)
{
    struct bus *bus = c->bus;
    struct peer *p = c->peer;
    struct channel *ch = &p->channels[c->channel];
    if (ch->dialling == c)
        ch->dialling = NULL;
    ch->conn = c;
    c->state = CONN_UP;
    c->deadline_ms = 0;
    c->up_at_ms = bus_now(bus);
    c->message_max = c->channel == CHANNEL_BULK ? BUS_MESSAGE_MAX : BUS_CONTROL_QUEUE_MAX;
    log_debug("bus", "n%" PRId64 " (%s) is connected, %s %s", p->id, channel_name(c->channel),
              c->accepted ? "from" : "at", c->remote);
    if (c->channel == CHANNEL_CONTROL && !p->told_up) {
        p->told_up = true;
        log_info("bus", "n%" PRId64 " is connected (%s)", p->id, c->remote);
        bus->config.on_peer(bus->config.arg, p->id, true);
        vouch_on_up(p, bus);
    }
}

/* What came while @c waited. */
static void deliver_held(struct conn *c)
{
    struct buf held = c->held;
    c->held = (struct buf)BUF_INIT;
    for (size_t at = 0; at < held.len && (c->state == CONN_UP || c->state == CONN_LAME);) {
        uint32_t kind;
        uint64_t len;
        memcpy(&kind, held.data + at, sizeof(kind));
        memcpy(&len, held.data + at + sizeof(kind), sizeof(len));
        at += sizeof(kind) + sizeof(len);
        peer_on_frame(c, kind, held.data + at, (size_t)len);
        at += (size_t)len;
    }
    buf_release(&held);
}

void peer_settle(struct conn *c)
{
    struct conn *old = c->peer->channels[c->channel].conn;
    if (!old || take_over(c, old)) {
        if (c->accepted)
            send_hello(c);
        peer_up(c);
    }
    deliver_held(c);
}

/* Check the hello on @c. NULL: it is fine, else what is wrong with it. */
static const char *check_hello(const struct conn *c, const struct hello *h)
{
    const struct bus *bus = c->bus;
    if (h->version < 1)
        return "its hello is damaged";
    if (!str_equal(h->cluster, identity_cluster(bus->config.identity)))
        return "it is of another cluster";
    if (h->from != c->peer->id)
        return "its key is pinned for another node id";
    if (h->to != bus->self_id)
        return "it takes us for another node";
    if (h->channel < 0 || h->channel >= CHANNEL_MAX || (!c->accepted && h->channel != c->channel))
        return "it asks for a channel there is not";
    if (h->incarnation <= 0)
        return "its hello is damaged";
    return NULL;
}

static void on_hello(struct conn *c, const void *data, size_t len)
{
    struct hello h;
    struct err err;
    if (record_decode(&hello_type, data, len, false, &h, &err) < 0) {
        conn_close(c, "%s", err.msg);
        return;
    }
    const char *wrong = check_hello(c, &h);
    if (wrong) {
        if (peer_may_warn(c->peer, c->bus))
            log_warn("bus", "refused a connection with %s, n%" PRId64 ": %s", c->remote,
                     c->peer->id, wrong);
        conn_close(c, "%s", wrong);
    } else {
        c->channel = (enum channel_kind)h.channel;
        c->incarnation = (uint64_t)h.incarnation;
        if (vouch_hello(c))
            peer_settle(c);
    }
    record_release(&hello_type, &h);
}

/* --- frames and the end -------------------------------------------------------------------- */

void peer_on_frame(struct conn *c, unsigned kind, const void *data, size_t len)
{
    struct bus *bus = c->bus;
    if (vouch_frame(c, kind, data, len))
        return;
    if (c->state == CONN_HELLO) {
        if (kind == FRAME_HELLO)
            on_hello(c, data, len);
        else
            conn_close(c, "it did not say hello");
        return;
    }
    /* Kinds of a newer version are skipped. */
    if (kind >= BUS_RAFT && kind <= BUS_KIND_LAST)
        bus->config.on_message(bus->config.arg, c->peer->id, (enum bus_kind)kind, data, len);
}

void peer_on_closed(struct conn *c, const char *reason)
{
    struct bus *bus = c->bus;
    struct peer *p = c->peer;
    if (!p)
        return;
    struct channel *ch = &p->channels[c->channel];
    log_debug("bus", "connection with n%" PRId64 " (%s, %s) ended: %s", p->id,
              channel_name(c->channel), c->remote, reason);
    if (ch->dialling == c) {
        ch->dialling = NULL;
        retry_later(bus, p, ch);
    }
    if (c->refused || c->state == CONN_REFUSED)
        ch->retry_at_ms = bus_now(bus) + REFUSED_RETRY_MS;
    if (ch->conn != c)
        return;
    ch->conn = NULL;
    vouch_on_down(p, bus);
    if (bus_now(bus) - c->up_at_ms >= LIVED_MS)
        ch->backoff_ms = BACKOFF_MIN_MS;
    retry_later(bus, p, ch);
    if (c->channel == CHANNEL_CONTROL && p->told_up) {
        p->told_up = false;
        log_info("bus", "n%" PRId64 " is disconnected: %s", p->id, reason);
        bus->config.on_peer(bus->config.arg, p->id, false);
    }
}

const struct conn_ops peer_dial_ops = {
    .on_secure = on_dial_secure,
    .on_frame = peer_on_frame,
    .on_closed = peer_on_closed,
};

/* --- the list of members ------------------------------------------------------------------- */

static void drop_targets(struct peer *p)
{
    for (size_t i = 0; i < p->targets_n; i++)
        free(p->targets[i].address);
    p->targets_n = 0;
}

static void peer_free(struct peer *p)
{
    drop_targets(p);
    free(p->given);
    bytes_set(&p->public_key, NULL, 0);
    free(p);
}

void peer_free_removed(struct bus *bus, bool tell)
{
    while (bus->removed) {
        struct peer *p = bus->removed;
        bus->removed = p->next;
        if (tell && p->told_up)
            bus->config.on_peer(bus->config.arg, p->id, false);
        peer_free(p);
    }
}

/* Let go of @p, which is out of bus->peers: its connections end now, on_peer is told later. */
static void remove_peer(struct bus *bus, struct peer *p)
{
    for (struct conn *c = bus->conns; c; c = c->next) {
        if (c->peer != p)
            continue;
        c->peer = NULL;
        conn_close(c, "n%" PRId64 " is no member any more", p->id);
    }
    p->next = bus->removed;
    bus->removed = p;
    bus_wake(bus);
}

/* Add @address to @targets of @n. Returns how many there are then. */
static size_t add_target(const struct bus *bus, struct peer *p, struct target *targets, size_t n,
                         const char *address)
{
    struct address split;
    struct err err;
    union socket_address numeric;
    for (size_t i = 0; i < n; i++)
        if (strcmp(targets[i].address, address) == 0)
            return n;
    if (address_split(address, NULL, &split, &err) < 0 ||
        address_numeric(&split, &numeric, &err) < 0) {
        if (peer_may_warn(p, bus))
            log_warn("bus", "n%" PRId64 " cannot be dialled: %s", p->id, err.msg);
        return n;
    }
    targets[n] = (struct target){.address = str_copy(address), .numeric = numeric};
    return n + 1;
}

static bool same_targets(const struct peer *p, const struct target *targets, size_t n)
{
    if (p->targets_n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(p->targets[i].address, targets[i].address) != 0)
            return false;
    return true;
}

/* Dial @p where @wanted says, and at the address that was given by hand. What is under way to an
 * address that counts no more ends. */
static void set_targets(struct bus *bus, struct peer *p, const struct bus_peer *wanted)
{
    struct target targets[BUS_ADDRESSES_MAX];
    size_t n = add_target(bus, p, targets, 0, str_or_empty(wanted->address));
    for (size_t i = 0; i < wanted->more_n && n < BUS_ADDRESSES_MAX - 1; i++)
        n = add_target(bus, p, targets, n, wanted->more[i]);
    if (p->given)
        n = add_target(bus, p, targets, n, p->given);
    if (same_targets(p, targets, n)) {
        for (size_t i = 0; i < n; i++)
            free(targets[i].address);
        return;
    }
    drop_targets(p);
    memcpy(p->targets, targets, n * sizeof(targets[0]));
    p->targets_n = n;
    for (size_t i = 0; i < CHANNEL_MAX; i++) {
        p->channels[i].target = 0;
        if (p->channels[i].dialling)
            conn_close(p->channels[i].dialling, "its address changed");
    }
    dial_soon(bus, p);
}

void peer_add_address(struct bus *bus, struct peer *p, const char *address)
{
    if (p->targets_n == BUS_ADDRESSES_MAX)
        free(p->targets[--p->targets_n].address);
    free(p->given);
    p->given = str_copy(address);
    p->targets_n = add_target(bus, p, p->targets, p->targets_n, address);
    bus_schedule(bus);
}

static bool same_key(const struct peer *p, const struct bus_peer *wanted)
{
    return p->id == wanted->id && p->public_key.len == wanted->public_key.len &&
           memcmp(p->public_key.data, wanted->public_key.data, p->public_key.len) == 0;
}

void bus_set_peers(struct bus *bus, int64_t self_id, const struct bus_peer *peers, size_t n)
{
    struct peer *old = bus->peers;
    bus->peers = NULL;
    bus->self_id = self_id;
    for (size_t i = 0; i < n; i++) {
        if (peers[i].id == self_id || peers[i].public_key.len == 0) {
            log_error("bus", "n%" PRId64 " is left out: %s", peers[i].id,
                      peers[i].id == self_id ? "it is this machine" : "it has no key");
            continue;
        }
        struct peer **link = &old;
        while (*link && !same_key(*link, &peers[i]))
            link = &(*link)->next;
        struct peer *p = *link;
        if (p) {
            *link = p->next;
        } else {
            p = mem_alloc(1, sizeof(*p));
            p->id = peers[i].id;
            bytes_set(&p->public_key, peers[i].public_key.data, peers[i].public_key.len);
        }
        p->next = bus->peers;
        bus->peers = p;
        set_targets(bus, p, &peers[i]);
    }
    while (old) {
        struct peer *p = old;
        old = p->next;
        remove_peer(bus, p);
    }
    bus_schedule(bus);
}
