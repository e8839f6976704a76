/* SPDX-License-Identifier: Apache-2.0 */
/* What registries and token services say about who may come in. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/fetch/auth.h"
#include "runtime/fetch/http_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void challenges_are_read(void **state)
{
    struct auth_challenge c;
    struct err err;
    (void)state;
    assert_int_equal(
        auth_challenge_parse("Bearer realm=\"https://auth.docker.io/token\",service=\"registry."
                             "docker.io\",scope=\"repository:library/nginx:pull,push\"",
                             &c, &err),
        0);
    assert_int_equal(c.scheme, AUTH_BEARER);
    assert_string_equal(c.realm, "https://auth.docker.io/token");
    assert_string_equal(c.service, "registry.docker.io");
    assert_string_equal(c.scope, "repository:library/nginx:pull,push");
    assert_int_equal(auth_challenge_parse("basic", &c, &err), 0);
    assert_int_equal(c.scheme, AUTH_BASIC);
    assert_int_equal(auth_challenge_parse("BASIC realm=x , charset=\"UTF-8\"", &c, &err), 0);
    assert_string_equal(c.realm, "x");
    assert_int_equal(auth_challenge_parse("Bearer realm = \"a \\\"b\\\" c\"", &c, &err), 0);
    assert_string_equal(c.realm, "a \"b\" c");
}

static void the_best_of_several_is_taken(void **state)
{
    static const char *const headers[] = {
        "Basic realm=\"r\", Bearer realm=\"https://t\",service=s",
        "Bearer realm=\"https://t\",service=s, Basic realm=\"r\"",
        "Negotiate, Bearer service=s, realm=\"https://t\"",
        "Negotiate YWJj==, Basic realm=r,Bearer realm=\"https://t\", service=\"s\", error=\"e\"",
        ",, Digest realm=\"d\", nonce=\"1,2\",, Bearer realm=\"https://t\",service=s",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
        struct auth_challenge c;
        struct err err = {0};
        if (auth_challenge_parse(headers[i], &c, &err) < 0)
            fail_msg("%s: %s", headers[i], err.msg);
        assert_int_equal(c.scheme, AUTH_BEARER);
        assert_string_equal(c.realm, "https://t");
        assert_string_equal(c.service, "s");
    }
}

static void bad_challenges_are_refused(void **state)
{
    static const struct {
        const char *header;
        int code;
    } cases[] = {
        {"", ERR_UNSUPPORTED},
        {" , ,", ERR_UNSUPPORTED},
        {"Negotiate", ERR_UNSUPPORTED},
        {"Digest realm=\"x\"", ERR_UNSUPPORTED},
        {"Bearer", ERR_CORRUPT},
        {"Bearer service=s", ERR_CORRUPT},
        {"Bearer realm=\"https://t", ERR_CORRUPT},
        {"Bearer realm=", ERR_CORRUPT},
        {"Bearer realm=\"a\\", ERR_CORRUPT},
        {"Bearer realm=\"a\001b\"", ERR_CORRUPT},
        {"Bearer realm=\"a\nb\"", ERR_CORRUPT},
        {"Bearer realm=\"a\" service=\"b\"", ERR_CORRUPT},
        {"=x", ERR_CORRUPT},
        {"\"Bearer\" realm=x", ERR_CORRUPT},
        {"Bearer realm=http://x", ERR_CORRUPT}, /* no token: it must be quoted */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct auth_challenge c;
        struct err err = {0};
        int rv = auth_challenge_parse(cases[i].header, &c, &err);
        if (rv != cases[i].code)
            fail_msg("%s: %d %s", cases[i].header, rv, err.msg);
    }
}

