/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry - one call of a command, tried again when its answer is lost.
 *
 * What only reads is asked again. A change that carries a request id is asked for again with the
 * same id and the index at which it began: what was done is answered then, not done twice. Either
 * through a new connection, which may lead to another member. Other calls are made once. When a
 * change's answer stays lost the error is ERR_UNKNOWN and says so.
 */
#ifndef WHERRY_CLI_RETRY_H
#define WHERRY_CLI_RETRY_H

#include <stdint.h>

struct cli;
struct err;
struct record_type;

enum {
    RETRIES_MAX = 4, /* after the first try */
};

/* What may be done when the answer to @verb is lost. */
enum retry_kind {
    RETRY_NEVER, /* it makes something anew each time, or is not about the state */
    RETRY_READ,
    RETRY_CHANGE,
};
enum retry_kind retry_kind_of(const char *verb);

/* Call through cli->client, connecting as needed, until there is an answer, @timeout_ms are over or
 * it was tried often enough. */
int retry_call(struct cli *cli, const char *verb, const struct record_type *request_type,
               const void *request, const struct record_type *reply_type, void *ret_reply,
               int64_t timeout_ms, struct err *err);

#endif
