/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hand - services stopped and started by hand.
 */
#ifndef WHERRY_CLI_HAND_H
#define WHERRY_CLI_HAND_H

#include <stddef.h>
#include <stdint.h>

struct cli;
struct err;

/* "stop" or "start" services ("stack.service") and wait until it is so; @timeout_ms 0: 5 minutes.
 */
int hand_services(struct cli *cli, const char *action, char **services, size_t n,
                  int64_t timeout_ms, struct err *err);

#endif
