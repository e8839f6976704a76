/* SPDX-License-Identifier: Apache-2.0 */
/* Registries: how they are reached, and the passwords, which only the members' key opens. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum {
    SEALED_OVERHEAD = 64, /* nonce and tag, and some */
};

/* --- what may be stored ----------------------------------------------------------------------- */

/* Printable, and nothing that ends a line or a header. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int check_mirror(const struct registry *registry, const char *url, struct err *err)
{
    const char *rest = str_starts(url, "https://")  ? url + strlen("https://")
                       : str_starts(url, "http://") ? url + strlen("http://")
                                                    : "";
    bool plain = strlen(url) <= REGISTRY_MIRROR_MAX;
    for (const char *c = rest; *c && plain; c++)
        plain = *c > ' ' && *c < 0x7f && !strchr("@?#\\\"", *c);
    if (!plain || *rest == '\0' || *rest == '/')
        return err_set(err, ERR_INVALID,
                       "registry %s: '%.100s' is no mirror: give http(s)://HOST[:PORT][/PATH] "
                       "without a user",
                       registry->name, url);
    return 0;
}

static int check_login(const struct registry *registry, struct err *err)
{
    const char *user = str_or_empty(registry->username);
    if (strlen(user) > REGISTRY_USER_MAX || strchr(user, ':') || !is_plain(user))
        return err_set(err, ERR_INVALID,
                       "registry %s: a user's name has at most %d bytes, no colon and no control "
                       "characters",
                       registry->name, REGISTRY_USER_MAX);
    if (*user == '\0' && registry->password.data.len > 0)
        return err_set(err, ERR_INVALID, "registry %s: a password without a user", registry->name);
    if (registry->password.data.len > REGISTRY_PASSWORD_MAX + SEALED_OVERHEAD)
        return err_set(err, ERR_TOOBIG, "registry %s: the password is longer than %d bytes",
                       registry->name, REGISTRY_PASSWORD_MAX);
    return 0;
}

static int check_registry(const struct registry *registry, struct err *err)
{
    const char *name = str_or_empty(registry->name);
    if (!registry_name_is_valid(name))
        return err_set(err, ERR_INVALID,
                       "'%.100s' is no registry: HOST or HOST:PORT, in lower case, without "
                       "https:// and path",
                       name);
    if (strlen(str_or_empty(registry->ca)) > REGISTRY_CA_MAX)
        return err_set(err, ERR_TOOBIG, "registry %s: more than %d bytes of certificates", name,
                       REGISTRY_CA_MAX);
    if (registry->mirrors_n > REGISTRY_MIRRORS_MAX)
        return err_set(err, ERR_TOOBIG, "registry %s: more than %d mirrors", name,
                       REGISTRY_MIRRORS_MAX);
    for (size_t i = 0; i < registry->mirrors_n; i++)
        if (check_mirror(registry, str_or_empty(registry->mirrors[i]), err) < 0)
            return err->code;
    return check_login(registry, err);
}

/* --- set -------------------------------------------------------------------------------------- */

static int64_t generation_in_use(struct apply *apply)
{
    struct cluster cluster;
    check(store_get(apply->store, TABLE_CLUSTER, 1, &cluster) == 0); /* dispatch asks for it */
    int64_t generation = cluster.keys.generation;
    record_release(&cluster_type, &cluster);
    return generation;
}

static int changed_meanwhile(const char *name, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "registry %s was changed meanwhile; try again", name);
}

/* There is room, and the row is the one that the change was planned from: its id and when it was
 * made, 0 for a new one. */
