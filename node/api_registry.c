/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about registries. A password is checked and sealed here; the state has it sealed only. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/job.h"
#include "node/keys.h"
#include "node/registries.h"
#include "runtime/registry.h"
#include "store/level.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* --- list ------------------------------------------------------------------------------------- */

/* Moves what @registry owns into @info. */
static void describe(struct registry *registry, struct registry_info *info)
{
    const char *login = !*str_or_empty(registry->username) ? "none"
                        : registry->password.data.len > 0  ? "sealed"
                                                           : "due";
    *info = (struct registry_info){.name = steal(&registry->name),
                                   .username = steal(&registry->username),
                                   .login = str_copy(login),
                                   .mirrors = registry->mirrors,
                                   .mirrors_n = registry->mirrors_n,
                                   .plain_http = registry->plain_http,
                                   .ca = steal(&registry->ca),
                                   .created_ms = registry->created_ms,
                                   .modified_ms = registry->modified_ms};
    registry->mirrors = NULL;
    registry->mirrors_n = 0;
}

void api_registry_list(struct api_call *c, const void *request)
{
    struct registry_list_reply reply = {0};
    struct registry *rows;
    (void)request;
    store_list(c->daemon->store, TABLE_REGISTRY, BY_NONE, 0, &rows, &reply.registries_n);
    reply.registries = mem_alloc(reply.registries_n, sizeof(*reply.registries));
    for (size_t i = 0; i < reply.registries_n; i++)
        describe(&rows[i], &reply.registries[i]);
    record_free_list(&registry_type, rows, reply.registries_n);
    api_reply(c, &reply);
    record_release(&registry_list_reply_type, &reply);
}

/* --- set -------------------------------------------------------------------------------------- */

/* A registry on its way into the state. */
struct setting {
    struct api_call *call;
    struct runtime *runtime;
    struct change_registry_set change; /* owned; the password is not in it yet */
    char *password;                    /* NULL: stays as it is */
    struct registry_access access;     /* for the check */
    struct err err;
};

static void wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void setting_free(struct setting *s)
{
    record_release(&change_registry_set_type, &s->change);
    registry_access_release(&s->access);
    wipe(s->password);
    free(s);
}

static void set_text(char **text, const char *to)
{
    free(*text);
    *text = *str_or_empty(to) ? str_copy(to) : NULL;
}

static void set_mirrors(struct registry *registry, const struct registry_set_request *r)
{
    for (size_t i = 0; i < registry->mirrors_n; i++)
        free(registry->mirrors[i]);
    free(registry->mirrors);
    registry->mirrors = mem_alloc(r->mirrors_n, sizeof(char *));
    registry->mirrors_n = r->mirrors_n;
    for (size_t i = 0; i < r->mirrors_n; i++)
        registry->mirrors[i] = str_copy(str_or_empty(r->mirrors[i]));
}

/* What the row is to be, from what it is. */
static void merge(struct setting *s, const struct registry_set_request *r)
{
    struct registry *registry = &s->change.registry;
    if (r->set_login) {
        set_text(&registry->username, r->username);
        bytes_set(&registry->password.data, NULL, 0);
        registry->password.generation = 0;
        if (registry->username)
            s->password = str_copy(str_or_empty(r->password));
    }
    if (r->set_mirrors)
        set_mirrors(registry, r);
    if (r->set_plain_http)
        registry->plain_http = r->plain_http;
    if (r->set_ca)
        set_text(&registry->ca, r->ca);
}

static int check_request(struct daemon *d, const struct registry_set_request *r, struct err *err)
{
    const char *name = str_or_empty(r->name);
    size_t password = strlen(str_or_empty(r->password));
    if (store_level(d->store) < 3)
        return err_set(err, ERR_UNAVAILABLE,
                       "registries can be set once all members are of this release: upgrade the "
                       "others first ('wherry node ls' shows versions)");
    if (!registry_name_is_valid(name))
        return err_set(err, ERR_INVALID,
                       "'%.100s' is no registry: HOST or HOST:PORT, in lower case, without "
                       "https:// and path",
                       name);
    if (r->set_login && *str_or_empty(r->username) && password == 0)
        return err_set(err, ERR_INVALID, "the password for %s is empty", name);
    if (password > REGISTRY_PASSWORD_MAX)
        return err_set(err, ERR_TOOBIG, "the password for %s is longer than %d bytes", name,
                       REGISTRY_PASSWORD_MAX);
    return 0;
}

