/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configs and secrets. A row is one version and never changes; what a service has names the version
 * ("app_site@3"), so that another content is another spec: it rolls out, and back.
 */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- versions ------------------------------------------------------------------------------ */

/* All versions of a name, by version. */
static void versions_of(struct apply *apply, enum content_kind kind, const char *base,
                        struct content **ret, size_t *ret_n)
{
    struct content *all;
    size_t n;
    size_t kept = 0;
    store_list(apply->store, TABLE_CONTENT, BY_NONE, 0, &all, &n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].kind == kind && str_equal(all[i].base, base)) {
            struct content found = all[i];
            all[i] = (struct content){0};
            all[kept++] = found;
        } else {
            record_release(&content_type, &all[i]);
        }
    }
    *ret = all; /* rows come by id, and so by version */
    *ret_n = kept;
}

static bool refers(const struct content_ref *refs, size_t n, const char *source)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(refs[i].source, source))
            return true;
    return false;
}

static bool spec_has(const struct spec *spec, enum content_kind kind, const char *source)
{
    return kind == CONTENT_CONFIG ? refers(spec->configs, spec->configs_n, source)
                                  : refers(spec->secrets, spec->secrets_n, source);
}

/* Who has a version, among @services and their kept revisions: "app.web" as a new string, or NULL.
 */
static char *user_of(struct apply *apply, const struct service *services, size_t n,
                     const struct content *content)
{
    cleanup_free char *source = content_source(content);
    char *user = NULL;
    for (size_t i = 0; i < n && !user; i++) {
        struct revision *revisions;
        size_t revisions_n;
        bool has = spec_has(&services[i].spec, content->kind, source);
        store_list(apply->store, TABLE_REVISION, BY_SERVICE_ID, services[i].id, &revisions,
                   &revisions_n);
        for (size_t k = 0; k < revisions_n && !has; k++)
            has = spec_has(&revisions[k].spec, content->kind, source);
        record_free_list(&revision_type, revisions, revisions_n);
        if (has)
            user = service_title(&services[i]);
    }
    return user;
}

void contents_collect(struct apply *apply, const char *stack_name)
{
    struct content *contents;
    struct service *services = NULL;
    size_t n;
    size_t services_n = 0;
    struct stack stack;
    if (store_count(apply->store, TABLE_CONTENT) == 0)
        return;
    if (store_find(apply->store, TABLE_STACK, stack_name, &stack) == 0) {
        store_list(apply->store, TABLE_SERVICE, BY_STACK_ID, stack.id, &services, &services_n);
        record_release(&stack_type, &stack);
    }
    store_list(apply->store, TABLE_CONTENT, BY_NONE, 0, &contents, &n);
    for (size_t i = 0; i < n; i++) {
        if (!str_equal(contents[i].stack, stack_name))
            continue;
        cleanup_free char *user = user_of(apply, services, services_n, &contents[i]);
        if (!user)
            apply_delete(apply, TABLE_CONTENT, contents[i].id);
    }
    record_free_list(&content_type, contents, n);
    record_free_list(&service_type, services, services_n);
}

/* --- what a spec has ----------------------------------------------------------------------- */

static int check_refs(struct apply *apply, const struct content_ref *refs, size_t n,
                      enum content_kind kind, const char *stack, const char *object,
                      struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *name = content_row_name(kind, refs[i].source);
        struct content content;
        if (store_find(apply->store, TABLE_CONTENT, name, &content) < 0)
            return err_set(err, ERR_CONFLICT, "%s: %s does not exist (any more)", object, name);
        bool foreign = *str_or_empty(content.stack) && !str_equal(content.stack, stack);
        record_release(&content_type, &content);
        if (foreign)
            return err_set(err, ERR_DENIED, "%s: %s belongs to another stack", object, name);
    }
    return 0;
}

