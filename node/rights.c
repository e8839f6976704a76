/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rights.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "node/api.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- callers ---------------------------------------------------------------------------------- */

void caller_release(struct caller *caller)
{
    if (caller->secret)
        OPENSSL_cleanse(caller->secret, strlen(caller->secret));
    free(caller->secret);
    record_release(&token_type, &caller->token);
    *caller = (struct caller){0};
}

void caller_copy(const struct caller *from, struct caller *to)
{
    *to = (struct caller){.trusted = from->trusted, .secret = str_copy(from->secret)};
    record_copy(&token_type, &from->token, &to->token);
}

void caller_title(const struct caller *caller, char *out, size_t size)
{
    const char *name = str_or_empty(caller->token.name);
    if (caller->trusted)
        str_fill(out, size, "");
    else if (*name)
        snprintf(out, size, "token %s", name);
    else
        snprintf(out, size, "token %lld", (long long)caller->token.id);
}

bool caller_sees(const struct caller *caller, const char *stack)
{
    if (caller->trusted || caller->token.stacks_n == 0)
        return true;
    for (size_t i = 0; i < caller->token.stacks_n; i++)
        if (str_equal(caller->token.stacks[i], stack))
            return true;
    return false;
}

bool caller_token_is_over(struct store *store, const struct token *token, int64_t now_ms)
{
    /* A clock that is behind must not bring an old token back to life. */
    int64_t time_ms = store_time_ms(store);
    if (now_ms > time_ms)
        time_ms = now_ms;
    return token->expires_ms != 0 && token->expires_ms <= time_ms;
}

int caller_from_token(struct store *store, const char *text, int64_t now_ms,
                      struct caller *ret_caller, struct err *err)
{
    enum token_kind kind;
    unsigned char ca_hash[DIGEST_BYTES];
    unsigned char secret_hash[DIGEST_BYTES];
    char hex[DIGEST_HEX + 1];
    struct token token;
    int rv = token_parse(str_or_empty(text), &kind, ca_hash, secret_hash, err);
    if (rv < 0)
        return rv;
    hex_encode(secret_hash, sizeof(secret_hash), hex);
    if (store_find(store, TABLE_TOKEN, hex, &token) < 0)
        return err_set(err, ERR_DENIED,
                       "this token is not (or no longer) good for calls; an admin makes another "
                       "with 'wherry token create'");
    if (token.kind != TOKEN_CALL)
        rv = err_set(err, ERR_DENIED,
                     "this token is for joining, not for calls; an admin makes one for calls with "
                     "'wherry token create'");
    else if (caller_token_is_over(store, &token, now_ms))
        rv = err_set(err, ERR_DENIED,
                     "this token has expired; an admin makes another with 'wherry token create'");
    if (rv < 0)
        record_release(&token_type, &token);
    else
        *ret_caller = (struct caller){.secret = str_copy(text), .token = token};
    return rv;
}

bool caller_is_valid(struct store *store, const struct caller *caller, int64_t now_ms)
{
    struct token token;
    if (caller->trusted)
        return true;
    if (store_get(store, TABLE_TOKEN, caller->token.id, &token) < 0)
        return false;
    bool same = record_equal(&token_type, &token, &caller->token);
    record_release(&token_type, &token);
    return same && !caller_token_is_over(store, &caller->token, now_ms);
}

/* --- verbs ------------------------------------------------------------------------------------ */

static enum token_role role_for(const struct verb *verb)
{
    return verb->flags & VERB_VIEWER     ? TOKEN_VIEWER
           : verb->flags & VERB_DEPLOYER ? TOKEN_DEPLOYER
                                         : TOKEN_ADMIN;
}

