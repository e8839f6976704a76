/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin_rules - which bits a service is to run, and who is asked for them.
 *
 * A tag may be moved at any time, so each deploy makes of the image's name, once for all replicas,
 * a digest (spec.image_digest):
 *
 *     image: web@sha256:…          is one already
 *     same image as deployed       what was deployed stays, whatever the registry has by now
 *     pull_policy missing          what the members have under that name, for it was loaded or
 *                                  pulled there by hand; else the registry's
 *     always, or deploy --pull     the registry's; else what the members have, with a warning
 *     never                        what the members have
 *
 * When nobody knew, the digest is empty, with a warning: each node then finds out by itself. When
 * the registry says that there is no such image, or not for us, and no member has it, the deploy is
 * refused.
 *
 * What a member has is one manifest, of its own architecture; what a registry says is good for all.
 * So the former counts only while all members that run tasks have one architecture.
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_NODE_PIN_RULES_H
#define WHERRY_NODE_PIN_RULES_H

#include "store/model.h"

#include <stdbool.h>

struct err;

enum pin_way {
    PIN_STAYS,          /* nobody is asked: the digest is given, or that of the deployed service */
    PIN_MEMBERS,        /* the members' own, nothing else */
    PIN_MEMBERS_FIRST,  /* … else the registry's */
    PIN_REGISTRY_FIRST, /* the registry's, else the members' */
};

/* What is to be done for @wanted. @deployed is the spec of the service as it runs, NULL for a new
 * one. @pull: the deploy is to ask anew. *@ret_digest gets the digest that stays, which the caller
 * frees: "" when the deployed service has none, NULL when the name says it or it is to be found
 * out. */
enum pin_way pin_decide(const struct spec *wanted, const struct spec *deployed, bool pull,
                        char **ret_digest);

/* What was found out about an image. */
struct pin_found {
    char members[72];    /* digest that the members have; "" */
    char registry[72];   /* digest that the registry said; "" */
    struct err *refusal; /* why it did not; NULL when it was not asked */
};

/* The outcome for an image: its digest in @ret_digest ("" for none) and 0; or ERR_DENIED or
 * ERR_NOTFOUND with the registry's words when the deploy is to be refused. *@ret_warning gets what
 * people should know, which the caller frees, NULL for nothing. */
int pin_conclude(const char *image, enum pin_way way, const struct pin_found *found,
                 char ret_digest[72], char **ret_warning, struct err *err);

/* "docker.io/library/web@sha256:…" of an image and a digest. The caller frees it. ERR_INVALID: it
 * is no name of an image. */
int pin_name(const char *image, const char *digest, char **ret_name, struct err *err);

/* "sha256:0123456789ab…" of "NAME@DIGEST" or a digest, for people, in @out. */
void pin_short(const char *digest, char out[32]);

/* True when all of the @n members that run tasks are of the architecture @arch. */
bool pin_arch_is_one(const struct node *nodes, size_t n, const char *arch);

#endif
