/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People with their command lines. Each has one request at a time, made through any member that is
 * up by node/propose.c, as the handlers of verbs do. When no answer comes, or one that says it is
 * not known what became of it, the request is made again with the same id, mostly through another
 * member; sometimes the person gives up.
 *
 * They also read: what a member calls up to date must have all that anybody was told before.
 *
 * What was acknowledged is kept: a token that was added must be there until its removal was asked
 * for, and never again once that was acknowledged; a deploy counts its stack's revision up by one.
 */
#include "sim.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "node/peers.h"
#include "node/propose.h"
#include "node/read.h"
#include "store/level.h"

#include <stdio.h>

enum {
    STACKS = 3,
    ATTEMPTS_MAX = 10,
    READ_MS = 100, /* between two reads, on average */
    TOKENS_WANTED = 40,
    TOKENS_CHECKED = 400, /* of the newest */
};

struct token_record {
    int64_t id;
    int64_t added, removed; /* indexes, 0: not acknowledged */
    bool removing;
};

enum request_kind {
    REQUEST_ADD,
    REQUEST_REMOVE,
    REQUEST_OTHER,
    REQUEST_JOIN,
};

struct client {
    struct clients *clients;
    enum request_kind what;
    bool busy; /* has a request */
    enum change_kind kind;
    void *body;
    unsigned char id[REQUEST_ID_BYTES];
    size_t token; /* ADD, REMOVE */
    int64_t number;
    int attempts;
    bool asking; /* an attempt is under way */
    bool persistent;
    raft_time patience; /* then it asks elsewhere */
    raft_time next_at;
    struct change_result result;
    bool answered;
};

struct attempt {
    struct client *client;
    struct member *member;
    int64_t number; /* of the request */
    int nth;
    unsigned char id[REQUEST_ID_BYTES];
};

struct clients {
    struct sim *sim;
    struct client clients[CLIENTS + 1]; /* the last one serves clients_must() */
    struct token_record *tokens;
    size_t tokens_n;
    size_t live;
    size_t waiting;
    int64_t last_number;
    int64_t joining; /* requests of machines that want in */
    unsigned char join_hash[DIGEST_BYTES];
};

static void hash_of_token(size_t number, unsigned char out[DIGEST_BYTES])
{
    uint64_t n = number;
    digest_of(&n, sizeof(n), out);
}

struct clients *clients_new(struct sim *s)
{
    struct clients *c = mem_alloc(1, sizeof(*c));
    c->sim = s;
    memset(c->join_hash, 'j', sizeof(c->join_hash));
    for (int i = 0; i <= CLIENTS; i++)
        c->clients[i].clients = c;
    return c;
}

static void free_body(struct client *p)
{
    if (p->body) {
        record_release(change_type((int)p->kind), p->body);
        free(p->body);
    }
    p->body = NULL;
}

void clients_free(struct clients *c)
{
    for (int i = 0; i <= CLIENTS; i++)
        free_body(&c->clients[i]);
    free(c->tokens);
    free(c);
}

size_t clients_waiting(const struct clients *c)
{
    return c->waiting;
}

/* --- what to ask for -------------------------------------------------------------------------- */

static void begin(struct client *p, enum request_kind what, enum change_kind kind, const void *body)
{
    const struct record_type *type = change_type((int)kind);
    struct clients *c = p->clients;
    free_body(p);
    p->busy = true;
    p->asking = p->answered = p->persistent = false;
    p->attempts = 0;
    p->what = what;
    p->kind = kind;
    p->number = ++c->last_number;
    p->body = mem_alloc(1, type->size);
    record_copy(type, body, p->body);
    random_bytes(p->id, sizeof(p->id));
    p->next_at = c->sim->now;
}

static void begin_add(struct client *p)
{
    struct clients *c = p->clients;
    unsigned char hash[DIGEST_BYTES];
    p->token = c->tokens_n;
    c->tokens = mem_resize(c->tokens, c->tokens_n + 1, sizeof(*c->tokens));
    c->tokens[c->tokens_n++] = (struct token_record){0};
    hash_of_token(p->token, hash);
    begin(p, REQUEST_ADD, CHANGE_TOKEN_ADD,
          &(struct change_token_add){.token = {.kind = TOKEN_JOIN, .hash = {hash, sizeof(hash)}}});
}

