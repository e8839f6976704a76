/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain - see a member emptied.
 */
#ifndef WHERRY_CLI_DRAIN_H
#define WHERRY_CLI_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct cli;
struct err;

enum {
    DRAIN_TIMEOUT_MS = 300000, /* unless another is given */
};

/* Set member @name to drain, after asking if tasks of it have nowhere to go (@yes: without asking).
 */
int drain_begin(struct cli *cli, const char *name, bool yes, struct err *err);

/* As drain_begin(), and show how it goes until nothing is left on it. ERR_TIMEOUT after
 * @timeout_ms, with what is left and why; it goes on then. */
int drain_node(struct cli *cli, const char *name, bool yes, int64_t timeout_ms, struct err *err);

#endif
