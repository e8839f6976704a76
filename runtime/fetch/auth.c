/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/auth.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PARAMETERS_MAX = 64, /* of all challenges */
};

#define EXPIRES_MAX_S (365LL * 24 * 3600)

/* --- WWW-Authenticate ------------------------------------------------------------------------- */

/* tchar of RFC 9110, section 5.6.2 */
static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* token68 of RFC 9110, section 11.2, without the "=" at its end */
static bool is_token68(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~+/", c));
}

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t");
}

static const char *skip_token(const char *p)
{
    while (is_token(*p))
        p++;
    return p;
}

static int malformed(struct err *err)
{
    return err_set(err, ERR_CORRUPT,
                   "it asks for credentials in a way that does not follow RFC 9110");
}

/* The end of "=VALUE" at @p, whose text without quotes goes to @value. NULL when malformed or too
 * long. */
static const char *read_value(const char *p, char value[AUTH_VALUE_MAX])
{
    size_t n = 0;
    bool quoted = *p == '"';
    if (quoted)
        p++;
    else if (!is_token(*p))
        return NULL;
    while (quoted ? *p != '"' : is_token(*p)) {
        if (quoted && *p == '\\')
            p++;
        if ((unsigned char)*p < ' ' || *p == 0x7f || n + 1 >= AUTH_VALUE_MAX)
            return NULL;
        value[n++] = *p++;
    }
    value[n] = '\0';
    return quoted ? p + 1 : p;
}

/* True when "NAME =" is at @p: a parameter, no scheme. */
static bool at_parameter(const char *p)
{
    const char *end = skip_token(p);
    return end > p && *skip_space(end) == '=';
}

/* The end of a token68 that fills the place of parameters at @p, or NULL. */
static const char *skip_token68(const char *p)
{
    const char *end = p;
    while (is_token68(*end))
        end++;
    if (end == p)
        return NULL;
    end += strspn(end, "=");
    const char *next = skip_space(end);
    return *next == ',' || *next == '\0' ? end : NULL;
}

static void take_parameter(struct auth_challenge *c, const char *name, size_t len,
                           const char *value)
{
    const struct {
        const char *name;
        char *to;
    } known[] = {{"realm", c->realm}, {"service", c->service}, {"scope", c->scope}};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strlen(known[i].name) == len && strncasecmp(name, known[i].name, len) == 0)
            str_fill(known[i].to, AUTH_VALUE_MAX, value);
    }
}

/* Read what follows a scheme: parameters, a token68 or nothing. NULL when malformed. */
static const char *read_challenge(const char *p, struct auth_challenge *c, size_t *parameters)
{
    char value[AUTH_VALUE_MAX];
    const char *end = skip_token68(p);
    if (end)
        return end;
    while (at_parameter(p)) {
        const char *name = p;
        const char *name_end = skip_token(p);
        if (++*parameters > PARAMETERS_MAX)
            return NULL;
        p = read_value(skip_space(skip_space(name_end) + 1), value);
        if (!p)
            return NULL;
        take_parameter(c, name, (size_t)(name_end - name), value);
        const char *next = skip_space(p);
        if (*next != ',')
            return next;
        next += strspn(next, ", \t");
        if (!at_parameter(next))
            return p;
        p = next;
    }
    return p;
}

static bool scheme_is(const char *p, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(p, name, len) == 0;
}

int auth_challenge_parse(const char *header, struct auth_challenge *ret, struct err *err)
{
    struct auth_challenge best = {.scheme = AUTH_BASIC};
    bool found = false;
    size_t parameters = 0;
    if (strlen(header) >= AUTH_HEADER_MAX)
        return malformed(err);
    for (const char *p = header + strspn(header, ", \t"); *p; p += strspn(p, ", \t")) {
        struct auth_challenge c = {.scheme = AUTH_BASIC};
        const char *scheme = p;
        size_t len = (size_t)(skip_token(p) - p);
        p += len;
        if (len == 0 || (*p && *p != ',' && *p != ' ' && *p != '\t'))
            return malformed(err);
        p = skip_space(p);
        if (*p && *p != ',' && !(p = read_challenge(p, &c, &parameters)))
            return malformed(err);
        const char *next = skip_space(p);
        if (*next && *next != ',')
            return malformed(err);
        bool bearer = scheme_is(scheme, len, "Bearer");
        if (!bearer && !scheme_is(scheme, len, "Basic"))
            continue;
        c.scheme = bearer ? AUTH_BEARER : AUTH_BASIC;
        if (!found || (bearer && best.scheme == AUTH_BASIC))
            best = c;
        found = true;
    }
    if (!found)
        return err_set(err, ERR_UNSUPPORTED,
                       "it asks for credentials in a way that is neither Basic nor Bearer");
    if (best.scheme == AUTH_BEARER && !best.realm[0])
        return err_set(err, ERR_CORRUPT, "it asks for a token but does not name its service");
    *ret = best;
    return 0;
}

/* --- tokens ----------------------------------------------------------------------------------- */

void auth_wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

/* A copy of the text @key when it can stand in a header (b64token of RFC 6750), else NULL. */
static char *copy_token(json_t *root, const char *key)
{
    const char *text = str_or_empty(json_string_value(json_object_get(root, key)));
    size_t n = strlen(text);
    if (n == 0 || n > AUTH_TOKEN_MAX)
        return NULL;
    for (const char *p = text; *p; p++) {
        if (*p <= ' ' || *p >= 0x7f)
            return NULL;
    }
    return str_copy(text);
}

int auth_token_parse(const char *json, size_t len, struct auth_token *ret, struct err *err)
{
    struct auth_token token = {0};
    json_t *root;
    int rv = image_json_load("the token service's answer", json, len, &root, err);
    if (rv < 0)
        return rv;
    token.token = copy_token(root, "token");
    if (!token.token)
        token.token = copy_token(root, "access_token");
    token.refresh = copy_token(root, "refresh_token");
    token.expires_s = json_integer_value(json_object_get(root, "expires_in"));
    json_decref(root);
    if (token.expires_s < AUTH_EXPIRES_MIN_S)
        token.expires_s = AUTH_EXPIRES_MIN_S;
    if (token.expires_s > EXPIRES_MAX_S)
        token.expires_s = EXPIRES_MAX_S;
    if (!token.token) {
        auth_token_release(&token);
        return err_set(err, ERR_CORRUPT, "the token service's answer holds no valid token");
    }
    *ret = token;
    return 0;
}

void auth_token_release(struct auth_token *token)
{
    auth_wipe(token->token);
    auth_wipe(token->refresh);
    *token = (struct auth_token){0};
}

/* --- Basic ------------------------------------------------------------------------------------ */

/* RFC 4648, section 4; @out has room for 4 bytes per begun 3 and the terminator. */
static void base64(const unsigned char *data, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        unsigned bits = (unsigned)data[i] << 16;
        bits |= i + 1 < len ? (unsigned)data[i + 1] << 8 : 0;
        bits |= i + 2 < len ? data[i + 2] : 0;
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

char *auth_basic(const char *username, const char *password)
{
    char *plain = str_printf("%s:%s", username, password);
    size_t len = strlen(plain);
    char *header = mem_alloc(1, 6 + (len + 2) / 3 * 4 + 1);
    memcpy(header, "Basic ", 6);
    base64((const unsigned char *)plain, len, header + 6);
    auth_wipe(plain);
    return header;
}
