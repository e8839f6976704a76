/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_words - what an error's body says, for people.
 */
#ifndef WHERRY_RUNTIME_FETCH_HTTP_WORDS_H
#define WHERRY_RUNTIME_FETCH_HTTP_WORDS_H

#include <stddef.h>

/* Write the words of an error's @body to @words: the first message (or code) of the list that the
 * OCI distribution specification ("Error codes") describes, what a token service calls "details",
 * "message" or "error_description", or the first line of a short plain text; "" when there are
 * none. Only printable ASCII passes. @body may be NULL. */
void http_words(const char *body, size_t len, char *words, size_t size);

#endif