static void long_challenges_are_refused(void **state)
{
    cleanup_buf struct buf value = BUF_INIT;
    cleanup_buf struct buf many = BUF_INIT;
    struct auth_challenge c;
    struct err err;
    (void)state;
    buf_puts(&value, "Bearer realm=\"");
    for (int i = 0; i < AUTH_VALUE_MAX; i++)
        buf_putc(&value, 'x');
    buf_putc(&value, '"');
    assert_int_equal(auth_challenge_parse(value.data, &c, &err), ERR_CORRUPT);
    buf_puts(&many, "Bearer realm=r");
    for (int i = 0; i < 100; i++)
        buf_puts(&many, ",a=b");
    assert_int_equal(auth_challenge_parse(many.data, &c, &err), ERR_CORRUPT);
    while (many.len < AUTH_HEADER_MAX)
        buf_puts(&many, ",Basic");
    assert_int_equal(auth_challenge_parse(many.data, &c, &err), ERR_CORRUPT);
}

static int parse_token(const char *json, struct auth_token *token)
{
    struct err err;
    return auth_token_parse(json, strlen(json), token, &err);
}

static void tokens_are_read(void **state)
{
    struct auth_token t;
    (void)state;
    assert_int_equal(parse_token("{\"token\":\"abc\",\"expires_in\":300}", &t), 0);
    assert_string_equal(t.token, "abc");
    assert_null(t.refresh);
    assert_int_equal(t.expires_s, 300);
    auth_token_release(&t);
    assert_int_equal(
        parse_token("{\"access_token\":\"x.y\",\"refresh_token\":\"r\",\"expires_in\":1}", &t), 0);
    assert_string_equal(t.token, "x.y");
    assert_string_equal(t.refresh, "r");
    assert_int_equal(t.expires_s, AUTH_EXPIRES_MIN_S);
    auth_token_release(&t);
    assert_int_equal(parse_token("{\"token\":\"a\",\"expires_in\":9223372036854775807}", &t), 0);
    assert_true(t.expires_s <= 366L * 24 * 3600);
    auth_token_release(&t);
}

static void what_cannot_stand_in_a_header_is_no_token(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"token\":\"\"}",
        "{\"token\":7}",
        "{\"token\":\"a b\"}",
        "{\"token\":\"a\\r\\nX-Evil: 1\"}",
        "{\"token\":\"\u00e4\"}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct auth_token t;
        if (parse_token(bad[i], &t) != ERR_CORRUPT)
            fail_msg("taken: %s", bad[i]);
    }
}

static void basic_is_base64(void **state)
{
    static const char *const cases[][3] = {
        {"Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 */
        {"a", "b", "Basic YTpi"},
        {"a", "", "Basic YTo="},
        {"test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow=="},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *header = auth_basic(cases[i][0], cases[i][1]);
        assert_string_equal(header, cases[i][2]);
    }
}

static void words_of_errors_are_found(void **state)
{
    static const char *const cases[][2] = {
        {"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no such team\"}]}", "no such team"},
        {"{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED"},
        {"{\"details\":\"incorrect username or password\"}", "incorrect username or password"},
        {"{\"error\":\"invalid_grant\",\"error_description\":\"gone\"}", "gone"},
        {"{\"errors\":[]}", ""},
        {"{\"errors\":{\"a\":1}}", ""},
        {"Client sent an HTTP request to an HTTPS server.\n",
         "Client sent an HTTP request to an HTTPS server."},
        {"<html><h1>404</h1>", ""},
        {"{broken", ""},
        {"a\033[31mb\007", "a?[31mb?"},
    };
    char words[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        http_words(cases[i][0], strlen(cases[i][0]), words, sizeof(words));
        assert_string_equal(words, cases[i][1]);
    }
    http_words(NULL, 0, words, sizeof(words));
    assert_string_equal(words, "");
    http_words("0123456789", 10, words, 5);
    assert_string_equal(words, "0123");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenges_are_read),
        cmocka_unit_test(the_best_of_several_is_taken),
        cmocka_unit_test(bad_challenges_are_refused),
        cmocka_unit_test(long_challenges_are_refused),
        cmocka_unit_test(tokens_are_read),
        cmocka_unit_test(what_cannot_stand_in_a_header_is_no_token),
        cmocka_unit_test(basic_is_base64),
        cmocka_unit_test(words_of_errors_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
