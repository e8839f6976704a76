/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   a call from elsewhere ──callers_admit──► served, in `watched` ──callers_done──► answered
 *                              │   ▲                    └──look──► cut: its token is bad now
 *                     bad token▼   │known after all
 *                             in `refused`, for some time ──tick──► refused
 */
#include "node/callers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/server.h"
#include "cluster/source.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/heartbeat.h"
#include "node/http.h"
#include "node/rights.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 100,     /* while refusals wait */
    LOOK_MS = 1000,    /* how often ends of tokens, and our contact, are looked at */
    REFUSE_MS = 400,   /* the first refusals come so late, later ones later: */
    REFUSE_DOUBLE = 4, /* doubled so often at most */
    FREE_FAILURES = 3, /* before they do */
    FORGIVE_MS = 10000,
    REFUSED_MAX = 64,         /* that wait */
    REFUSED_SOURCE_MAX = 8,   /* of these from one machine */
    KEPT_BODY_MAX = 64 << 10, /* a larger call is not kept for a second look */
    LOG_MS = 1000,
    GUESSERS_MAX = 256,
};

/* A machine whose tokens were bad. */
struct guesser {
    char source[SOURCE_TEXT];
    int failures;
    int64_t at_ms; /* of the last one */
};

/* A call that is refused in a moment. */
struct refused {
    struct refused *next;
    struct api_call *c;
    struct call call; /* a copy; without a body when that was too large */
    bool whole;
    int64_t at_ms;
    char source[SOURCE_TEXT];
    struct err err;
};

struct callers {
    struct daemon *daemon;
    uv_timer_t timer;
    struct api_call *watched;
    struct refused *refused;
    size_t refused_n;
    struct guesser guessers[GUESSERS_MAX];
    size_t guessers_n;
    int64_t members_sum;
    int64_t look_ms;
    int64_t logged_ms;
    int suppressed;
    void (*on_freed)(void *arg);
    void *free_arg;
};

/* --- those who are served --------------------------------------------------------------------- */

static void watch(struct callers *callers, struct api_call *c)
{
    c->watcher = callers;
    c->prev = NULL;
    c->next = callers->watched;
    if (c->next)
        c->next->prev = c;
    callers->watched = c;
}

void callers_done(struct api_call *c)
{
    struct callers *callers = c->watcher;
    if (!callers)
        return;
    if (c->prev)
        c->prev->next = c->next;
    else
        callers->watched = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->watcher = NULL;
}

static int check_contact(const struct callers *callers, struct err *err)
{
    int64_t away = heartbeat_unsynced_ms(callers->daemon->heartbeat);
    if (away <= CALLERS_STALE_MS)
        return 0;
    if (away == INT64_MAX)
        return err_set(
            err, ERR_UNAVAILABLE,
            "this member has not reached a leader since its daemon started, so it serves "
            "only its own socket: it cannot know which tokens were taken back. Call "
            "another member");
    return err_set(
        err, ERR_UNAVAILABLE,
        "this member has been out of contact with a leader for %lld s, so it serves only "
        "its own socket: it cannot know which tokens were taken back. Call another "
        "member",
        (long long)(away / 1000));
}

/* A number for the secret that a connection showed. */
static int64_t tag_of(const struct token *token)
{
    int64_t tag = 0;
    size_t len = token->hash.len < sizeof(tag) ? token->hash.len : sizeof(tag);
    memcpy(&tag, token->hash.data, len);
    return tag ? tag : 1;
}

/* Read when the first connection is looked at. */
struct good_tokens {
    struct daemon *daemon;
    bool read;
    struct token *tokens;
    size_t n;
};

static bool is_over(void *arg, int64_t tag)
{
    struct good_tokens *good = arg;
    if (!good->read)
        store_list(good->daemon->store, TABLE_TOKEN, BY_NONE, 0, &good->tokens, &good->n);
    good->read = true;
    for (size_t i = 0; i < good->n; i++)
        if (tag_of(&good->tokens[i]) == tag)
            return caller_token_is_over(good->daemon->store, &good->tokens[i],
                                        daemon_now_ms(good->daemon));
    return true;
}

