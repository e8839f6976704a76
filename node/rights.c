/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rights.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/privilege.h"
#include "store/store.h"

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

static int check_service(const struct caller *caller, const char *stack, const char *service,
                         struct err *err)
{
    if (caller_sees(caller, str_or_empty(stack)))
        return 0;
    return err_set(err, ERR_NOTFOUND, "service %.63s.%.63s does not exist", str_or_empty(stack),
                   str_or_empty(service));
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

/* What an admin deployed stays as it is in a deployer's hands: an earlier spec is checked like one
 * that is deployed. */
static int check_rollback(struct store *store, const struct caller *caller,
                          const struct change_service_rollback *change, struct err *err)
{
    int rv = check_service(caller, change->stack, change->service, err);
    cleanup_free char *title =
        str_printf("%s.%s", str_or_empty(change->stack), str_or_empty(change->service));
    struct service service;
    if (rv < 0 || store_find(store, TABLE_SERVICE, title, &service) < 0)
        return rv;
    struct deploy_service old = {.name = service.name};
    const struct task run = {.service_id = service.id,
                             .revision =
                                 change->revision ? change->revision : service.stable_revision};
    if (store_task_spec(store, &run, &old.spec) == 0) {
        rv = privilege_check(&old.spec, old.name, err);
        if (rv == 0)
            rv = check_mounts(store, caller, str_or_empty(change->stack), &old, err);
        record_release(&spec_type, &old.spec);
    }
    record_release(&service_type, &service);
    return rv;
}

static int check_rollout(struct store *store, const struct caller *caller,
                         const struct change_rollout_set *change, struct err *err)
{
    struct service service;
    if (change->state != ROLLOUT_UPDATING && change->state != ROLLOUT_PAUSED &&
        change->state != ROLLOUT_ROLLBACK_PAUSED && change->state != ROLLOUT_ROLLING_BACK)
        return err_set(err, ERR_DENIED, "only a leader says that a rollout is over");
    if (store_get(store, TABLE_SERVICE, change->service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no such service");
    /* From a pause of the way on, going back is a rollback, which is checked as one. */
    int rv = check_service(caller, service.stack, service.name, err);
    if (rv == 0 && change->state == ROLLOUT_ROLLING_BACK &&
        service.rollout != ROLLOUT_ROLLBACK_PAUSED)
        rv = err_set(err, ERR_DENIED, "its rollout is not paused on the way back");
    record_release(&service_type, &service);
    return rv;
}

static int check_move(struct store *store, const struct caller *caller,
                      const struct change_task_move *change, struct err *err)
{
    struct task task;
    if (store_get(store, TABLE_TASK, change->task_id, &task) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no such task");
    int rv = check_service(caller, task.stack, task.service, err);
    record_release(&task_type, &task);
    return rv;
}

static int check_of(struct store *store, const struct caller *caller, int64_t service_id,
                    struct err *err)
{
    struct service service;
    if (store_get(store, TABLE_SERVICE, service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no such service");
    int rv = check_service(caller, service.stack, service.name, err);
    record_release(&service_type, &service);
    return rv;
}

static int check_job_start(struct store *store, const struct caller *caller,
                           const struct change_job_start *change, struct err *err)
{
    if (change->scheduled_ms != 0 || change->skip)
        return err_set(err, ERR_DENIED, "only a leader says what a schedule asks for");
    return check_of(store, caller, change->service_id, err);
}

static int check_job_end(struct store *store, const struct caller *caller,
                         const struct change_job_end *change, struct err *err)
{
    struct job_run run;
    if (change->state != JOB_CANCELED)
        return err_set(err, ERR_DENIED, "only a leader says how a run ended");
    if (store_get(store, TABLE_JOB_RUN, change->job_id, &run) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no such run");
    int rv = check_of(store, caller, run.service_id, err);
    record_release(&job_run_type, &run);
    return rv;
}

/* What was made by hand is for everybody but tokens of some stacks, as far as it is secret. */
static int check_secrets(struct store *store, const struct caller *caller,
                         const struct deploy_service *service, struct err *err)
{
    for (size_t i = 0; i < service->spec.secrets_n && caller->token.stacks_n > 0; i++) {
        cleanup_free char *name = content_row_name(CONTENT_SECRET, service->spec.secrets[i].source);
        struct content content;
        if (store_find(store, TABLE_CONTENT, name, &content) < 0)
            continue;
        bool by_hand = !*str_or_empty(content.stack);
        record_release(&content_type, &content);
        if (by_hand)
            return err_set(err, ERR_DENIED,
                           "service %.63s has the secret %.100s, which is of no stack that this "
                           "token is for",
                           str_or_empty(service->name), service->spec.secrets[i].source);
    }
    return 0;
}

/* A volume that says how it is mounted can be any folder or device of a machine. */
static int check_own_volume(struct store *store, const struct caller *caller, const char *stack,
                            const struct deploy_volume *volume, struct err *err)
{
    if (pair_get(volume->options, volume->options_n, "type"))
        return err_set(err, ERR_DENIED,
                       "volume %.100s has driver_opts with a type, and with that what its machine "
                       "can mount: only an admin may deploy this",
                       str_or_empty(volume->name));
    return check_volume(store, caller, stack, volume->name, err);
}

/* What is on the machines' own link can be anybody there. */
static int check_own_network(const struct deploy_network *network, struct err *err)
{
    if (!network->lan.on)
        return 0;
    return err_set(err, ERR_DENIED,
                   "network %.100s has the driver macvlan, and with that any address of the "
                   "machines' own link: only an admin may deploy this, or make it with 'wherry "
                   "network create --macvlan' for others to use",
                   str_or_empty(network->name));
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
        rv = privilege_check(&change->services[i].spec, change->services[i].name, err);
    for (size_t i = 0; i < change->own_volumes_n && rv == 0; i++)
        rv = check_own_volume(store, caller, stack, &change->own_volumes[i], err);
    for (size_t i = 0; i < change->own_networks_n && rv == 0; i++)
        rv = check_own_network(&change->own_networks[i], err);
    for (size_t i = 0; i < change->services_n && rv == 0; i++)
        rv = check_mounts(store, caller, stack, &change->services[i], err);
    for (size_t i = 0; i < change->services_n && rv == 0; i++)
        rv = check_secrets(store, caller, &change->services[i], err);
    return rv;
}

/* What is of no stack, a deployer of all stacks may make and remove. */
static int check_by_hand(const struct caller *caller, int kind, const void *body, struct err *err)
{
    const struct change_content_add *add = body;
    const struct change_volume_create *volume = body;
    const struct change_network_create *network = body;
    if (kind == CHANGE_CONTENT_ADD && *str_or_empty(add->content.stack))
        return check_stack(caller, add->content.stack, err);
    if (caller->token.stacks_n > 0)
        return err_set(err, ERR_DENIED,
                       "this token is for some stacks only, and this would be for all");
    if (kind == CHANGE_VOLUME_CREATE &&
        pair_get(volume->volume.options, volume->volume.options_n, "type"))
        return err_set(err, ERR_DENIED, "only an admin may make a volume of a type");
    if (kind == CHANGE_NETWORK_CREATE && network->network.lan.on)
        return err_set(err, ERR_DENIED, "only an admin may make a macvlan network");
    return 0;
}

static int refuse_change(const struct caller *caller, int kind, struct err *err)
{
    return err_set(err, ERR_DENIED, "a token of role %s does not allow the change %s",
                   token_role_names[caller->token.role], change_name(kind));
}

/* What a deployer does to a service that is there. */
static int check_service_change(struct store *store, const struct caller *caller, int kind,
                                const void *body, struct err *err)
{
    if (kind == CHANGE_SERVICE_SCALE) {
        const struct change_service_scale *change = body;
        return check_service(caller, change->stack, change->service, err);
    }
    if (kind == CHANGE_SERVICE_STOP) {
        const struct change_service_stop *change = body;
        return check_service(caller, change->stack, change->service, err);
    }
    if (kind == CHANGE_SERVICE_RESTART) {
        const struct change_service_restart *change = body;
        return check_service(caller, change->stack, change->service, err);
    }
    if (kind == CHANGE_SERVICE_RETIRE) {
        const struct change_service_retire *change = body;
        return check_service(caller, change->stack, change->service, err);
    }
    if (kind == CHANGE_SERVICE_ROLLBACK)
        return check_rollback(store, caller, body, err);
    if (kind == CHANGE_ROLLOUT_SET)
        return check_rollout(store, caller, body, err);
    if (kind == CHANGE_TASK_MOVE)
        return check_move(store, caller, body, err);
    if (kind == CHANGE_JOB_START)
        return check_job_start(store, caller, body, err);
    if (kind == CHANGE_JOB_END)
        return check_job_end(store, caller, body, err);
    return refuse_change(caller, kind, err);
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
    if (kind >= CHANGE_CONTENT_ADD && kind <= CHANGE_VOLUME_CREATE)
        return check_by_hand(caller, kind, body, err);
    if (kind == CHANGE_STACK_REMOVE)
        return check_stack(caller, ((const struct change_stack_remove *)body)->name, err);
    return check_service_change(store, caller, kind, body, err);
}

/* --- going in -----------------------------------------------------------------------------------
 */

int rights_check_enter(const struct caller *caller, const struct spec *spec, bool privileged,
                       struct err *err)
{
    if (caller->trusted || caller->token.role == TOKEN_ADMIN)
        return 0;
    if (caller->token.role != TOKEN_DEPLOYER)
        return err_set(err, ERR_DENIED, "a token of role %s may not go into containers",
                       token_role_names[caller->token.role]);
    if (privileged)
        return err_set(err, ERR_DENIED, "only an admin may run a command with all capabilities");
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (spec->mounts[i].kind == MOUNT_BIND)
            return err_set(err, ERR_DENIED,
                           "this container mounts %.80s of its machine, and with that anything on "
                           "it: only an admin may go into it",
                           str_or_empty(spec->mounts[i].source));
    struct err why;
    if (privilege_check(spec, "this", &why) == 0)
        return 0;
    return err_set(err, ERR_DENIED, "only an admin may go into this container: %.180s", why.msg);
}
