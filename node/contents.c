/* SPDX-License-Identifier: Apache-2.0 */
#include "node/contents.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/daemon.h"
#include "node/keys.h"
#include "store/level.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum {
    MODE_DEFAULT = 0444,
};

void content_adds_release(struct content_adds *adds)
{
    for (size_t i = 0; i < adds->n; i++)
        record_release(&change_content_add_type, &adds->changes[i]);
    free(adds->changes);
    *adds = (struct content_adds){0};
}

/* --- sealed and opened ------------------------------------------------------------------------ */

void content_seal(const struct seal_key *key, struct content *content)
{
    cleanup_free char *name = content_source(content);
    struct seal_key own;
    struct sealed sealed = {0};
    seal_key_new(0, &own);
    seal_close(&own, "secret", name, content->data.data, content->data.len, &sealed);
    if (content->data.len > 0)
        OPENSSL_cleanse(content->data.data, content->data.len);
    bytes_set(&content->data, sealed.data.data, sealed.data.len);
    seal_close(key, "secret key", name, own.bytes, sizeof(own.bytes), &content->key);
    seal_key_wipe(&own);
    record_release(&sealed_type, &sealed);
}

static int open_key(const struct seal_key *key, const struct content *content, struct seal_key *ret,
                    struct err *err)
{
    cleanup_free char *name = content_source(content);
    cleanup_secret struct buf opened = BUF_INIT;
    int rv = seal_open(key, "secret key", name, &content->key, &opened, err);
    if (rv == 0 && opened.len != sizeof(ret->bytes))
        rv = err_set(err, ERR_CORRUPT, "its key has %zu bytes", opened.len);
    if (rv < 0)
        return rv;
    *ret = (struct seal_key){0};
    memcpy(ret->bytes, opened.data, sizeof(ret->bytes));
    return 0;
}

int content_open(const struct seal_key *key, const struct content *content, struct buf *out,
                 struct err *err)
{
    cleanup_free char *name = content_source(content);
    if (content->kind == CONTENT_CONFIG) {
        buf_append(out, content->data.data, content->data.len);
        return 0;
    }
    if (content->key.data.len == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "secret %s came from a backup, which has no secrets: set it again, 'wherry "
                       "secret update %s FILE' or by deploying its file",
                       content->base, content->base);
    struct seal_key own;
    struct sealed sealed = {.data = content->data}; /* borrowed */
    int rv = open_key(key, content, &own, err);
    if (rv == 0)
        rv = seal_open(&own, "secret", name, &sealed, out, err);
    seal_key_wipe(&own);
    return rv < 0 ? err_wrap(err, "secret %s cannot be opened", name) : 0;
}

int contents_reseal_keys(struct store *store, const struct seal_key *now,
                         const struct seal_key *fresh, struct change_key_set *change,
                         struct err *err)
{
    struct content *contents;
    size_t n;
    int rv = 0;
    store_list(store, TABLE_CONTENT, BY_NONE, 0, &contents, &n);
    change->contents = mem_alloc(n, sizeof(*change->contents));
    for (size_t i = 0; i < n && rv == 0; i++) {
        cleanup_free char *name = content_source(&contents[i]);
        struct seal_key own;
        if (contents[i].key.data.len == 0)
            continue;
        rv = open_key(now, &contents[i], &own, err);
        if (rv < 0) {
            err_wrap(err, "secret %s cannot be opened by the cluster key; remove it first", name);
            break;
        }
        struct content_key *to = &change->contents[change->contents_n++];
        to->content_id = contents[i].id;
        seal_close(fresh, "secret key", name, own.bytes, sizeof(own.bytes), &to->key);
        seal_key_wipe(&own);
    }
    record_free_list(&content_type, contents, n);
    return rv;
}

/* --- versions --------------------------------------------------------------------------------- */