static int check_place(struct apply *apply, const struct change_registry_set *change,
                       struct registry *made, struct err *err)
{
    struct registry old;
    if (store_find(apply->store, TABLE_REGISTRY, change->registry.name, &old) == 0) {
        made->id = old.id;
        made->created_ms = old.created_ms;
        made->created_index = old.created_index;
        bool same = old.modified_index == change->expected_index;
        record_release(&registry_type, &old);
        return same ? 0 : changed_meanwhile(change->registry.name, err);
    }
    if (change->expected_index != 0)
        return changed_meanwhile(change->registry.name, err);
    if (store_count(apply->store, TABLE_REGISTRY) >= REGISTRIES_MAX)
        return err_set(err, ERR_TOOBIG,
                       "there are %d registries already: remove some ('wherry registry ls')",
                       REGISTRIES_MAX);
    made->id = apply_next_id(apply);
    made->created_ms = apply->now_ms;
    made->created_index = 0;
    return 0;
}

int apply_registry_set(struct apply *apply, const struct change_registry_set *change,
                       struct err *err)
{
    const struct sealed *password = &change->registry.password;
    struct registry made = {0};
    int rv = check_registry(&change->registry, err);
    if (rv == 0 && password->data.len > 0 && password->generation != generation_in_use(apply))
        rv = err_set(err, ERR_CONFLICT, "the cluster key was changed meanwhile; try again");
    if (rv == 0)
        rv = check_place(apply, change, &made, err);
    if (rv < 0)
        return rv;
    struct registry registry;
    record_copy(&registry_type, &change->registry, &registry);
    registry.id = apply->made = made.id;
    registry.created_ms = made.created_ms;
    registry.created_index = made.created_index;
    registry.modified_ms = apply->now_ms;
    apply_put(apply, TABLE_REGISTRY, &registry);
    apply_event(apply, "registry", registry.name, "%s",
                made.created_index == 0 ? "added" : "changed");
    record_release(&registry_type, &registry);
    return 0;
}

/* --- remove ----------------------------------------------------------------------------------- */

int apply_registry_remove(struct apply *apply, const struct change_registry_remove *change,
                          struct err *err)
{
    struct registry registry;
    int rv = 0;
    if (store_get(apply->store, TABLE_REGISTRY, change->registry_id, &registry) < 0)
        return err_set(err, ERR_NOTFOUND, "registry %" PRId64 " does not exist (any more)",
                       change->registry_id);
    if (registry.modified_index != change->expected_index) {
        rv = changed_meanwhile(registry.name, err);
    } else {
        apply_delete(apply, TABLE_REGISTRY, registry.id);
        apply_event(apply, "registry", registry.name, "removed");
    }
    record_release(&registry_type, &registry);
    return rv;
}

/* --- another cluster key ---------------------------------------------------------------------- */

static const struct resealed *find(const struct resealed *registries, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (registries[i].registry_id == id)
            return &registries[i];
    return NULL;
}

static int reseal(struct apply *apply, struct registry *registry, const struct resealed *by,
                  int64_t generation, struct err *err)
{
    if (!by || by->expected_index != registry->modified_index)
        return changed_meanwhile(registry->name, err);
    if (by->password.generation != generation || by->password.data.len == 0 ||
        by->password.data.len > REGISTRY_PASSWORD_MAX + SEALED_OVERHEAD)
        return err_set(err, ERR_INVALID, "registry %s: its password is not sealed by the new key",
                       registry->name);
    registry->password.generation = generation;
    bytes_set(&registry->password.data, by->password.data.data, by->password.data.len);
    apply_put(apply, TABLE_REGISTRY, registry);
    return 0;
}

int registries_reseal(struct apply *apply, const struct resealed *registries, size_t n,
                      int64_t generation, struct err *err)
{
    struct registry *rows;
    size_t rows_n;
    int rv = 0;
    store_list(apply->store, TABLE_REGISTRY, BY_NONE, 0, &rows, &rows_n);
    for (size_t i = 0; i < rows_n && rv == 0; i++)
        if (rows[i].password.data.len > 0)
            rv = reseal(apply, &rows[i], find(registries, n, rows[i].id), generation, err);
    record_free_list(&registry_type, rows, rows_n);
    return rv;
}
