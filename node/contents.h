/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contents - configs and secrets on their way: from a deploy into the state, and from there into a
 * container's files.
 *
 * A secret is sealed by a key of its own, and that by the cluster key (cluster/seal.h): a change of
 * the cluster key seals small keys anew, not what they protect. What a version is bound to, "kind
 * name@version", is authenticated with it.
 *
 * A deploy comes with what its file says, by name. contents_resolve() compares that with the newest
 * version there is, so that only another content is another version, and writes into the specs
 * which version they have.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_CONTENTS_H
#define WHERRY_NODE_CONTENTS_H

#include "base/buf.h"
#include "cluster/api.h"
#include "cluster/seal.h"
#include "store/store.h"

struct daemon;

/* The versions that a deploy adds, in the order in which they must be proposed. */
struct content_adds {
    struct change_content_add *changes;
    size_t n;
};
void content_adds_release(struct content_adds *adds);
#define cleanup_content_adds __attribute__((cleanup(content_adds_release)))

/* Seal what @content (a secret; base and version are given) has in data, by a new key. */
void content_seal(const struct seal_key *key, struct content *content);

/* Append what is in @content to @out, which the caller wipes. @key: the cluster's, of a secret.
 * ERR_UNAVAILABLE: it came from a backup without its content; ERR_DENIED: another key sealed it. */
int content_open(const struct seal_key *key, const struct content *content, struct buf *out,
                 struct err *err);

/* The newest version of a name. ERR_NOTFOUND. */
int content_newest(struct store *store, enum content_kind kind, const char *base,
                   struct content *ret, struct err *err);

/* Make @ret_add of what @given says (kind, base, data, labels) for @stack ("": by hand), the
 * version after the newest. @ret_same is true when the newest is just that; then there is nothing
 * to add.
 */
int content_next(struct daemon *d, const struct content *given, const char *stack,
                 struct change_content_add *ret_add, bool *ret_same, struct err *err);

/* Write into the specs of @request which versions they have, and into @ret_adds those that have to
 * be added first. ERR_NOTFOUND names what is nowhere. Nothing is owned after a failure. */
int contents_resolve(struct daemon *d, struct deploy_request *request,
                     struct content_adds *ret_adds, struct err *err);

/* The files of a task: what is in each of its configs, then of its secrets. */
struct content_files {
    struct content_file {
        struct buf data;
        uint32_t uid, gid, mode;
    } * files;
    size_t n;
};

/* Read and open what @spec has. ERR_UNAVAILABLE: a secret cannot be opened here now, and why. Wipe
 * with content_files_release(), also after a failure. */
int contents_of(struct daemon *d, const struct spec *spec, struct content_files *ret,
                struct err *err);
void content_files_release(struct content_files *files);

/* Seal the keys of all secrets anew, from @now to @fresh, into @change. */
int contents_reseal_keys(struct store *store, const struct seal_key *now,
                         const struct seal_key *fresh, struct change_key_set *change,
                         struct err *err);

#endif
