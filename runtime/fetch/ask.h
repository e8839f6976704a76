/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - what a registry answers without anything being fetched.
 */
#ifndef WHERRY_RUNTIME_FETCH_ASK_H
#define WHERRY_RUNTIME_FETCH_ASK_H

#include <stdint.h>

struct err;
struct settings;

/* Report the digest that the image @name (normalized, with a tag) has now. */
int ask_digest(const struct settings *settings, const char *name, int folder_fd, int64_t max_bytes,
               struct err *err);

/* Ask the registry @name whether it lets us in. */
int ask_entry(const struct settings *settings, const char *name, int folder_fd, int64_t max_bytes,
              struct err *err);

#endif
