/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_call - what the files about registries share: a call that authorizes itself.
 */
#ifndef WHERRY_RUNTIME_FETCH_REGISTRY_CALL_H
#define WHERRY_RUNTIME_FETCH_REGISTRY_CALL_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct http_answer;
struct http_request;
struct registry;

/* Send @request to endpoint @at with its authorization, once more after an answer 401 when there
 * is something new to show, and follow the redirects of GET and HEAD. Its host, ca and
 * authorization are filled in here. 0 when an answer came, whatever its status. */
int registry_call(struct registry *r, size_t at, const struct http_request *request,
                  struct err *err);

/* True when endpoint @at is spoken to without TLS. */
bool registry_is_plain(const struct registry *r, size_t at);

/* The answer to the last call. Borrowed. */
const struct http_answer *registry_answer(const struct registry *r);

/* The error that the last answer's status is, in words about @what ("image", "blob of"). */
int registry_status_err(struct registry *r, size_t at, const char *what, struct err *err);

/* "https://HOST/v2/REPOSITORY/KIND/VERSION", which the caller frees. */
char *registry_url(const struct registry *r, size_t at, const char *kind, const char *version);

#endif
