/* SPDX-License-Identifier: Apache-2.0 */
/* Which bits a service is to run: who is asked, what stays, when a deploy is refused. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/pin_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ONE      "sha256:1" HEX_REST
#define TWO      "sha256:2" HEX_REST
#define HEX_REST "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The way; *@stays is what is kept, "-" for nothing. */
static enum pin_way decide(struct spec wanted, const struct spec *deployed, bool pull,
                           const char *stays)
{
    char *digest;
    enum pin_way way = pin_decide(&wanted, deployed, pull, &digest);
    assert_string_equal(digest ? digest : "-", stays);
    free(digest);
    return way;
}

static void new_services_are_found_out(void **state)
{
    struct spec web = {.image = "web:1"};
    (void)state;
    assert_int_equal(decide(web, NULL, false, "-"), PIN_MEMBERS_FIRST);
    assert_int_equal(decide(web, NULL, true, "-"), PIN_REGISTRY_FIRST);
    web.pull_policy = PULL_ALWAYS;
    assert_int_equal(decide(web, NULL, false, "-"), PIN_REGISTRY_FIRST);
    web.pull_policy = PULL_NEVER;
    assert_int_equal(decide(web, NULL, false, "-"), PIN_MEMBERS);
    /* What one is told on the command line does not overrule that a registry is never asked. */
    assert_int_equal(decide(web, NULL, true, "-"), PIN_MEMBERS);
}

static void a_digest_is_not_asked_for(void **state)
{
    (void)state;
    const char *images[] = {"web@" ONE, "r.example:5000/a/web:1@" ONE, "sha256:" HEX};
    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        struct spec web = {.image = (char *)(uintptr_t)images[i], .pull_policy = PULL_ALWAYS};
        assert_int_equal(decide(web, &web, true, "-"), PIN_STAYS);
    }
}

static void what_is_deployed_stays(void **state)
{
    (void)state;
    struct spec web = {.image = "web:1"};
    struct spec was = {.image = "web:1", .image_digest = "web@" ONE};
    assert_int_equal(decide(web, &was, false, "web@" ONE), PIN_STAYS);
    assert_int_equal(decide(web, &was, true, "-"), PIN_REGISTRY_FIRST);
    web.pull_policy = PULL_NEVER;
    assert_int_equal(decide(web, &was, false, "web@" ONE), PIN_STAYS);
    web.pull_policy = PULL_ALWAYS;
    assert_int_equal(decide(web, &was, false, "-"), PIN_REGISTRY_FIRST);
    web = (struct spec){.image = "web:2"};
    assert_int_equal(decide(web, &was, false, "-"), PIN_MEMBERS_FIRST);
    web = (struct spec){.image = "web:1", .platform = "linux/arm64"};
    assert_int_equal(decide(web, &was, false, "-"), PIN_MEMBERS_FIRST);
    /* One that has no digest keeps none: a file that is deployed again restarts nothing. */
    web = (struct spec){.image = "web:1"};
    was.image_digest = NULL;
    assert_int_equal(decide(web, &was, false, ""), PIN_STAYS);
}

/* What comes of it: the digest, "refused" or "none"; and whether there is a warning. */
static void concludes(enum pin_way way, struct pin_found found, const char *outcome,
                      const char *warns)
{
    char digest[72];
    char *warning;
    struct err err = {0};
    int rv = pin_conclude("web:1", way, &found, digest, &warning, &err);
    assert_string_equal(rv < 0 ? "refused" : *digest ? digest : "none", outcome);
    assert_int_equal(rv, err.code);
    if (!warns)
        assert_null(warning);
    else if (!warning || !strstr(warning, warns))
        fail_msg("warned \"%s\", not of \"%s\"", str_or_empty(warning), warns);
    free(warning);
}

static void members_and_registry_are_weighed(void **state)
{
    (void)state;
    struct err down = {0};
    struct err denied = {0};
    err_set(&down, ERR_UNAVAILABLE, "connection refused");
    err_set(&denied, ERR_DENIED, "authentication required");
    struct pin_found both = {.members = ONE, .registry = TWO};
    struct pin_found neither = {0};
    struct pin_found unreachable = {.refusal = &down};
    struct pin_found refusing = {.refusal = &denied};
    struct pin_found loaded = {.members = ONE, .refusal = &down};
    struct pin_found only_loaded = {.members = ONE, .refusal = &denied};
    concludes(PIN_MEMBERS_FIRST, both, ONE, NULL);
    concludes(PIN_MEMBERS_FIRST, (struct pin_found){.registry = TWO}, TWO, NULL);
    concludes(PIN_REGISTRY_FIRST, both, TWO, NULL);
    concludes(PIN_REGISTRY_FIRST, loaded, ONE, "connection refused");
    concludes(PIN_REGISTRY_FIRST, only_loaded, ONE, "authentication required");
    concludes(PIN_MEMBERS, (struct pin_found){.members = ONE}, ONE, NULL);
    concludes(PIN_MEMBERS, neither, "none", "no member has");
    concludes(PIN_MEMBERS_FIRST, unreachable, "none", "replicas may differ: connection refused");
    concludes(PIN_REGISTRY_FIRST, unreachable, "none", "replicas may differ");
    concludes(PIN_MEMBERS_FIRST, refusing, "refused", NULL);
    concludes(PIN_REGISTRY_FIRST, refusing, "refused", NULL);
    err_set(&denied, ERR_NOTFOUND, "manifest unknown");
    concludes(PIN_REGISTRY_FIRST, refusing, "refused", NULL);
    err_set(&denied, ERR_TIMEOUT, "no answer within 10 s");
    concludes(PIN_REGISTRY_FIRST, refusing, "none", "no answer");
}

static void names_have_no_tag(void **state)
{
    char *name;
    char text[32];
    struct err err;
    (void)state;
    assert_int_equal(pin_name("web:1", ONE, &name, &err), 0);
    assert_string_equal(name, "docker.io/library/web@" ONE);
    pin_short(name, text);
    assert_true(str_starts(text, "sha256:1123456789ab"));
    assert_string_equal(text + 19, "…");
    free(name);
    assert_int_equal(pin_name("r.example:5000/team/app:v1.2", TWO, &name, &err), 0);
    assert_string_equal(name, "r.example:5000/team/app@" TWO);
    free(name);
    assert_int_equal(pin_name("No Image", ONE, &name, &err), ERR_INVALID);
}

static void one_architecture_counts(void **state)
{
    (void)state;
    struct node nodes[] = {
        {.arch = "amd64"}, {.arch = "arm64", .witness = true}, {.arch = "amd64"}};
    assert_true(pin_arch_is_one(nodes, 3, "amd64"));
    assert_false(pin_arch_is_one(nodes, 3, "arm64"));
    nodes[1].witness = false;
    assert_false(pin_arch_is_one(nodes, 3, "amd64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_services_are_found_out),
        cmocka_unit_test(a_digest_is_not_asked_for),
        cmocka_unit_test(what_is_deployed_stays),
        cmocka_unit_test(members_and_registry_are_weighed),
        cmocka_unit_test(names_have_no_tag),
        cmocka_unit_test(one_architecture_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
