/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry says about credentials: WWW-Authenticate headers, tokens and errors. The first
 * byte chooses.
 */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/auth.h"
#include "runtime/fetch/http_words.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    check(strlen(text) < max);
    for (; *text; text++)
        check((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void challenge(const char *text)
{
    struct auth_challenge c;
    struct err err;
    if (auth_challenge_parse(text, &c, &err) < 0)
        return;
    check(c.scheme == AUTH_BASIC || (c.scheme == AUTH_BEARER && c.realm[0]));
    check_text(c.realm, sizeof(c.realm));
    check_text(c.service, sizeof(c.service));
    check_text(c.scope, sizeof(c.scope));
}

static void token(const char *text, size_t len)
{
    struct auth_token t;
    struct err err;
    if (auth_token_parse(text, len, &t, &err) < 0)
        return;
    check(t.token[0] && t.expires_s >= AUTH_EXPIRES_MIN_S);
    check_text(t.token, AUTH_TOKEN_MAX + 1);
    auth_token_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char words[64];
    if (size == 0)
        return 0;
    char *text = mem_alloc(1, size);
    memcpy(text, data + 1, size - 1);
    if (data[0] % 3 == 0)
        challenge(text);
    else if (data[0] % 3 == 1)
        token(text, size - 1);
    else
        http_words(text, size - 1, words, sizeof(words));
    if (data[0] % 3 == 2)
        check_text(words, sizeof(words));
    free(text);
    return 0;
}
