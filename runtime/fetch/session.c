/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/session.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/auth.h"
#include "runtime/fetch/http.h"
#include "runtime/fetch/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKEN_ANSWER_MAX = 256 << 10,
    RENEW_EARLY_MS = 5000, /* before a token's end */
};

struct session {
    const struct endpoint *endpoint;
    char *scope;
    pthread_mutex_t lock;            /* for what follows; held while a token is fetched */
    char *authorization;             /* NULL: nobody asked yet */
    char *refresh;                   /* to ask the token service with instead of the password */
    struct auth_challenge challenge; /* the token service; realm "" without */
    int64_t expires_ms;              /* of the token, by the boot clock; 0: never */
};

struct session *session_new(const struct endpoint *endpoint, const char *scope)
{
    struct session *s = mem_alloc(1, sizeof(*s));
    s->endpoint = endpoint;
    s->scope = str_copy(scope);
    check(pthread_mutex_init(&s->lock, NULL) == 0);
    /* A password without a name is a token of the registry itself. */
    if (endpoint->password && !endpoint->username)
        s->authorization = str_printf("Bearer %s", endpoint->password);
    /* Docker's mark for "the password is an identity token". */
    if (endpoint->password && str_equal(endpoint->username, "<token>"))
        s->refresh = str_copy(endpoint->password);
    return s;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    auth_wipe(s->authorization);
    auth_wipe(s->refresh);
    free(s->scope);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* True when there is a user name and a password to show. */
static bool has_password(const struct session *s)
{
    return s->endpoint->username && s->endpoint->password &&
           strcmp(s->endpoint->username, "<token>") != 0;
}

/* --- the token service -------------------------------------------------------------------------
 */

static int on_answer(void *arg, const void *data, size_t len, struct err *err)
{
    struct buf *out = arg;
    if (out->len + len > TOKEN_ANSWER_MAX)
        return err_set(err, ERR_TOOBIG, "the token service's answer is larger than %d bytes",
                       TOKEN_ANSWER_MAX);
    buf_append(out, data, len);
    return 0;
}

static void add_field(struct buf *out, char *separator, const char *name, const char *value)
{
    cleanup_free char *escaped = http_escape(value);
    if (*separator)
        buf_putc(out, *separator);
    buf_printf(out, "%s=%s", name, escaped);
    *separator = '&';
}

/* The scope to ask for: ours, and what the registry asks for besides. */
static char *scopes(const struct session *s, char separator)
{
    const char *asked = s->challenge.scope;
    bool more = asked[0] && strcmp(asked, s->scope) != 0;
    return str_printf("%s%s%s", s->scope, more && s->scope[0] ? (char[]){separator, '\0'} : "",
                      more ? asked : "");
}

/* "scope=a&scope=b" as the GET form has it: one parameter each. */
static void add_scopes(const struct session *s, struct buf *out, char *separator)
{
    cleanup_free char *all = scopes(s, ' ');
    char *rest = NULL;
    for (char *one = strtok_r(all, " ", &rest); one; one = strtok_r(NULL, " ", &rest))
        add_field(out, separator, "scope", one);
}

/* GET with the password, if there is one (token authentication specification). */
static int ask_with_password(const struct session *s, struct http *http, struct buf *out,
                             struct http_answer *answer, struct err *err)
{
    cleanup_buf struct buf url = BUF_INIT;
    cleanup_free char *host = str_printf("the token service of %s", s->endpoint->registry);
    char separator = strchr(s->challenge.realm, '?') ? '&' : '?';
    char *basic = has_password(s) ? auth_basic(s->endpoint->username, s->endpoint->password) : NULL;
    buf_puts(&url, s->challenge.realm);
    if (s->challenge.service[0])
        add_field(&url, &separator, "service", s->challenge.service);
    add_scopes(s, &url, &separator);
    if (has_password(s))
        add_field(&url, &separator, "account", s->endpoint->username);
    struct http_request q = {.method = "GET",
                             .url = url.data,
                             .host = host,
                             .ca = s->endpoint->ca,
                             .authorization = basic,
                             .secret = s->endpoint->password,
                             .document = true,
                             .sink = on_answer,
                             .arg = out};
    int rv = http_perform(http, &q, answer, err);
    auth_wipe(basic);
    return rv;
}

/* POST with a refresh token (OAuth2 form of the same specification). */
static int ask_with_refresh(const struct session *s, struct http *http, struct buf *out,
                            struct http_answer *answer, struct err *err)
{
    struct buf form = BUF_INIT;
    cleanup_free char *all = scopes(s, ' ');
    cleanup_free char *host = str_printf("the token service of %s", s->endpoint->registry);
    char separator = '\0';
    add_field(&form, &separator, "grant_type", "refresh_token");
    add_field(&form, &separator, "service", s->challenge.service);
    add_field(&form, &separator, "client_id", "wherry");
    if (all[0])
        add_field(&form, &separator, "scope", all);
    add_field(&form, &separator, "refresh_token", s->refresh);
    struct http_request q = {.method = "POST",
                             .url = s->challenge.realm,
                             .host = host,
                             .ca = s->endpoint->ca,
                             .document = true,
                             .body = form.data,
                             .body_len = form.len,
                             .secret = s->refresh,
                             .sink = on_answer,
                             .arg = out};
    int rv = http_perform(http, &q, answer, err);
    explicit_bzero(form.data, form.len);
    buf_release(&form);
    return rv;
}

/* What an answer of the token service without a token means. */
static int token_err(const struct session *s, const struct http_answer *a, struct err *err)
{
    const char *registry = s->endpoint->registry;
    if (a->status == 429 || a->status >= 500)
        return err_set(err, ERR_UNAVAILABLE,
                       "the token service of registry %.60s answers HTTP status %ld; try later",
                       registry, a->status);
    if (a->status >= 300 && a->status < 400)
        return err_set(err, ERR_FAILED,
                       "the token service of registry %.60s redirects, which is not followed with "
                       "credentials",
                       registry);
    return err_set(err, ERR_DENIED, "registry %.60s: %s%s%.100s", registry,
                   s->endpoint->password ? "its token service does not take the credentials"
                                         : "its token service gives no token without credentials",
                   a->words[0] ? ": " : "", a->words);
}

/* Credentials go to another host only over TLS, and to none whose address holds some. */
static int check_realm(const struct session *s, struct err *err)
{
    bool tls;
    if (!http_url_valid(s->challenge.realm, &tls))
        return err_set(err, ERR_CORRUPT, "registry %.60s names no valid token service",
                       s->endpoint->registry);
    if (!tls && !s->endpoint->plain)
        return err_set(err, ERR_DENIED,
                       "registry %.60s names a token service without TLS; no credentials are sent "
                       "there",
                       s->endpoint->registry);
    return 0;
}

/* Get a token from the service of the challenge. Under the lock. */
static int fetch_token(struct session *s, struct http *http, struct err *err)
{
    cleanup_free struct http_answer *answer = mem_alloc(1, sizeof(*answer));
    struct buf text = BUF_INIT;
    struct auth_token token;
    int rv = check_realm(s, err);
    if (rv == 0)
        rv = s->refresh ? ask_with_refresh(s, http, &text, answer, err)
                        : ask_with_password(s, http, &text, answer, err);
    if (rv == 0 && s->refresh && has_password(s) && answer->status >= 400 && answer->status < 500) {
        buf_reset(&text); /* it was given one and does not take it: as before */
        rv = ask_with_password(s, http, &text, answer, err);
    }
    if (rv == 0 && answer->status != 200)
        rv = token_err(s, answer, err);
    if (rv == 0 && (rv = auth_token_parse(str_or_empty(text.data), text.len, &token, err)) < 0)
        err_wrap(err, "registry %.60s", s->endpoint->registry);
    if (text.data)
        explicit_bzero(text.data, text.cap);
    buf_release(&text);
    if (rv < 0)
        return rv;
    auth_wipe(s->authorization);
    s->authorization = str_printf("Bearer %s", token.token);
    s->expires_ms = clock_boot_ms() + token.expires_s * 1000;
    if (token.refresh) {
        auth_wipe(s->refresh);
        s->refresh = steal(&token.refresh);
    }
    auth_token_release(&token);
    return 0;
}

/* --- what callers see --------------------------------------------------------------------------
 */

char *session_authorization(struct session *s, struct http *http)
{
    pthread_mutex_lock(&s->lock);
    if (s->expires_ms && clock_boot_ms() > s->expires_ms - RENEW_EARLY_MS)
        fetch_token(s, http, NULL); /* if not, the registry will say so */
    char *copy = str_copy(s->authorization);
    pthread_mutex_unlock(&s->lock);
    return copy;
}

/* Take what the challenge asks for. Under the lock. */
static int meet(struct session *s, struct http *http, const char *sent,
                const struct http_answer *answer, struct err *err)
{
    const char *registry = s->endpoint->registry;
    struct auth_challenge challenge;
    int rv = auth_challenge_parse(answer->challenge, &challenge, err);
    if (rv < 0)
        return err_wrap(err, "registry %.60s", registry);
    if (challenge.scheme == AUTH_BEARER) {
        s->challenge = challenge;
        return fetch_token(s, http, err);
    }
    if (!has_password(s))
        return err_set(err, ERR_DENIED,
                       "registry %.60s asks for credentials; give them with 'wherry registry login "
                       "%.60s'",
                       registry, registry);
    if (sent && str_starts(sent, "Basic "))
        return err_set(err, ERR_DENIED, "registry %.60s does not take the credentials%s%.100s",
                       registry, answer->words[0] ? ": " : "", answer->words);
    auth_wipe(s->authorization);
    s->authorization = auth_basic(s->endpoint->username, s->endpoint->password);
    s->expires_ms = 0;
    return 0;
}

int session_renew(struct session *s, struct http *http, const char *sent,
                  const struct http_answer *answer, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    int rv = 0;
    if (str_equal(s->authorization, sent)) /* else another thread was faster */
        rv = meet(s, http, sent, answer, err);
    pthread_mutex_unlock(&s->lock);
    return rv;
}