int contents_check(struct apply *apply, const struct spec *spec, const char *stack,
                   const char *object, struct err *err)
{
    int rv = check_refs(apply, spec->configs, spec->configs_n, CONTENT_CONFIG, stack, object, err);
    return rv < 0 ? rv
                  : check_refs(apply, spec->secrets, spec->secrets_n, CONTENT_SECRET, stack, object,
                               err);
}

/* --- another version ----------------------------------------------------------------------- */

static int check_content(struct apply *apply, const struct content *content, struct err *err)
{
    const char *base = str_or_empty(content->base);
    bool secret = content->kind == CONTENT_SECRET;
    size_t most = secret ? CONTENT_SEALED_MAX : CONTENT_BYTES_MAX;
    if (!content_name_is_valid(base))
        return err_set(
            err, ERR_INVALID,
            "'%.120s' is no name for a %s: letters, digits, '_', '.' and '-', at most %d", base,
            content_kind_names[content->kind], CONTENT_NAME_MAX);
    if (content->data.len > most || content->size < 0 || content->size > CONTENT_BYTES_MAX)
        return err_set(err, ERR_TOOBIG, "%s %s is larger than %d bytes",
                       content_kind_names[content->kind], base, CONTENT_BYTES_MAX);
    if (store_count(apply->store, TABLE_CONTENT) >= CONTENTS_MAX)
        return err_set(err, ERR_TOOBIG, "there are %d versions of configs and secrets already",
                       CONTENTS_MAX);
    struct cluster cluster;
    check(store_get(apply->store, TABLE_CLUSTER, 1, &cluster) == 0);
    int64_t generation = cluster.keys.generation;
    record_release(&cluster_type, &cluster);
    if (secret && (content->key.generation != generation || content->key.data.len == 0))
        return err_set(err, ERR_CONFLICT, "the cluster key was changed meanwhile; try again");
    return 0;
}

/* Services that have the version before of what was made by hand get the new one. */
static void roll(struct apply *apply, const char *from, const char *to, enum content_kind kind)
{
    struct service *services;
    size_t n;
    store_list(apply->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n; i++) {
        struct spec spec;
        if (services[i].removed || !spec_has(&services[i].spec, kind, from))
            continue;
        record_copy(&spec_type, &services[i].spec, &spec);
        struct content_ref *refs = kind == CONTENT_CONFIG ? spec.configs : spec.secrets;
        size_t refs_n = kind == CONTENT_CONFIG ? spec.configs_n : spec.secrets_n;
        for (size_t k = 0; k < refs_n; k++)
            if (str_equal(refs[k].source, from)) {
                free(refs[k].source);
                refs[k].source = str_copy(to);
            }
        cleanup_free char *cause = str_printf("%s changed", content_kind_names[kind]);
        service_revise(apply, &services[i], &spec, cause);
        record_release(&spec_type, &spec);
    }
    record_free_list(&service_type, services, n);
}