/* End the calls whose token is not good any more, and the connections that showed it. */
static void look(struct callers *callers)
{
    struct daemon *d = callers->daemon;
    struct err stale = {0};
    struct err gone;
    bool served = check_contact(callers, &stale) == 0;
    err_set(&gone, ERR_DENIED, "the token was taken back, or has expired");
    for (struct api_call *c = callers->watched, *next; c; c = next) {
        next = c->next;
        if (!caller_is_valid(d->store, &c->caller, daemon_now_ms(d)))
            api_cut(c, &gone);
        else if (!served)
            api_cut(c, &stale);
    }
    struct good_tokens good = {.daemon = d};
    server_end_if(d->server, is_over, &good);
    record_free_list(&token_type, good.tokens, good.n);
}

void callers_addresses(struct daemon *d, char ***ret_addresses, size_t *ret_n)
{
    struct node *nodes;
    size_t n;
    size_t kept = 0;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    char **addresses = mem_alloc(n, sizeof(*addresses));
    for (size_t i = 0; i < n; i++) {
        const char *address = str_or_empty(nodes[i].address);
        const char *colon = strrchr(address, ':');
        if (colon && nodes[i].call_port > 0)
            addresses[kept++] = str_printf("%.*s:%lld", (int)(colon - address), address,
                                           (long long)nodes[i].call_port);
    }
    record_free_list(&node_type, nodes, n);
    *ret_addresses = addresses;
    *ret_n = kept;
}

static void sum_addresses(struct callers *callers)
{
    char **addresses;
    size_t n;
    callers_addresses(callers->daemon, &addresses, &n);
    callers->members_sum = wire_addresses_sum(addresses, n);
    for (size_t i = 0; i < n; i++)
        free(addresses[i]);
    free(addresses);
}

int64_t callers_members_sum(const struct callers *callers)
{
    return callers->members_sum;
}

void callers_on_change(struct callers *callers, unsigned tables)
{
    if (tables & 1U << TABLE_TOKEN)
        look(callers);
    if (tables & 1U << TABLE_NODE)
        sum_addresses(callers);
}

/* --- those who are refused -------------------------------------------------------------------- */

static struct guesser *guesser_of(struct callers *callers, const char *source, int64_t now)
{
    struct guesser *oldest = &callers->guessers[0];
    for (size_t i = 0; i < callers->guessers_n; i++) {
        struct guesser *g = &callers->guessers[i];
        if (strcmp(g->source, source) == 0)
            return g;
        if (g->at_ms < oldest->at_ms)
            oldest = g;
    }
    if (callers->guessers_n < GUESSERS_MAX)
        oldest = &callers->guessers[callers->guessers_n++];
    *oldest = (struct guesser){.at_ms = now};
    str_fill(oldest->source, sizeof(oldest->source), source);
    return oldest;
}

/* Count a failure; how long its answer takes. */
static int64_t count_failure(struct callers *callers, const char *source, int64_t now)
{
    struct guesser *g = guesser_of(callers, source, now);
    int64_t forgiven = (now - g->at_ms) / FORGIVE_MS;
    g->failures = forgiven >= g->failures ? 0 : g->failures - (int)forgiven;
    g->failures++;
    g->at_ms = now;
    int doublings = g->failures - FREE_FAILURES;
    if (doublings < 0)
        doublings = 0;
    return (int64_t)REFUSE_MS << (doublings < REFUSE_DOUBLE ? doublings : REFUSE_DOUBLE);
}

static void log_failure(struct callers *callers, const char *source, const struct err *err,
                        int64_t now)
{
    if (callers->logged_ms && now - callers->logged_ms < LOG_MS) {
        callers->suppressed++;
        return;
    }
    if (callers->suppressed)
        log_warn("api", "refused a call from %s: %s (and %d other calls before it)", source,
                 err->msg, callers->suppressed);
    else
        log_warn("api", "refused a call from %s: %s", source, err->msg);
    callers->logged_ms = now;
    callers->suppressed = 0;
}

static size_t waiting_from(const struct callers *callers, const char *source)
{
    size_t n = 0;
    for (const struct refused *r = callers->refused; r; r = r->next)
        n += strcmp(r->source, source) == 0;
    return n;
}

static void refused_free(struct refused *r)
{
    record_release(&call_type, &r->call);
    free(r);
}

static void on_timer(uv_timer_t *timer);