static bool begin_remove(struct client *p)
{
    struct clients *c = p->clients;
    size_t first = c->tokens_n > TOKENS_CHECKED / 2 ? c->tokens_n - TOKENS_CHECKED / 2 : 0;
    for (int tries = 0; tries < 8; tries++) {
        size_t i = first + sim_below(c->sim, (unsigned)(c->tokens_n - first + 1));
        if (i >= c->tokens_n || !c->tokens[i].added || c->tokens[i].removing)
            continue;
        c->tokens[i].removing = true;
        c->live--;
        p->token = i;
        begin(p, REQUEST_REMOVE, CHANGE_TOKEN_REMOVE,
              &(struct change_token_remove){.token_id = c->tokens[i].id});
        return true;
    }
    return false;
}

static const char *const service_names[] = {"a", "b"};

/* A project of two services; calm: modest ones that fit. */
static void deploy(struct client *p, struct member *m, unsigned stack)
{
    struct sim *s = p->clients->sim;
    char name[] = {'s', (char)('0' + stack), '\0'};
    struct stack row;
    struct change_stack_deploy change = {.name = name, .project = name, .prune = true};
    struct attachment attachment = {.network = (char[]){"default"}};
    struct deploy_service services[2] = {0};
    char *networks[] = {(char[]){"default"}};
    char image[24];
    snprintf(image, sizeof(image), "i%u", sim_below(s, 1000000));
    if (store_find(m->d->store, TABLE_STACK, name, &row) == 0) {
        change.expected_revision = row.revision;
        record_release(&stack_type, &row);
    }
    for (int i = 0; i < 2; i++) {
        struct spec *spec = &services[i].spec;
        services[i].name = (char *)(uintptr_t)service_names[i];
        spec->image = image;
        spec->replicas = 1 + sim_below(s, s->calm ? 3 : 5);
        spec->reservations.cpu_milli = s->calm ? 200 : 100 + 100 * sim_below(s, 15);
        spec->update.parallelism = 1 + sim_below(s, 2);
        spec->networks = &attachment;
        spec->networks_n = (size_t)i;
        if (sim_chance(s, 15)) {
            spec->mode = MODE_GLOBAL;
            spec->replicas = 0;
            spec->reservations.cpu_milli = 200;
        } else if (!s->calm && sim_chance(s, 10)) {
            spec->mode = MODE_REPLICATED_JOB;
        }
    }
    change.services = services;
    change.services_n = s->calm || sim_chance(s, 80) ? 2 : 1;
    change.networks = networks;
    change.networks_n = 1;
    begin(p, REQUEST_OTHER, CHANGE_STACK_DEPLOY, &change);
}

static void begin_join(struct client *p)
{
    struct clients *c = p->clients;
    char name[24], address[48];
    int64_t number = ++c->joining;
    snprintf(name, sizeof(name), "j%lld", (long long)number);
    snprintf(address, sizeof(address), "10.1.0.%lld:7400", (long long)number);
    struct change_node_add change = {.node = {.name = name,
                                              .address = address,
                                              .cpu_milli = 4000,
                                              .memory_bytes = INT64_C(1) << 33,
                                              .level = LEVEL_KNOWN,
                                              .public_key = {(unsigned char *)name, strlen(name)}},
                                     .token_hash = {c->join_hash, sizeof(c->join_hash)}};
    begin(p, REQUEST_JOIN, CHANGE_NODE_ADD, &change);
    p->persistent = true;
}

/* True when the leader's table of nodes is raft's configuration, and all of it is up. */
static bool is_settled(struct sim *s, const struct member *leader)
{
    struct consensus_member members[IDS_MAX];
    size_t n = consensus_members(leader->d->consensus, members, IDS_MAX);
    if ((int64_t)n != store_count(leader->d->store, TABLE_NODE))
        return false;
    for (size_t i = 0; i < n; i++)
        if (members[i].role == ROLE_SPARE || !s->members[members[i].id].running)
            return false;
    return true;
}

/* A member is taken out, one at a time, from a cluster in order: what takes quorum away for ever is
 * not to be found out here. */
static bool begin_expel(struct client *p)
{
    struct sim *s = p->clients->sim;
    struct member *leader = sim_leader(s);
    int id = 1 + (int)sim_below(s, (unsigned)s->n);
    if (!leader || !is_settled(s, leader) || !s->members[id].known ||
        store_count(leader->d->store, TABLE_NODE) < 4)
        return false;
    begin(p, REQUEST_OTHER, CHANGE_NODE_REMOVE,
          &(struct change_node_remove){.node_id = id, .force = true});
    return true;
}

