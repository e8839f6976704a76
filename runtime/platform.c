/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/platform.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <string.h>
#include <sys/utsname.h>

/* What kernels and people call architectures, and what images do. */
static const struct {
    const char *name;
    const char *architecture;
    const char *variant;
} known[] = {
    {"x86_64", "amd64", ""},    {"x86-64", "amd64", ""}, {"aarch64", "arm64", "v8"},
    {"armv8l", "arm", "v8"},    {"armv7l", "arm", "v7"}, {"armv6l", "arm", "v6"},
    {"armv5tel", "arm", "v5"},  {"armhf", "arm", "v7"},  {"armel", "arm", "v6"},
    {"i686", "386", ""},        {"i386", "386", ""},     {"riscv64", "riscv64", ""},
    {"ppc64le", "ppc64le", ""}, {"s390x", "s390x", ""},
};

static void settle_architecture(struct image_platform *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(p->architecture, known[i].name) != 0)
            continue;
        str_fill(p->architecture, sizeof(p->architecture), known[i].architecture);
        if (!p->variant[0])
            str_fill(p->variant, sizeof(p->variant), known[i].variant);
        return;
    }
}

void image_platform_host(struct image_platform *ret)
{
    struct utsname u;
    struct image_platform p = {.os = "linux", .host = true};
    check(uname(&u) == 0);
    str_fill(p.architecture, sizeof(p.architecture), u.machine);
    settle_architecture(&p);
    *ret = p;
}

static bool is_word(const char *s)
{
    return s[0] && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-.")] == '\0';
}

int image_platform_parse(const char *text, struct image_platform *ret, struct err *err)
{
    struct image_platform p = {0};
    char rest[3 * IMAGE_PLATFORM_TEXT];
    char *words[4] = {0};
    size_t n = 0;
    if (!text || !*text) {
        image_platform_host(ret);
        return 0;
    }
    bool whole = str_fill(rest, sizeof(rest), text);
    char *at = rest;
    for (char *word; n < ARRAY_SIZE(words) && (word = strsep(&at, "/"));)
        words[n++] = word;
    if (!whole || n < 2 || n > 3 || !is_word(words[0]) || !is_word(words[1]) ||
        (n == 3 && !is_word(words[2])) || !str_fill(p.os, sizeof(p.os), words[0]) ||
        !str_fill(p.architecture, sizeof(p.architecture), words[1]) ||
        !str_fill(p.variant, sizeof(p.variant), str_or_empty(words[2])))
        return err_set(err, ERR_INVALID,
                       "platform '%.60s': write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as in "
                       "linux/arm64 or linux/arm/v7",
                       text);
    if (strcmp(p.os, "linux") != 0)
        return err_set(err, ERR_UNSUPPORTED, "platform '%.60s': only linux is supported", text);
    settle_architecture(&p);
    *ret = p;
    return 0;
}

char *image_platform_format(const struct image_platform *p)
{
    return str_printf("%s/%s%s%s", p->os, p->architecture, p->variant[0] ? "/" : "", p->variant);
}

/* The number of "v7" or "7"; -1 for something else. Without a variant it is the architecture's
 * usual one, as all tools take it. */
static int variant_number(const char *architecture, const char *variant)
{
    if (!variant[0])
        return strcmp(architecture, "arm") == 0 ? 7 : strcmp(architecture, "arm64") == 0 ? 8 : 1;
    variant += variant[0] == 'v';
    return variant[0] >= '1' && variant[0] <= '9' && variant[1] == '\0' ? variant[0] - '0' : -1;
}

int image_platform_rank(const struct image_platform *wanted, const char *os,
                        const char *architecture, const char *variant)
{
    enum {
        EXACT = 100
    };
    if (strcmp(os, wanted->os) != 0 || strcmp(architecture, wanted->architecture) != 0)
        return 0;
    if (strcmp(variant, wanted->variant) == 0)
        return EXACT;
    int want = variant_number(architecture, wanted->variant);
    int have = variant_number(architecture, variant);
    if (want < 0 || have < 0)
        return 0;
    if (have <= want)
        return 1 + have;
    /* amd64's v2, v3 ask for newer processors, which this machine may well have. */
    return wanted->host && strcmp(architecture, "amd64") == 0 ? 1 : 0;
}