static bool is_idle(const struct registry *registry)
{
    return !*str_or_empty(registry->username) && registry->mirrors_n == 0 &&
           !registry->plain_http && !*str_or_empty(registry->ca);
}

/* Seal and propose. Ends @s. */
static void finish(struct setting *s)
{
    struct api_call *c = s->call;
    struct registry *registry = &s->change.registry;
    const struct seal_key *key;
    if (s->err.code == 0 && c->daemon->stopping)
        err_set(&s->err, ERR_CANCELED, "this member is stopping");
    if (s->err.code == 0 && s->password && keys_current(c->daemon->keys, &key, &s->err) == 0)
        registries_seal(key, registry->name, s->password, &registry->password);
    if (s->err.code != 0) {
        api_fail(c, &s->err);
    } else if (registry->id != 0 && is_idle(registry)) {
        struct change_registry_remove removal = {.registry_id = registry->id,
                                                 .expected_index = s->change.expected_index};
        api_propose(c, CHANGE_REGISTRY_REMOVE, &removal);
    } else if (is_idle(registry)) {
        api_fail_with(c, ERR_INVALID, "nothing is to be set for registry %s", registry->name);
    } else {
        registry->id = 0; /* not for the change, as times and indexes */
        registry->created_ms = registry->modified_ms = 0;
        registry->created_index = registry->modified_index = 0;
        api_propose(c, CHANGE_REGISTRY_SET, &s->change);
    }
    setting_free(s);
}

static void work_check(void *arg)
{
    struct setting *s = arg;
    registry_check(s->runtime, s->change.registry.name, &s->access, &s->err);
}

static void done_check(void *arg)
{
    finish(arg);
}

static void check_login(struct setting *s)
{
    struct daemon *d = s->call->daemon;
    s->runtime = d->runtime;
    if (!d->runtime) {
        err_set(&s->err, ERR_UNSUPPORTED,
                "%s is a witness and cannot ask a registry: call another member (-H ADDRESS)",
                d->name);
        finish(s);
        return;
    }
    registries_describe(&s->change.registry, s->password, &s->access);
    jobs_run(d->resolve_jobs, work_check, done_check, s);
}

void api_registry_set(struct api_call *c, const void *request)
{
    const struct registry_set_request *r = request;
    struct daemon *d = c->daemon;
    struct err err;
    const struct seal_key *key;
    if (check_request(d, r, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    struct setting *s = mem_alloc(1, sizeof(*s));
    struct registry *registry = &s->change.registry;
    s->call = c;
    if (store_find(d->store, TABLE_REGISTRY, r->name, registry) == 0)
        s->change.expected_index = registry->modified_index;
    else
        registry->name = str_copy(r->name);
    if (r->set_login && !*str_or_empty(r->username) && !*str_or_empty(registry->username))
        err_set(&s->err, ERR_NOTFOUND, "nobody is logged in to %.80s", r->name);
    merge(s, r);
    /* Before the registry is asked: without the key the answer would be of no use. */
    if (s->err.code == 0 && s->password)
        keys_current(d->keys, &key, &s->err);
    if (s->err.code == 0 && s->password && r->check)
        check_login(s);
    else
        finish(s);
}

/* --- remove ----------------------------------------------------------------------------------- */

void api_registry_remove(struct api_call *c, const void *request)
{
    const struct name_request *r = request;
    struct registry registry;
    if (store_find(c->daemon->store, TABLE_REGISTRY, str_or_empty(r->name), &registry) < 0) {
        api_fail_with(c, ERR_NOTFOUND,
                      "nothing is set for registry '%.80s' ('wherry registry ls' lists them)",
                      str_or_empty(r->name));
        return;
    }
    struct change_registry_remove change = {.registry_id = registry.id,
                                            .expected_index = registry.modified_index};
    record_release(&registry_type, &registry);
    api_propose(c, CHANGE_REGISTRY_REMOVE, &change);
}
