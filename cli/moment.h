/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moment - points in time as people write them. Pure, but for the machine's time zone.
 */
#ifndef WHERRY_CLI_MOMENT_H
#define WHERRY_CLI_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/* "90s", "1h30m", "2d": so long before @now_ms; "2026-11-27", "2026-11-27T10:00" or "2026-11-27
 * 10:00:05" in this machine's zone, or with "Z" or "+01:00" (RFC 3339); "1764200000": seconds since
 * 1970. To *@ret_ms, wall clock. ERR_INVALID names @option. */
int moment_parse(const char *option, const char *text, int64_t now_ms, int64_t *ret_ms,
                 struct err *err);

#endif
