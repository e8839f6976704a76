/* SPDX-License-Identifier: Apache-2.0 */
#include "node/registries.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/seal.h"
#include "node/daemon.h"
#include "node/keys.h"
#include "runtime/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct registries {
    struct daemon *daemon;
    pthread_mutex_t lock; /* for the rest */
    struct registry *rows;
    size_t rows_n;
    bool has_key;
    struct seal_key key;
    struct err why; /* there is none */
};

/* --- sealed and opened ------------------------------------------------------------------------ */

void registries_seal(const struct seal_key *key, const char *name, const char *password,
                     struct sealed *ret)
{
    seal_close(key, "registry", name, password, strlen(password), ret);
}

int registries_open(const struct seal_key *key, const struct registry *registry, struct buf *out,
                    struct err *err)
{
    return seal_open(key, "registry", registry->name, &registry->password, out, err);
}

void registries_describe(const struct registry *registry, const char *password,
                         struct registry_access *ret_access)
{
    *ret_access = (struct registry_access){.plain_http = registry->plain_http};
    if (password) {
        ret_access->username = str_copy(str_or_empty(registry->username));
        ret_access->password = str_copy(password);
    }
    if (*str_or_empty(registry->ca))
        ret_access->ca = str_copy(registry->ca);
    if (registry->mirrors_n > 0)
        ret_access->mirrors = mem_alloc(registry->mirrors_n + 1, sizeof(char *));
    for (size_t i = 0; i < registry->mirrors_n; i++)
        ret_access->mirrors[i] = str_copy(registry->mirrors[i]);
}

/* --- the snapshot ----------------------------------------------------------------------------- */

static void forget(struct registries *r)
{
    record_free_list(&registry_type, r->rows, r->rows_n);
    r->rows = NULL;
    r->rows_n = 0;
    r->has_key = false;
    seal_key_wipe(&r->key);
}

struct registries *registries_new(struct daemon *d)
{
    struct registries *r = mem_alloc(1, sizeof(*r));
    r->daemon = d;
    check(pthread_mutex_init(&r->lock, NULL) == 0);
    return r;
}

void registries_free(struct registries *r)
{
    if (!r)
        return;
    forget(r);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void registries_on_change(struct registries *r)
{
    struct daemon *d = r->daemon;
    const struct seal_key *key = NULL;
    if (!d->store || !d->keys)
        return;
    pthread_mutex_lock(&r->lock);
    forget(r);
    store_list(d->store, TABLE_REGISTRY, BY_NONE, 0, &r->rows, &r->rows_n);
    if (r->rows_n > 0 && keys_current(d->keys, &key, &r->why) == 0) {
        r->key = *key;
        r->has_key = true;
    }
    pthread_mutex_unlock(&r->lock);
}

/* --- asked ------------------------------------------------------------------------------------ */

static int describe(const struct registries *r, const struct registry *registry,
                    struct registry_access *ret_access, struct err *err)
{
    cleanup_secret struct buf password = BUF_INIT;
    struct err why;
    if (registry->password.data.len == 0) {
        registries_describe(registry, NULL, ret_access);
        return 0;
    }
    if (!r->has_key)
        return err_set(err, ERR_UNAVAILABLE, "the login to %.80s cannot be opened: %.160s",
                       registry->name, r->why.msg);
    if (registries_open(&r->key, registry, &password, &why) < 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "the login to %.80s cannot be opened by the cluster key; log in again: "
                       "'wherry registry login %.80s'",
                       registry->name, registry->name);
    registries_describe(registry, password.data ? password.data : "", ret_access);
    return 0;
}

int registries_access(void *arg, const char *name, struct registry_access *ret_access,
                      struct err *err)
{
    struct registries *r = arg;
    int rv = 0;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->rows_n; i++)
        if (strcasecmp(r->rows[i].name, name) == 0) {
            rv = describe(r, &r->rows[i], ret_access, err);
            break;
        }
    pthread_mutex_unlock(&r->lock);
    return rv;
}