static bool begin_other(struct client *p, struct member *m)
{
    struct sim *s = p->clients->sim;
    char stack[] = {'s', (char)('0' + sim_below(s, STACKS)), '\0'};
    switch (sim_below(s, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        deploy(p, m, (unsigned)(stack[1] - '0'));
        return true;
    case 4:
    case 5:
    case 6:
        begin(p, REQUEST_OTHER, CHANGE_SERVICE_SCALE,
              &(struct change_service_scale){.stack = stack,
                                             .service =
                                                 (char *)(uintptr_t)service_names[sim_below(s, 2)],
                                             .replicas = sim_below(s, 6)});
        return true;
    case 7:
        begin(p, REQUEST_OTHER, CHANGE_STACK_REMOVE, &(struct change_stack_remove){.name = stack});
        return true;
    case 8:
    case 9:
        begin(
            p, REQUEST_OTHER, CHANGE_NODE_UPDATE,
            &(struct change_node_update){
                .node_id = 1 + sim_below(s, (unsigned)s->n),
                .set_availability = true,
                .node = {.availability = sim_chance(s, 60) ? AVAILABLE_ACTIVE
                                                           : (enum availability)sim_below(s, 3)}});
        return true;
    case 10:
        if (s->n > IDS_MAX - 2 * CLIENTS || sim_count_members(s) >= UP_MAX)
            return false;
        begin_join(p);
        return true;
    default:
        return begin_expel(p);
    }
}

/* --- the answer ------------------------------------------------------------------------------- */

/* What node/join.c has a new member keep: where the others are. */
static void seed(struct member *m, const struct member *by)
{
    cleanup_free char *identity = str_printf("%s/identity", m->dir);
    struct node *nodes;
    size_t n;
    struct peers peers;
    struct err err;
    store_list(by->d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    peers_from_nodes(nodes, n, m->id, &peers);
    if (file_mkdirs(identity, 0700, &err) < 0 || peers_save(identity, &peers, &err) < 0)
        sim_violation(m->sim, "%s", err.msg);
    record_release(&peers_type, &peers);
    record_free_list(&node_type, nodes, n);
}

/* The machine that was let in becomes member @id. */
static void let_in(struct clients *c, int64_t id, const struct node *node, const struct member *by)
{
    struct sim *s = c->sim;
    struct member *m = &s->members[id];
    SIM_CHECK(s, id <= IDS_MAX && !m->known, "id %" PRId64 " was given out twice", id);
    if (id > s->n)
        s->n = (int)id;
    seed(m, by);
    str_fill(m->name, sizeof(m->name), node->name);
    str_fill(m->address, sizeof(m->address), node->address);
    m->known = true;
    m->start_at = s->now + 1 + sim_below(s, 1000);
    s->stats.joined++;
}

static void acknowledge(struct client *p, const struct member *by,
                        const struct change_result *result)
{
    struct clients *c = p->clients;
    struct token_record *token = p->what <= REQUEST_REMOVE ? &c->tokens[p->token] : NULL;
    c->sim->stats.acknowledged++;
    if (p->what == REQUEST_ADD) {
        token->id = result->id;
        token->added = result->index;
        c->live++;
    } else if (p->what == REQUEST_REMOVE) {
        token->removed = result->index;
    } else if (p->what == REQUEST_JOIN) {
        let_in(c, result->id, &((const struct change_node_add *)p->body)->node, by);
    } else if (p->kind == CHANGE_NODE_REMOVE) {
        c->sim->stats.removed++;
    }
}

static void ask_again_later(struct client *p)
{
    p->asking = false;
    p->next_at = p->clients->sim->now + sim_below(p->clients->sim, 300);
}

static void take_answer(struct client *p, const struct member *by,
                        const struct change_result *result)
{
    struct sim *s = p->clients->sim;
    p->busy = p->asking = false;
    p->answered = true;
    p->result = *result;
    p->next_at = s->now + sim_below(s, 200);
    sim_trace_number(s, result->index);
    if (result->err.code == 0)
        acknowledge(p, by, result);
    else
        s->stats.refused++;
}

static void on_answer(void *arg, const struct change_result *result)
{
    struct attempt *a = arg;
    struct client *p = a->client;
    bool current = p->busy && p->number == a->number;
    bool heard = !a->member->ending && result->index != 0; /* it comes from apply */
    p->clients->waiting--;
    if (heard)
        checks_on_answer(p->clients->sim->checks, a->id, result);
    if (heard && current)
        take_answer(p, a->member, result);
    else if (current && p->attempts == a->nth)
        ask_again_later(p);
    free(a);
}

/* --- asking ----------------------------------------------------------------------------------- */

static struct member *some_member(struct sim *s)
{
    for (int tries = 0; tries < 3 * UP_MAX; tries++) {
        struct member *m = &s->members[1 + sim_below(s, (unsigned)s->n)];
        if (m->running && !m->d->removed && s->now >= m->paused_until &&
            (s->n == 1 || store_count(m->d->store, TABLE_CLUSTER) > 0))
            return m;
    }
    return NULL;
}

static void ask(struct client *p, struct member *m)
{
    struct sim *s = p->clients->sim;
    struct attempt proto = {.client = p, .member = m, .number = p->number, .nth = ++p->attempts};
    memcpy(proto.id, p->id, sizeof(proto.id));
    p->asking = true;
    p->clients->waiting++;
    p->patience = s->now + 500 + sim_below(s, 16000);
    clock_enter(s, m);
    uv_update_time(&m->d->loop);
    propose_change(m->d->propose, p->kind, p->body, p->id, 1000 + sim_below(s, 14000), on_answer,
                   mem_copy(&proto, sizeof(proto)));
    clock_enter(s, NULL);
    member_wake(m);
}

static void client_step(struct client *p)
{
    struct clients *c = p->clients;
    struct sim *s = c->sim;
    if (p->busy && p->asking && s->now >= p->patience) {
        p->asking = false; /* its answer may still come */
        p->next_at = s->now;
    }
    if (p->asking || s->now < p->next_at)
        return;
    struct member *m = some_member(s);
    if (!m)
        return;
    if (p->busy && !p->persistent &&
        (p->attempts >= ATTEMPTS_MAX || (p->attempts && sim_chance(s, 10)))) {
        p->busy = false;
        s->stats.unknown++;
    }
    if (!p->busy && s->calm)
        return;
    if (!p->busy) {
        p->next_at = s->now + 20 + sim_below(s, 400);
        bool begun = sim_chance(s, 30) && begin_other(p, m);
        if (!begun && c->live > TOKENS_WANTED)
            begun = begin_remove(p);
        if (!begun)
            begin_add(p);
    }
    ask(p, m);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
    struct clients *clients;
    struct member *member;
    int64_t told; /* index that somebody knew of when it began */
};

/* The member says that its store is up to date. */
static void on_read(void *arg, const struct err *err)
{
    struct reading *r = arg;
    struct sim *s = r->clients->sim;
    r->clients->waiting--;
    if (!r->member->ending && err->code == 0) {
        int64_t index = store_index(r->member->d->store);
        SIM_CHECK(s, index >= r->told,
                  "member %" PRId64 " reads at index %" PRId64 " what was known to be at %" PRId64,
                  r->member->id, index, r->told);
        s->stats.reads++;
        sim_trace_number(s, index);
    }
    free(r);
}

static void read_some(struct clients *c)
{
    struct sim *s = c->sim;
    if (s->calm || sim_below(s, READ_MS) != 0)
        return;
    struct member *m = some_member(s);
    if (!m)
        return;
    struct reading proto = {.clients = c, .member = m, .told = checks_told(s->checks)};
    struct reading *r = mem_copy(&proto, sizeof(proto));
    c->waiting++;
    clock_enter(s, m);
    uv_update_time(&m->d->loop);
    check(read_barrier_wait(m->d->read, 500 + sim_below(s, 5000), on_read, r) == 0);
    clock_enter(s, NULL);
    member_wake(m);
}

void clients_step(struct clients *c)
{
    read_some(c);
    for (int i = 0; i < CLIENTS; i++)
        client_step(&c->clients[i]);
}

static struct change_result insist(struct clients *c, struct client *p)
{
    struct sim *s = c->sim;
    raft_time end = s->now + 120000;
    p->persistent = true;
    while (!p->answered) {
        SIM_CHECK(s, s->now < end, "no answer to %s in two minutes", change_name((int)p->kind));
        client_step(p);
        sim_step(s);
    }
    return p->result;
}

static int64_t clients_must(struct clients *c, enum change_kind kind, const void *body)
{
    struct client *p = &c->clients[CLIENTS];
    begin(p, REQUEST_OTHER, kind, body);
    struct change_result result = insist(c, p);
    SIM_CHECK(c->sim, result.err.code == 0, "%s was refused: %s", change_name((int)kind),
              result.err.msg);
    return result.id;
}

static void begin_found(struct client *p)
{
    struct change_cluster_init change = {
        .cluster = {.uuid = (char[]){CLUSTER_UUID},
                    .ca = (char[]){"PEM"},
                    .pool = (char[]){"10.192.0.0/10"},
                    .vxlan_id = 77},
        .node = {.name = (char[]){"m1"},
                 .address = (char[]){"10.0.0.1:7400"},
                 .public_key = {(unsigned char *)(char[]){"m1"}, 2}}};
    begin(p, REQUEST_OTHER, CHANGE_CLUSTER_INIT, &change);
}

void clients_join(struct clients *c)
{
    struct client *p = &c->clients[CLIENTS];
    begin_join(p);
    struct change_result result = insist(c, p);
    SIM_CHECK(c->sim, result.err.code == 0, "a machine was not let in: %s", result.err.msg);
}

void clients_form(struct clients *c, int members)
{
    struct client *p = &c->clients[CLIENTS];
    begin_found(p);
    insist(c, p);
    clients_must(c, CHANGE_TOKEN_ADD,
                 &(struct change_token_add){
                     .token = {.kind = TOKEN_JOIN, .hash = {c->join_hash, sizeof(c->join_hash)}}});
    while (--members > 0)
        clients_join(c);
}

const struct change_stack_deploy *clients_prepare(struct clients *c, struct member *by)
{
    struct client *p = &c->clients[CLIENTS];
    deploy(p, by, sim_below(c->sim, STACKS));
    const struct change_stack_deploy *body = p->body;
    for (size_t i = 0; i < body->services_n; i++) {
        struct spec *spec = &body->services[i].spec;
        if (sim_chance(c->sim, 30))
            spec->update.order = ORDER_START_FIRST;
        else if (sim_chance(c->sim, 20))
            spec->max_per_node = 2; /* and start first: it counts when exactly others ended */
        if (sim_chance(c->sim, 20))
            spec->update.delay_ms = 100 * sim_below(c->sim, 20);
        if (sim_chance(c->sim, 20))
            spec->single = spec->mode == MODE_REPLICATED && spec->update.order != ORDER_START_FIRST;
    }
    return body;
}

void clients_deploy(struct clients *c)
{
    struct change_result result = insist(c, &c->clients[CLIENTS]);
    SIM_CHECK(c->sim, result.err.code == 0, "a deploy was refused: %s", result.err.msg);
}

void clients_stop_balance(struct clients *c)
{
    clients_must(c, CHANGE_CLUSTER_SET,
                 &(struct change_cluster_set){.set_rebalance = true, .no_rebalance = true});
}

void clients_settle(struct clients *c)
{
    struct sim *s = c->sim;
    struct client *p = &c->clients[CLIENTS];
    struct member *leader = sim_leader(s);
    struct node *nodes;
    size_t n;
    check(leader);
    store_list(leader->d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n; i++)
        clients_must(
            c, CHANGE_NODE_UPDATE,
            &(struct change_node_update){.node_id = nodes[i].id, .set_availability = true});
    record_free_list(&node_type, nodes, n);
    for (unsigned stack = 0; stack < STACKS; stack++) {
        struct change_result result;
        do {
            leader = sim_leader(s);
            while (!leader) {
                sim_step(s);
                leader = sim_leader(s);
            }
            deploy(p, leader, stack);
            result = insist(c, p);
        } while (result.err.code == ERR_CONFLICT);
        SIM_CHECK(s, result.err.code == 0, "a deploy was refused: %s", result.err.msg);
    }
}

/* --- what must be there ----------------------------------------------------------------------- */

static bool has(struct store *store, size_t number)
{
    unsigned char hash[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    struct token token;
    hash_of_token(number, hash);
    hex_encode(hash, sizeof(hash), hex);
    if (store_find(store, TABLE_TOKEN, hex, &token) < 0)
        return false;
    record_release(&token_type, &token);
    return true;
}

void clients_check(struct clients *c, struct member *m)
{
    int64_t index = store_index(m->d->store);
    size_t first = c->tokens_n > TOKENS_CHECKED ? c->tokens_n - TOKENS_CHECKED : 0;
    for (size_t i = first; i < c->tokens_n; i++) {
        const struct token_record *t = &c->tokens[i];
        if (t->added && t->added <= index && !t->removing)
            SIM_CHECK(c->sim, has(m->d->store, i),
                      "member %" PRId64 " at index %" PRId64
                      " lacks what was acknowledged at %" PRId64,
                      m->id, index, t->added);
        if (t->removed && t->removed <= index)
            SIM_CHECK(c->sim, !has(m->d->store, i),
                      "member %" PRId64 " at index %" PRId64
                      " has again what was removed at %" PRId64,
                      m->id, index, t->removed);
    }
}