/* Versions of what was made by hand that nobody has, but for the newest. */
static void collect_by_hand(struct apply *apply, struct content *versions, size_t n)
{
    struct service *services;
    size_t services_n;
    store_list(apply->store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    for (size_t i = 0; i + 1 < n; i++) {
        cleanup_free char *user = user_of(apply, services, services_n, &versions[i]);
        if (!user)
            apply_delete(apply, TABLE_CONTENT, versions[i].id);
    }
    record_free_list(&service_type, services, services_n);
}

static int add_version(struct apply *apply, const struct content *given, struct content *versions,
                       size_t n, struct err *err)
{
    const char *word = content_kind_names[given->kind];
    int64_t newest = n > 0 ? versions[n - 1].version : 0;
    if (n > 0 && !str_equal(versions[n - 1].stack, given->stack))
        return err_set(err, ERR_EXISTS, "%s %s %s; call one of them otherwise", word, given->base,
                       *str_or_empty(versions[n - 1].stack) ? "belongs to another stack"
                                                            : "was made by hand");
    if (given->version <= newest || (newest > 0 && given->version != newest + 1))
        return err_set(err, ERR_CONFLICT, "%s %s was changed meanwhile; try again", word,
                       given->base);
    struct content content = *given; /* borrowed */
    content.id = apply->made = apply_next_id(apply);
    content.created_ms = apply->now_ms;
    content.created_index = 0;
    apply_put(apply, TABLE_CONTENT, &content);
    if (*str_or_empty(given->stack))
        return 0;
    apply_event(apply, word, given->base, "%s, version %" PRId64, n > 0 ? "changed" : "created",
                given->version);
    if (n > 0) {
        cleanup_free char *from = content_source(&versions[n - 1]);
        cleanup_free char *to = content_source(&content);
        roll(apply, from, to, given->kind);
    }
    collect_by_hand(apply, versions, n);
    return 0;
}

int apply_content_add(struct apply *apply, const struct change_content_add *change, struct err *err)
{
    const struct content *content = &change->content;
    struct content *versions;
    size_t n;
    int rv = check_content(apply, content, err);
    if (rv < 0)
        return rv;
    versions_of(apply, content->kind, str_or_empty(content->base), &versions, &n);
    rv = add_version(apply, content, versions, n, err);
    record_free_list(&content_type, versions, n);
    return rv;
}

/* --- removed ------------------------------------------------------------------------------- */

static int remove_versions(struct apply *apply, const char *word, const char *base,
                           struct content *versions, size_t n, struct err *err)
{
    struct service *services;
    size_t services_n;
    int rv = 0;
    if (n == 0)
        return err_set(err, ERR_NOTFOUND, "there is no %s %.120s", word, base);
    if (*str_or_empty(versions[0].stack))
        return err_set(err, ERR_DENIED, "%s %s belongs to stack %s and goes with it", word, base,
                       versions[0].stack);
    store_list(apply->store, TABLE_SERVICE, BY_NONE, 0, &services, &services_n);
    for (size_t i = 0; i < n && rv == 0; i++) {
        cleanup_free char *source = content_source(&versions[i]);
        for (size_t k = 0; k < services_n && rv == 0; k++)
            if (spec_has(&services[k].spec, versions[i].kind, source))
                rv = err_set(err, ERR_CONFLICT, "%s %s is in use by %s.%s", word, base,
                             services[k].stack, services[k].name);
    }
    record_free_list(&service_type, services, services_n);
    for (size_t i = 0; i < n && rv == 0; i++)
        apply_delete(apply, TABLE_CONTENT, versions[i].id);
    if (rv == 0)
        apply_event(apply, word, base, "removed");
    return rv;
}

int apply_content_remove(struct apply *apply, const struct change_content_remove *change,
                         struct err *err)
{
    struct content *versions;
    size_t n;
    const char *base = str_or_empty(change->base);
    versions_of(apply, change->kind, base, &versions, &n);
    int rv = remove_versions(apply, content_kind_names[change->kind], base, versions, n, err);
    record_free_list(&content_type, versions, n);
    return rv;
}

/* --- another cluster key ------------------------------------------------------------------- */

int contents_reseal(struct apply *apply, const struct content_key *keys, size_t n,
                    int64_t generation, struct err *err)
{
    struct content *contents;
    size_t contents_n;
    int rv = 0;
    store_list(apply->store, TABLE_CONTENT, BY_NONE, 0, &contents, &contents_n);
    for (size_t i = 0; i < contents_n && rv == 0; i++) {
        const struct content_key *by = NULL;
        if (contents[i].key.data.len == 0)
            continue;
        for (size_t k = 0; k < n && !by; k++)
            if (keys[k].content_id == contents[i].id)
                by = &keys[k];
        if (!by || by->key.generation != generation || by->key.data.len == 0 ||
            by->key.data.len > 256) {
            rv = err_set(err, ERR_CONFLICT, "secret %s was changed meanwhile; try again",
                         contents[i].base);
            break;
        }
        contents[i].key.generation = generation;
        bytes_set(&contents[i].key.data, by->key.data.data, by->key.data.len);
        apply_put(apply, TABLE_CONTENT, &contents[i]);
    }
    record_free_list(&content_type, contents, contents_n);
    return rv;
}
