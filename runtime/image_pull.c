/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_pull - an image from wherever it is.
 *
 *     by tag      the registry says what it stands for; blobs come from peers that have them or are
 *                 getting them, else from the registry
 *     by digest   the same without a word of the registry, as far as peers have it
 *     otherwise   when the registry fails: what peers have by that name or digest
 */
#include "runtime/image.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/image_fetch.h"
#include "runtime/image_peers.h"
#include "runtime/index.h"
#include "runtime/internal.h"
#include "runtime/platform.h"
#include "runtime/registry_settings.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_MAX = 16, /* peers that promised a blob may fail */
};

struct pull {
    struct image_fetch fetch;
    struct image_supply supply;
    struct image_ref ref;
    struct image_platform platform;
    const char *name; /* normalized */
    const struct image_pull_options *options;
    struct image_listener listener;
    char manifest[IMAGE_DIGEST_SIZE]; /* "": not known yet */
};

/* Have the registry give what it is asked for (image_supply_have). Asked again, it is for the same
 * bits, whatever the tag stands for meanwhile. */
static int ask_registry(struct pull *p, struct err *err)
{
    struct image_fetch *f = &p->fetch;
    struct image_ref ref = p->ref;
    cleanup_close int settings_fd = -1;
    struct registry_wish wish = {.registry = ref.registry,
                                 .platform = p->options->platform,
                                 .plain_http = p->options->plain_http,
                                 .mirrors = true};
    if (f->n == 1) {
        ref.tag[0] = '\0';
        str_fill(ref.digest, sizeof(ref.digest), p->manifest);
    }
    image_fetch_release(f);
    cleanup_free char *name = image_ref_format(&ref);
    int rv = registry_settings(f->rt, &wish, &settings_fd, err);
    if (rv < 0 || (rv = image_fetch_run(f, "pull", name, settings_fd, &p->listener, err)) < 0)
        return rv;
    if (f->n != 1)
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    str_fill(p->manifest, sizeof(p->manifest), f->images[0].digest);
    return 0;
}

/* Get all blobs, each from where it is. */
static int gather(struct pull *p, struct err *err)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int rv = 0;
        if (!p->manifest[0] || image_supply_missing(&p->supply) > 0)
            rv = ask_registry(p, err);
        if (rv == 0)
            rv = image_supply_fetch(&p->supply, false, err);
        if (rv < 0 || image_supply_missing(&p->supply) == 0)
            return rv;
    }
    return err_set(err, ERR_UNAVAILABLE, "other members began to fetch it and did not end");
}

/* Find out what peers have for it, and get that. */
static int take_from_peers(struct pull *p, struct err *err)
{
    struct image_supply *s = &p->supply;
    char digest[IMAGE_DIGEST_SIZE];
    str_fill(digest, sizeof(digest), p->ref.digest);
    int rv = 0;
    if (!p->manifest[0]) {
        if (!digest[0])
            rv = image_supply_resolve(s, p->name, digest, err);
        if (rv == 0)
            rv = image_supply_manifest(s, digest, &p->platform, p->manifest, err);
    }
    if (rv == 0)
        rv = image_supply_fetch(s, true, err);
    if (rv == 0 && image_supply_missing(s) > 0)
        return err_set(err, ERR_NOTFOUND, "no other member has all of it");
    return rv;
}

/* The registry failed with @err: what peers have is as good. */
static int gather_from_peers(struct pull *p, struct err *err)
{
    struct image_listener listener = p->listener;
    cleanup_free char *label = str_printf("%.60s (without its registry)", listener.label);
    struct err why = {0};
    listener.label = label;
    if (!p->manifest[0]) { /* what it began with may be other bits than peers have */
        image_supply_release(&p->supply);
        image_supply_init(&p->supply, p->fetch.rt, &listener);
    }
    p->supply.listener = &listener;
    int rv = take_from_peers(p, &why);
    p->supply.listener = &p->listener;
    if (rv == 0) {
        log_info("image", "%.100s came from other members, its registry did not give it: %s",
                 p->name, err->msg);
        return 0;
    }
    if (rv == ERR_CANCELED || rv == ERR_NOSPACE)
        *err = why;
    else if (rv != ERR_NOTFOUND)
        log_info("image", "%.100s does not come from other members: %s", p->name, why.msg);
    return err->code;
}

/* True when peers may stand in for a registry that said @code. */
static bool registry_failed(const struct pull *p, int code)
{
    struct index_image row;
    if (code == ERR_CANCELED || code == ERR_NOSPACE || code == ERR_INTERNAL)
        return false;
    if (p->ref.digest[0] || p->manifest[0])
        return true;
    /* Whoever has the name here asks what it stands for now. */
    if (index_name_find(p->fetch.rt->index, p->name, &row, NULL) < 0)
        return true;
    free(row.name);
    return false;
}

static int pull(struct pull *p, struct err *err)
{
    bool peers_only = p->options->peers_only;
    struct err why = {0};
    int rv = 0;
    if (p->ref.digest[0])
        image_supply_manifest(&p->supply, p->ref.digest, &p->platform, p->manifest, NULL);
    if (peers_only)
        rv = err_set(&why, ERR_NOTFOUND,
                     "no member has it, and no registry is to be asked: load it on one of them "
                     "('wherry image load')");
    else
        rv = gather(p, &why);
    if (rv < 0 && (peers_only || registry_failed(p, rv)))
        rv = gather_from_peers(p, &why);
    if (rv == 0)
        rv = image_fetch_install(p->fetch.rt, p->manifest, p->name, &p->platform, &p->listener,
                                 &why);
    if (rv < 0 && err)
        *err = why;
    return rv;
}

static int pull_once(struct pull *p, struct err *err)
{
    struct runtime *rt = p->fetch.rt;
    int rv = image_store_fetch_begin(rt, &p->listener, err);
    if (rv < 0)
        return rv;
    image_supply_init(&p->supply, rt, &p->listener);
    p->fetch.supply = &p->supply;
    p->manifest[0] = '\0';
    rv = pull(p, err);
    image_supply_release(&p->supply);
    image_store_fetch_end(rt);
    image_fetch_release(&p->fetch);
    return rv;
}

int image_pull_with(struct runtime *rt, const char *ref, const struct image_pull_options *options,
                    struct err *err)
{
    cleanup_free char *ingest = str_printf("%s/images/ingest/pull", rt->data_dir);
    struct pull p = {
        .fetch = {.rt = rt, .ingest = ingest},
        .options = options,
        .listener = {.label = ref, .progress = options->progress, .arg = options->arg}};
    int rv = image_ref_parse(ref, &p.ref, err);
    if (rv < 0 || (rv = image_platform_parse(options->platform, &p.platform, err)) < 0)
        return rv;
    if (p.ref.digest[0]) /* the tag says nothing more */
        p.ref.tag[0] = '\0';
    cleanup_free char *name = image_ref_format(&p.ref);
    p.name = name;
    rv = pull_once(&p, err);
    if (image_made_room(rt, rv))
        rv = pull_once(&p, err);
    return rv < 0 ? err_wrap(err, "pull %.100s", ref) : 0;
}

int image_pull(struct runtime *rt, const char *ref, const char *const *plain_http,
               image_progress_cb progress, void *arg, struct err *err)
{
    struct image_pull_options options = {
        .plain_http = plain_http, .progress = progress, .arg = arg};
    return image_pull_with(rt, ref, &options, err);
}
