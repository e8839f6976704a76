/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8 - is it text?
 */
#ifndef WHERRY_CLI_UTF8_H
#define WHERRY_CLI_UTF8_H

#include <stddef.h>

/* Length of the UTF-8 sequence (RFC 3629) that starts the @left bytes at @text, at least one; 0
 * when they start none. */
size_t utf8_length(const char *text, size_t left);

#endif
