/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins - the digests of a deploy's images, by the rules of pin_rules.h.
 *
 *     pins_resolve ──► decide ──nothing to ask───────────────────────────────► done
 *                        └──► ASKING: a job for each image ──all answered────► conclude ──► done
 *                                         └── PINS_MS are over: what is known by then counts
 *
 * The jobs have threads of their own (resolve_jobs), a few at a time: a pull that takes minutes
 * holds up no deploy. A job that answers too late is thrown away. A registry that did not answer is
 * not asked again for a moment: a deploy is planned first, and would wait twice.
 *
 * Loop thread.
 */
#ifndef WHERRY_NODE_PINS_H
#define WHERRY_NODE_PINS_H

#include <stdbool.h>
#include <stddef.h>

struct daemon;
struct deploy_request;
struct err;

enum {
    PINS_MS = 10000, /* for all images of a deploy */
};

/* The end. err->code 0: every service of the request has its spec.image_digest, "" where nobody
 * knew; @warnings are for whoever deploys. Else the deploy is to be refused. All borrowed. */
typedef void (*pins_cb)(void *arg, const struct err *err, char *const *warnings, size_t n);

/* Fill the digests of @deploy, which stays the caller's and must stay until @cb, which comes once,
 * perhaps before this returns. @ask: registries may be asked; else only what the members have
 * counts, and nobody is refused. */
void pins_resolve(struct daemon *d, struct deploy_request *deploy, bool ask, pins_cb cb, void *arg);

#endif