int content_newest(struct store *store, enum content_kind kind, const char *base,
                   struct content *ret, struct err *err)
{
    struct content *contents;
    size_t n;
    struct content *found = NULL;
    store_list(store, TABLE_CONTENT, BY_NONE, 0, &contents, &n);
    for (size_t i = 0; i < n; i++)
        if (contents[i].kind == kind && str_equal(contents[i].base, base))
            found = &contents[i];
    if (found) {
        *ret = *found;
        *found = (struct content){0};
    }
    record_free_list(&content_type, contents, n);
    return found ? 0
                 : err_set(err, ERR_NOTFOUND, "there is no %s %.120s", content_kind_names[kind],
                           base);
}

static bool same_labels(const struct content *a, const struct content *b)
{
    bool same = a->labels_n == b->labels_n;
    for (size_t i = 0; i < a->labels_n && same; i++)
        same = record_equal(&pair_type, &a->labels[i], &b->labels[i]);
    return same;
}

/* What cannot be opened is not the same. */
static bool same_content(const struct seal_key *key, const struct content *newest,
                         const struct content *given)
{
    cleanup_secret struct buf opened = BUF_INIT;
    struct err err;
    return same_labels(newest, given) && content_open(key, newest, &opened, &err) == 0 &&
           opened.len == given->data.len &&
           (opened.len == 0 || memcmp(opened.data, given->data.data, opened.len) == 0);
}

int content_next(struct daemon *d, const struct content *given, const char *stack,
                 struct change_content_add *ret_add, bool *ret_same, struct err *err)
{
    struct content newest = {0};
    const struct seal_key *key = NULL;
    const char *base = str_or_empty(given->base);
    struct err none;
    *ret_add = (struct change_content_add){0};
    *ret_same = false;
    if (store_level(d->store) < 5)
        return err_set(err, ERR_UNAVAILABLE,
                       "configs and secrets need members that are all of this release: upgrade the "
                       "others first ('wherry node ls' shows versions)");
    if (given->data.len > CONTENT_BYTES_MAX)
        return err_set(err, ERR_TOOBIG, "%s %.100s is larger than %d bytes",
                       content_kind_names[given->kind], base, CONTENT_BYTES_MAX);
    if (given->kind == CONTENT_SECRET && keys_current(d->keys, &key, err) < 0)
        return err_wrap(err, "a secret cannot be sealed here");
    bool exists = content_newest(d->store, given->kind, base, &newest, &none) == 0;
    *ret_same = exists && str_equal(newest.stack, stack) && same_content(key, &newest, given);
    if (!*ret_same) {
        struct content *content = &ret_add->content;
        record_copy(&content_type, given, content);
        content->version = newest.version + 1;
        content->size = (int64_t)given->data.len;
        free(content->stack);
        content->stack = str_copy(stack);
        if (content->kind == CONTENT_SECRET)
            content_seal(key, content);
    }
    record_release(&content_type, &newest);
    return 0;
}

/* --- a deploy --------------------------------------------------------------------------------- */

static const struct content *find_given(const struct deploy_request *r, enum content_kind kind,
                                        const char *base)
{
    for (size_t i = 0; i < r->contents_n; i++)
        if (r->contents[i].kind == kind && str_equal(r->contents[i].base, base))
            return &r->contents[i];
    return NULL;
}

static struct content *find_add(struct content_adds *adds, enum content_kind kind, const char *base)
{
    for (size_t i = 0; i < adds->n; i++)
        if (adds->changes[i].content.kind == kind && str_equal(adds->changes[i].content.base, base))
            return &adds->changes[i].content;
    return NULL;
}

