/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about tokens. The secret is drawn here and told once; the state has its hash. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/propose.h"
#include "store/level.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAY_MS = 24 * 3600 * 1000,
    TTL_DAYS_MAX = 36500,
};

/* A secret on its way into the state. */
struct token_work {
    struct api_call *call;
    struct token_reply reply;
    token_made_cb cb;
};

static void work_free(struct token_work *work)
{
    OPENSSL_cleanse(work->reply.token, strlen(work->reply.token));
    record_release(&token_reply_type, &work->reply);
    free(work);
}

static void on_written(void *arg, const struct change_result *result)
{
    struct token_work *work = arg;
    work->reply.id = result->id;
    work->cb(work->call, &result->err, &work->reply);
    work_free(work);
}

/* A token of @like's kind and rights, with a new secret whose hash goes to @ret_hash. */
static struct token_work *draw(struct api_call *c, const struct token *like, token_made_cb cb,
                               struct bytes *ret_hash, struct bytes *ret_ca, struct err *err)
{
    char *text;
    enum token_kind kind;
    unsigned char ca_hash[32];
    unsigned char secret_hash[32];
    if (token_make(c->daemon->identity, like->kind, &text, err) < 0)
        return NULL;
    check(token_parse(text, &kind, ca_hash, secret_hash, err) == 0);
    bytes_set(ret_hash, secret_hash, sizeof(secret_hash));
    bytes_set(ret_ca, ca_hash, sizeof(ca_hash));
    struct token copy;
    record_copy(&token_type, like, &copy);
    struct token_work *work = mem_alloc(1, sizeof(*work));
    *work = (struct token_work){.call = c,
                                .reply = {.token = text,
                                          .address = str_copy(c->daemon->address),
                                          .expires_ms = copy.expires_ms,
                                          .name = steal(&copy.name),
                                          .kind = copy.kind,
                                          .role = copy.role,
                                          .stacks = copy.stacks,
                                          .stacks_n = copy.stacks_n},
                                .cb = cb};
    copy.stacks = NULL;
    copy.stacks_n = 0;
    record_release(&token_type, &copy);
    return work;
}

/* --- make ------------------------------------------------------------------------------------- */

/* Members of the first release know of a token its kind, hash and end. */
static void propose_token(struct api_call *c, const struct change_token_create *change,
                          struct token_work *work)
{
    struct propose *p = c->daemon->propose;
    const struct token *token = &change->token;
    struct change_token_add add = {.token = {.kind = token->kind,
                                             .hash = token->hash,
                                             .expires_ms = token->expires_ms,
                                             .created_ms = token->created_ms}};
    bool first = store_level(c->daemon->store) == LEVEL_FIRST;
    propose_change_for(p, &c->caller, first ? CHANGE_TOKEN_ADD : CHANGE_TOKEN_CREATE,
                       first ? (const void *)&add : change, NULL, PROPOSE_TIMEOUT_MS, on_written,
                       work);
}

bool api_token_make(struct api_call *c, const struct token_request *r, token_made_cb cb,
                    struct err *err)
{
    struct daemon *d = c->daemon;
    char maker[TOKEN_MAKER_MAX];
    char title[80];
    if (r->ttl_ms < 0 || r->ttl_ms > (int64_t)TTL_DAYS_MAX * DAY_MS) {
        err_set(err, ERR_INVALID, "the time to live must be from 0 to %d days", TTL_DAYS_MAX);
        return false;
    }
    if (store_level(d->store) == LEVEL_FIRST &&
        (r->role != TOKEN_ADMIN || r->stacks_n > 0 || r->witness)) {
        err_set(err, ERR_UNAVAILABLE,
                "until all members are of this release, tokens are for admins and for members "
                "only: upgrade the others first");
        return false;
    }
    int64_t ttl = r->ttl_ms == 0 && r->kind == TOKEN_JOIN ? DAY_MS : r->ttl_ms;
    int64_t now = daemon_now_ms(d);
    caller_title(&c->caller, title, sizeof(title));
    snprintf(maker, sizeof(maker), "%.80s%s%s", d->name, *title ? ", " : "", title);
    struct change_token_create change = {.token = {.name = r->name,
                                                   .kind = r->kind,
                                                   .role = r->role,
                                                   .stacks = r->stacks,
                                                   .stacks_n = r->stacks_n,
                                                   .witness = r->witness,
                                                   .created_by = maker,
                                                   .expires_ms = ttl ? now + ttl : 0,
                                                   .created_ms = now}};
    struct token_work *work = draw(c, &change.token, cb, &change.token.hash, &change.token.ca, err);
    if (!work)
        return false;
    propose_token(c, &change, work);
    bytes_set(&change.token.hash, NULL, 0);
    bytes_set(&change.token.ca, NULL, 0);
    return true;
}

