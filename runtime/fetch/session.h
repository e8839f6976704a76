/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - what the threads of this process share about one endpoint: how they authorize.
 *
 *     session_authorization(s)     what to send now; NULL before anybody asked for credentials
 *     session_renew(s, ...)        after an answer 401: credentials or a token for what it asks
 *
 * Credentials go to the endpoint itself and to the token service that it names, to the latter over
 * TLS unless the endpoint is plain HTTP too. Any thread; a renewal by one serves all.
 */
#ifndef WHERRY_RUNTIME_FETCH_SESSION_H
#define WHERRY_RUNTIME_FETCH_SESSION_H

struct endpoint;
struct err;
struct http;
struct http_answer;
struct session;

/* For @endpoint (borrowed) and the @scope of its tokens: "repository:team/app:pull", several
 * separated by spaces; "" for none. Never NULL. */
struct session *session_new(const struct endpoint *endpoint, const char *scope);

/* Free, overwriting secrets. NULL is fine. */
void session_free(struct session *session);

/* The value of the Authorization header to send now, or NULL; auth_wipe() frees it. A token that
 * is about to expire is renewed first, over @http; when that fails the old one is given. */
char *session_authorization(struct session *session, struct http *http);

/* The answer to a request with @sent (may be NULL) was 401: get what its challenge asks for. 0 when
 * another try makes sense. ERR_DENIED when there is nothing (else) to offer or the token service
 * refuses, with its words; other codes as of http_perform. */
int session_renew(struct session *session, struct http *http, const char *sent,
                  const struct http_answer *answer, struct err *err);

#endif