/* The version that @base stands for in this deploy, as a new string. */
static int version_of(struct daemon *d, const struct deploy_request *r, struct content_adds *adds,
                      enum content_kind kind, const char *base, char **ret, struct err *err)
{
    const struct content *given = find_given(r, kind, base);
    struct content *add = find_add(adds, kind, base);
    struct content newest = {0};
    bool same = false;
    if (!add && given) {
        struct change_content_add change;
        int rv = content_next(d, given, str_or_empty(r->name), &change, &same, err);
        if (rv < 0)
            return rv;
        if (!same) {
            adds->changes = mem_resize(adds->changes, adds->n + 1, sizeof(*adds->changes));
            adds->changes[adds->n++] = change;
            add = &adds->changes[adds->n - 1].content;
        }
    }
    if (add) {
        *ret = content_source(add);
        return 0;
    }
    if (content_newest(d->store, kind, base, &newest, err) < 0)
        return err_set(err, ERR_NOTFOUND,
                       "there is no %s %.100s: make it first, 'wherry %s create %.100s FILE'",
                       content_kind_names[kind], base, content_kind_names[kind], base);
    *ret = content_source(&newest);
    record_release(&content_type, &newest);
    return 0;
}

static int resolve_refs(struct daemon *d, const struct deploy_request *r, struct content_adds *adds,
                        enum content_kind kind, struct content_ref *refs, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        char *source = NULL;
        int rv = version_of(d, r, adds, kind, str_or_empty(refs[i].source), &source, err);
        if (rv < 0)
            return rv;
        free(refs[i].source);
        refs[i].source = source;
    }
    return 0;
}

int contents_resolve(struct daemon *d, struct deploy_request *request,
                     struct content_adds *ret_adds, struct err *err)
{
    struct content_adds adds = {0};
    int rv = 0;
    for (size_t i = 0; i < request->services_n && rv == 0; i++) {
        struct spec *spec = &request->services[i].spec;
        rv = resolve_refs(d, request, &adds, CONTENT_CONFIG, spec->configs, spec->configs_n, err);
        if (rv == 0)
            rv = resolve_refs(d, request, &adds, CONTENT_SECRET, spec->secrets, spec->secrets_n,
                              err);
        if (rv < 0)
            err_wrap(err, "service %.63s", str_or_empty(request->services[i].name));
    }
    if (rv < 0)
        content_adds_release(&adds);
    else
        *ret_adds = adds;
    return rv;
}

/* --- a task ----------------------------------------------------------------------------------- */

static int read_file(struct daemon *d, enum content_kind kind, const struct content_ref *ref,
                     struct content_file *to, struct err *err)
{
    cleanup_free char *name = content_row_name(kind, ref->source);
    const struct seal_key *key = NULL;
    struct content content;
    int rv = 0;
    to->uid = (uint32_t)atol(str_or_empty(ref->uid));
    to->gid = (uint32_t)atol(str_or_empty(ref->gid));
    to->mode = ref->mode ? (uint32_t)ref->mode : MODE_DEFAULT;
    if (store_find(d->store, TABLE_CONTENT, name, &content) < 0)
        return err_set(err, ERR_UNAVAILABLE, "%.130s is not there (any more)", name);
    if (kind == CONTENT_SECRET && content.key.data.len > 0)
        rv = keys_current(d->keys, &key, err);
    if (rv == 0)
        rv = content_open(key, &content, &to->data, err);
    record_release(&content_type, &content);
    return rv < 0 ? err_set(err, ERR_UNAVAILABLE, "%.200s", err->msg) : 0;
}

int contents_of(struct daemon *d, const struct spec *spec, struct content_files *ret,
                struct err *err)
{
    int rv = 0;
    *ret = (struct content_files){.n = spec->configs_n + spec->secrets_n};
    ret->files = mem_alloc(ret->n, sizeof(*ret->files));
    for (size_t i = 0; i < spec->configs_n && rv == 0; i++)
        rv = read_file(d, CONTENT_CONFIG, &spec->configs[i], &ret->files[i], err);
    for (size_t i = 0; i < spec->secrets_n && rv == 0; i++)
        rv = read_file(d, CONTENT_SECRET, &spec->secrets[i], &ret->files[spec->configs_n + i], err);
    return rv;
}

void content_files_release(struct content_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        seal_wipe(&files->files[i].data);
    free(files->files);
    *files = (struct content_files){0};
}
