/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_name.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

bool image_digest_valid(const char *digest)
{
    unsigned char raw[DIGEST_BYTES];
    if (!str_starts(digest, "sha256:") || !hex_decode(digest + 7, raw, sizeof(raw)))
        return false;
    for (const char *p = digest + 7; *p; p++) {
        if (!is_lower_or_digit(*p))
            return false;
    }
    return true;
}

/* Runs of letters and digits, joined by one of ". _ __" or any number of "-". */
static bool component_valid(const char *s, size_t len)
{
    size_t i = 0;
    for (;;) {
        size_t start = i;
        while (i < len && is_lower_or_digit(s[i]))
            i++;
        if (i == start)
            return false;
        if (i == len)
            return true;
        if (s[i] == '.') {
            i++;
        } else if (s[i] == '_') {
            i += i + 1 < len && s[i + 1] == '_' ? 2 : 1;
        } else if (s[i] == '-') {
            while (i < len && s[i] == '-')
                i++;
        } else {
            return false;
        }
    }
}

static bool port_valid(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 5 && s[n] == '\0';
}

/* A host name or address, with or without port. */
static bool registry_valid(const char *s)
{
    const char *p = s;
    if (*p == '[') {
        p += 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
        if (p == s + 1 || *p != ']')
            return false;
        p++;
    } else {
        for (bool edge = true; *p && *p != ':'; p++) {
            bool at_end = p[1] == '\0' || p[1] == '.' || p[1] == ':';
            if (!is_alnum(*p) && (*p != '-' || edge || at_end) && (*p != '.' || edge || at_end))
                return false;
            edge = *p == '.';
        }
        if (p == s)
            return false;
    }
    return *p == '\0' || (*p == ':' && port_valid(p + 1));
}

static bool tag_valid(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > IMAGE_TAG_MAX || (!is_alnum(s[0]) && s[0] != '_'))
        return false;
    for (size_t i = 1; i < n; i++) {
        if (!is_alnum(s[i]) && !strchr("_.-", s[i]))
            return false;
    }
    return true;
}

static bool repository_valid(const char *s)
{
    for (;;) {
        size_t len = strcspn(s, "/");
        if (!component_valid(s, len))
            return false;
        if (s[len] == '\0')
            return true;
        s += len + 1;
    }
}

/* Cut "@digest" and ":tag" off @rest into @ref. */
static int cut_version(char *rest, struct image_ref *ref, const char *text, struct err *err)
{
    char *at = strchr(rest, '@');
    if (at) {
        *at = '\0';
        if (!image_digest_valid(at + 1))
            return err_set(err, ERR_INVALID,
                           "image name '%s': after '@' comes sha256: and 64 lower-case "
                           "hexadecimal digits",
                           text);
        str_fill(ref->digest, sizeof(ref->digest), at + 1);
    }
    char *slash = strrchr(rest, '/');
    char *colon = strrchr(slash ? slash : rest, ':');
    if (colon) {
        *colon = '\0';
        if (!tag_valid(colon + 1))
            return err_set(err, ERR_INVALID,
                           "image name '%s': the tag after ':' is 1 to 128 letters, digits, "
                           "'_', '.' or '-' and starts with none of the last two",
                           text);
        str_fill(ref->tag, sizeof(ref->tag), colon + 1);
    } else if (!at) {
        str_fill(ref->tag, sizeof(ref->tag), "latest");
    }
    return 0;
}

/* Split @rest into registry and repository. */
static void split_registry(const char *rest, struct image_ref *ref)
{
    const char *slash = strchr(rest, '/');
    size_t n = slash ? (size_t)(slash - rest) : 0;
    bool named = slash && (memchr(rest, '.', n) || memchr(rest, ':', n) ||
                           (n == 9 && memcmp(rest, "localhost", 9) == 0));
    if (!named) {
        str_fill(ref->registry, sizeof(ref->registry), "docker.io");
    } else {
        memcpy(ref->registry, rest, n);
        ref->registry[n] = '\0';
        rest = slash + 1;
        if (strcmp(ref->registry, "index.docker.io") == 0)
            str_fill(ref->registry, sizeof(ref->registry), "docker.io");
    }
    if (strcmp(ref->registry, "docker.io") == 0 && !strchr(rest, '/')) {
        str_fill(ref->repository, sizeof(ref->repository), "library/");
        str_fill(ref->repository + 8, sizeof(ref->repository) - 8, rest);
    } else {
        str_fill(ref->repository, sizeof(ref->repository), rest);
    }
}

int image_ref_parse(const char *text, struct image_ref *ret_ref, struct err *err)
{
    struct image_ref ref = {0};
    char rest[IMAGE_NAME_MAX + IMAGE_TAG_MAX + IMAGE_DIGEST_SIZE + 2];
    unsigned char raw[DIGEST_BYTES];
    if (text[0] == '\0')
        return err_set(err, ERR_INVALID, "an image name is empty");
    if (!str_fill(rest, sizeof(rest), text))
        return err_set(err, ERR_INVALID, "image name '%.60s...' is too long", text);
    int rv = cut_version(rest, &ref, text, err);
    if (rv < 0)
        return rv;
    if (strlen(rest) > IMAGE_NAME_MAX - sizeof("docker.io/library/"))
        return err_set(err, ERR_INVALID, "image name '%.60s...' is too long", text);
    split_registry(rest, &ref);
    if (!registry_valid(ref.registry))
        return err_set(err, ERR_INVALID, "image name '%s': '%.80s' is no registry address", text,
                       ref.registry);
    if (!repository_valid(ref.repository))
        return err_set(err, ERR_INVALID,
                       "image name '%s': '%.80s' must be lower-case letters and digits, joined by "
                       "single '.', '_', '-' or '/'",
                       text, ref.repository);
    if (hex_decode(rest, raw, sizeof(raw)))
        return err_set(err, ERR_INVALID, "'%.80s' is a digest, not a name: write sha256:%.64s",
                       text, text);
    *ret_ref = ref;
    return 0;
}

char *image_ref_format(const struct image_ref *ref)
{
    return str_printf("%s/%s%s%s%s%s", ref->registry, ref->repository, ref->tag[0] ? ":" : "",
                      ref->tag, ref->digest[0] ? "@" : "", ref->digest);
}

bool image_registry_is_local(const char *registry)
{
    char host[IMAGE_NAME_MAX + 1];
    str_fill(host, sizeof(host), registry);
    if (host[0] == '[')
        return str_starts(host, "[::1]");
    host[strcspn(host, ":")] = '\0';
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0;
}