/* Keep @c for its refusal. */
static void refuse_later(struct callers *callers, struct api_call *c, const struct call *call,
                         const char *source, const struct err *err)
{
    int64_t now = clock_boot_ms();
    int64_t wait = count_failure(callers, source, now);
    log_failure(callers, source, err, now);
    if (callers->refused_n >= REFUSED_MAX || waiting_from(callers, source) >= REFUSED_SOURCE_MAX) {
        api_hang_up(c);
        return;
    }
    struct refused *r = mem_alloc(1, sizeof(*r));
    struct call copy = *call; /* shallow */
    r->c = c;
    r->whole = call->body.len <= KEPT_BODY_MAX;
    if (!r->whole)
        copy.body = (struct bytes){0};
    record_copy(&call_type, &copy, &r->call);
    r->at_ms = now + wait;
    r->err = *err;
    str_fill(r->source, sizeof(r->source), source);
    r->next = callers->refused;
    callers->refused = r;
    callers->refused_n++;
    uv_timer_start(&callers->timer, on_timer, TICK_MS, TICK_MS);
}

/* The time of @r has come, or its token has become known meanwhile. True: it is through. */
static bool settle(struct callers *callers, struct refused *r, int64_t now)
{
    struct daemon *d = callers->daemon;
    struct err err;
    if (r->whole && !d->stopping && check_contact(callers, &err) == 0 &&
        caller_from_token(d->store, r->call.token, daemon_now_ms(d), &r->c->caller, &err) == 0) {
        if (r->c->server)
            server_tag(r->c->server, tag_of(&r->c->caller.token));
        watch(callers, r->c);
        api_dispatch(r->c, &r->call);
        return true;
    }
    if (now < r->at_ms && !d->stopping)
        return false;
    api_fail(r->c, &r->err);
    return true;
}

static void settle_all(struct callers *callers)
{
    int64_t now = clock_boot_ms();
    struct refused *list = callers->refused;
    callers->refused = NULL;
    for (struct refused *next; list; list = next) {
        next = list->next;
        if (settle(callers, list, now)) {
            callers->refused_n--;
            refused_free(list);
        } else {
            list->next = callers->refused;
            callers->refused = list;
        }
    }
}

/* --- those who come --------------------------------------------------------------------------- */

int callers_admit(struct callers *callers, struct api_call *c, const struct call *call,
                  struct err *err)
{
    struct daemon *d = callers->daemon;
    if (check_contact(callers, err) < 0)
        return ERR_UNAVAILABLE;
    int rv = caller_from_token(d->store, call->token, daemon_now_ms(d), &c->caller, err);
    if (rv == 0) {
        if (c->server)
            server_tag(c->server, tag_of(&c->caller.token));
        watch(callers, c);
        return 0;
    }
    if (rv == ERR_INVALID && !*str_or_empty(call->token))
        err_set(err, ERR_DENIED,
                "a token is needed: 'wherry token create' on a member prints one; 'wherry login' "
                "keeps it");
    else if (rv == ERR_INVALID)
        err->code = ERR_DENIED;
    char source[SOURCE_TEXT];
    str_fill(source, sizeof(source),
             c->server ? server_source(c->server)
             : c->http ? http_source(c->http)
                       : "another member");
    refuse_later(callers, c, call, source, err);
    return ERR_DENIED;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer)
{
    struct callers *callers = timer->data;
    int64_t now = clock_boot_ms();
    settle_all(callers);
    if (callers->refused_n == 0)
        uv_timer_start(timer, on_timer, LOOK_MS, LOOK_MS);
    if (now < callers->look_ms)
        return;
    callers->look_ms = now + LOOK_MS;
    look(callers);
}

struct callers *callers_new(struct daemon *d)
{
    struct callers *callers = mem_alloc(1, sizeof(*callers));
    callers->daemon = d;
    uv_timer_init(&d->loop, &callers->timer);
    callers->timer.data = callers;
    sum_addresses(callers);
    uv_timer_start(&callers->timer, on_timer, LOOK_MS, LOOK_MS);
    return callers;
}

static void on_closed(uv_handle_t *handle)
{
    struct callers *callers = handle->data;
    void (*on_freed)(void *arg) = callers->on_freed;
    void *arg = callers->free_arg;
    free(callers);
    on_freed(arg);
}

void callers_free(struct callers *callers, void (*on_freed)(void *arg), void *arg)
{
    settle_all(callers);
    while (callers->watched)
        callers_done(callers->watched);
    callers->on_freed = on_freed;
    callers->free_arg = arg;
    uv_close((uv_handle_t *)&callers->timer, on_closed);
}
