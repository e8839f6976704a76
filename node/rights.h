/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rights - who calls, and what he may do.
 *
 * A caller is either the machine itself (its own socket, or a member that speaks for its own) and
 * may do everything, or whoever holds a call token, and may do what its role and scope say. The
 * rights are looked at twice: when a member takes a call, by its verb, and where a change is
 * proposed to raft, by the change; so a member that a call passed through gains nothing by it.
 *
 *     role       may
 *     viewer     read
 *     deployer   also deploy, scale and remove stacks, and work with images
 *     admin      also the rest
 *
 * A token that is for some stacks only sees no others: what it asks for of them is not there. Bind
 * mounts reach everything on a machine, its keys too, and so do some options of containers
 * (privilege.h): only an admin deploys them.
 *
 * Pure functions of their arguments and the store. Loop thread.
 */
#ifndef WHERRY_NODE_RIGHTS_H
#define WHERRY_NODE_RIGHTS_H

#include "store/store.h"

struct verb;

struct caller {
    bool trusted;       /* the machine's own; else: */
    char *secret;       /* the token as it was shown, to be shown again where the call is served */
    struct token token; /* its row */
};

/* Free what it owns. */
void caller_release(struct caller *caller);

/* A copy, which owns what it has. */
void caller_copy(const struct caller *from, struct caller *to);

/* How events and lists call it: "token ci", "token 12"; "" for the machine itself. Written to @out.
 */
void caller_title(const struct caller *caller, char *out, size_t size);

/* True when it may know of @stack. */
bool caller_sees(const struct caller *caller, const char *stack);

/* Fill @ret_caller from the @text of a call token. @now_ms is wall time; a token is over when that
 * or the state's time is past its end. ERR_INVALID: it is no token, ERR_DENIED: it is not known
 * here, or not good for calls. */
int caller_from_token(struct store *store, const char *text, int64_t now_ms,
                      struct caller *ret_caller, struct err *err);

/* True when the row that @caller was made from is still as it was, and not over. */
bool caller_is_valid(struct store *store, const struct caller *caller, int64_t now_ms);

/* True when the end of @token has come, by @now_ms or by the state's time. */
bool caller_token_is_over(struct store *store, const struct token *token, int64_t now_ms);

/* May it call @verb? ERR_DENIED says which role it takes. */
int rights_check_verb(const struct caller *caller, const struct verb *verb, struct err *err);

/* May it have this change made? ERR_DENIED says why not; ERR_NOTFOUND: it is about a stack that is
 * not there for it. */
int rights_check_change(struct store *store, const struct caller *caller, int kind,
                        const void *body, struct err *err);

/* May it run commands in, and attach to, a container of @spec? A deployer may, where it is no more
 * than a deployer could have deployed: going into a container with the machine's folders, devices
 * or namespaces is to be on the machine. @privileged: with all capabilities, which takes an admin.
 */
int rights_check_enter(const struct caller *caller, const struct spec *spec, bool privileged,
                       struct err *err);

#endif
