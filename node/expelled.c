/* SPDX-License-Identifier: Apache-2.0 */
#include "node/expelled.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/bus.h"
#include "cluster/identity.h"
#include "node/addresses.h"
#include "node/admission.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/members.h"

#include <stdbool.h>
#include <stdlib.h>

enum {
    SILENCE_MS = 1500,   /* out of contact for so long before we ask: longer than an election */
    ASK_MS = 1000,       /* between the first questions; each is over in 15 s */
    ASK_LATER_MS = 5000, /* when all were asked */
    IDS_MAX = 256,
};

struct expelled {
    struct daemon *daemon;
    int64_t next_ms;
    size_t next;  /* whom to ask, by place in the list */
    size_t asked; /* since we were out of contact */
    int64_t asked_ms;
};

struct expelled *expelled_new(struct daemon *d)
{
    struct expelled *e = mem_alloc(1, sizeof(*e));
    e->daemon = d;
    return e;
}

void expelled_free(struct expelled *e)
{
    free(e);
}

static void on_answer(void *arg, const struct err *err, const void *data, size_t len)
{
    struct daemon *d = arg;
    struct welcome w;
    struct err bad;
    if (d->stopping)
        return;
    if (err->code != 0 || record_decode(&welcome_type, data, len, false, &w, &bad) < 0)
        return; /* unreachable, or it knows us and wants no stranger: both say nothing */
    if (err_from_wire((long)w.code) == ERR_NOTFOUND && w.code != 0)
        members_on_expelled(d->members);
    record_release(&welcome_type, &w);
}

void expelled_step(struct expelled *e, int64_t now_ms)
{
    struct daemon *d = e->daemon;
    unsigned char ca_hash[32];
    /* Not those of the table of nodes alone: who was removed soon has none. */
    int64_t ids[IDS_MAX];
    size_t n = addresses_ids(d->addresses, ids, IDS_MAX);
    if (d->removed || d->is_copy || now_ms < e->next_ms || n == 0 ||
        heartbeat_out_of_contact_ms(d->heartbeat) < SILENCE_MS ||
        !identity_ca_hash(d->identity, ca_hash))
        return;
    if (heartbeat_out_of_contact_ms(d->heartbeat) < now_ms - e->asked_ms)
        e->asked = 0; /* there was contact since */
    int64_t id = ids[e->next++ % n];
    if (id == d->id)
        return; /* the next one in a moment */
    e->next_ms = now_ms + (++e->asked < n ? ASK_MS : ASK_LATER_MS);
    e->asked_ms = now_ms;
    struct admission question = {.ask = true, .node = {.id = d->id}};
    cleanup_buf struct buf message = BUF_INIT;
    record_encode(&admission_type, &question, &message);
    cleanup_free char *address = addresses_of(d->addresses, id, "");
    bus_join(d->bus, address, ca_hash, message.data, message.len, on_answer, d);
}