static void reply_with(struct api_call *c, const struct err *err, const struct token_reply *reply)
{
    if (err->code != 0)
        api_fail(c, err);
    else
        api_reply(c, reply);
}

void api_token(struct api_call *c, const void *request)
{
    struct err err;
    if (!api_token_make(c, request, reply_with, &err))
        api_fail(c, &err);
}

/* --- list ------------------------------------------------------------------------------------- */

/* Moves what @t owns into @info. */
static void describe(struct token *t, int64_t now_ms, struct token_info *info)
{
    const char *role = t->kind == TOKEN_CALL ? token_role_names[t->role]
                       : t->witness          ? "witness"
                                             : "member";
    *info = (struct token_info){.id = t->id,
                                .name = steal(&t->name),
                                .kind = str_copy(token_kind_names[t->kind]),
                                .role = str_copy(role),
                                .stacks = t->stacks,
                                .stacks_n = t->stacks_n,
                                .created_by = steal(&t->created_by),
                                .created_ms = t->created_ms,
                                .expires_ms = t->expires_ms,
                                .expired = t->expires_ms != 0 && t->expires_ms <= now_ms};
    t->stacks = NULL;
    t->stacks_n = 0;
}

void api_token_list(struct api_call *c, const void *request)
{
    struct token_list_reply reply = {0};
    struct token *tokens;
    (void)request;
    store_list(c->daemon->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &reply.tokens_n);
    reply.tokens = mem_alloc(reply.tokens_n, sizeof(*reply.tokens));
    for (size_t i = 0; i < reply.tokens_n; i++)
        describe(&tokens[i], daemon_now_ms(c->daemon), &reply.tokens[i]);
    record_free_list(&token_type, tokens, reply.tokens_n);
    api_reply(c, &reply);
    record_release(&token_list_reply_type, &reply);
}

/* --- remove and rotate ------------------------------------------------------------------------ */

/* By id or name. False: @c was answered. */
static bool find_token(struct api_call *c, const char *name, struct token *ret)
{
    struct token *tokens;
    size_t n;
    size_t at = 0;
    char id[24];
    store_list(c->daemon->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &n);
    for (; at < n; at++) {
        snprintf(id, sizeof(id), "%lld", (long long)tokens[at].id);
        if (*name && (str_equal(tokens[at].name, name) || strcmp(id, name) == 0))
            break;
    }
    bool found = at < n;
    if (found)
        record_copy(&token_type, &tokens[at], ret);
    record_free_list(&token_type, tokens, n);
    if (!found)
        api_fail_with(c, ERR_NOTFOUND, "there is no token '%.80s' ('wherry token ls' lists them)",
                      name);
    return found;
}

void api_token_remove(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct token token;
    if (!find_token(c, str_or_empty(r->name), &token))
        return;
    struct change_token_delete change = {.token_id = token.id};
    record_release(&token_type, &token);
    api_propose(c, CHANGE_TOKEN_DELETE, &change);
}

void api_token_rotate(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct token token;
    struct err err;
    if (!find_token(c, str_or_empty(r->name), &token))
        return;
    struct change_token_rotate change = {.token_id = token.id};
    struct token_work *work = draw(c, &token, reply_with, &change.hash, &change.ca, &err);
    if (work)
        propose_change_for(c->daemon->propose, &c->caller, CHANGE_TOKEN_ROTATE, &change, NULL,
                           PROPOSE_TIMEOUT_MS, on_written, work);
    else
        api_fail(c, &err);
    bytes_set(&change.hash, NULL, 0);
    bytes_set(&change.ca, NULL, 0);
    record_release(&token_type, &token);
}