int rights_check_verb(const struct caller *caller, const struct verb *verb, struct err *err)
{
    if (caller->trusted)
        return 0;
    /* The mightier role has the smaller number. */
    enum token_role needed = role_for(verb);
    if (caller->token.role > needed)
        return err_set(err, ERR_DENIED,
                       "this takes a token of role %s; the one given is a %s's (%s)",
                       token_role_names[needed], token_role_names[caller->token.role], verb->name);
    if (caller->token.stacks_n > 0 && !(verb->flags & VERB_SCOPED))
        return err_set(err, ERR_DENIED,
                       "%s is about more than a stack; this token is for some stacks only",
                       verb->name);
    return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

static int check_stack(const struct caller *caller, const char *stack, struct err *err)
{
    if (caller_sees(caller, str_or_empty(stack)))
        return 0;
    return err_set(err, ERR_NOTFOUND, "stack %.63s does not exist", str_or_empty(stack));
}

static int check_scale(const struct caller *caller, const struct change_service_scale *change,
                       struct err *err)
{
    if (caller_sees(caller, str_or_empty(change->stack)))
        return 0;
    return err_set(err, ERR_NOTFOUND, "service %.63s.%.63s does not exist",
                   str_or_empty(change->stack), str_or_empty(change->service));
}

/* A volume with a scoped token: one of its stacks', a new one, or one that outlived its stack and
 * is called as those of @stack are. */
static int check_volume(struct store *store, const struct caller *caller, const char *stack,
                        const char *name, struct err *err)
{
    struct volume volume;
    struct stack owner;
    if (!*str_or_empty(name) || caller->token.stacks_n == 0 ||
        store_find(store, TABLE_VOLUME, name, &volume) < 0)
        return 0;
    bool sees;
    if (store_get(store, TABLE_STACK, volume.stack_id, &owner) == 0) {
        sees = caller_sees(caller, owner.name);
        record_release(&stack_type, &owner);
    } else {
        size_t len = strlen(stack);
        sees = strncmp(name, stack, len) == 0 && name[len] == '_';
    }
    record_release(&volume_type, &volume);
    return sees ? 0
                : err_set(err, ERR_DENIED, "volume %.100s is not of a stack that this token is for",
                          name);
}

static int check_mounts(struct store *store, const struct caller *caller, const char *stack,
                        const struct deploy_service *service, struct err *err)
{
    int rv = 0;
    for (size_t i = 0; i < service->spec.mounts_n && rv == 0; i++) {
        const struct mount_spec *mount = &service->spec.mounts[i];
        if (mount->kind == MOUNT_BIND)
            rv = err_set(err, ERR_DENIED,
                         "service %.63s mounts %.80s of its machine, and with that anything on it: "
                         "only an admin may deploy this; use a volume",
                         str_or_empty(service->name), str_or_empty(mount->source));
        else
            rv = check_volume(store, caller, stack, mount->source, err);
    }
    return rv;
}

static int check_deploy(struct store *store, const struct caller *caller,
                        const struct change_stack_deploy *change, struct err *err)
{
    const char *stack = str_or_empty(change->name);
    if (!caller_sees(caller, stack))
        return err_set(err, ERR_DENIED, "this token is for other stacks than '%.63s'", stack);
    int rv = 0;
    for (size_t i = 0; i < change->volumes_n && rv == 0; i++)
        rv = check_volume(store, caller, stack, change->volumes[i], err);
    for (size_t i = 0; i < change->services_n && rv == 0; i++)
        rv = check_mounts(store, caller, stack, &change->services[i], err);
    return rv;
}

static int refuse_change(const struct caller *caller, int kind, struct err *err)
{
    return err_set(err, ERR_DENIED, "a token of role %s does not allow the change %s",
                   token_role_names[caller->token.role], change_name(kind));
}

int rights_check_change(struct store *store, const struct caller *caller, int kind,
                        const void *body, struct err *err)
{
    if (caller->trusted)
        return 0;
    /* What only a machine says of itself. */
    if (kind == CHANGE_CLUSTER_INIT || kind == CHANGE_NODE_ADD || kind == CHANGE_TASK_REPORT ||
        (kind == CHANGE_NODE_UPDATE && ((const struct change_node_update *)body)->set_self))
        return refuse_change(caller, kind, err);
    if (caller->token.role == TOKEN_ADMIN)
        return 0;
    if (caller->token.role != TOKEN_DEPLOYER)
        return refuse_change(caller, kind, err);
    if (kind == CHANGE_STACK_DEPLOY)
        return check_deploy(store, caller, body, err);
    if (kind == CHANGE_STACK_REMOVE)
        return check_stack(caller, ((const struct change_stack_remove *)body)->name, err);
    if (kind == CHANGE_SERVICE_SCALE)
        return check_scale(caller, body, err);
    return refuse_change(caller, kind, err);
}
