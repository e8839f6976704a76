/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/registry_settings.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image_name.h"
#include "runtime/internal.h"
#include "runtime/registry.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MIRRORS_MAX = 16,
    URL_MAX = 1024,
};

static bool is_named(const char *registry, const char *const *registries)
{
    for (size_t i = 0; registries && registries[i]; i++) {
        if (strcmp(registries[i], registry) == 0)
            return true;
    }
    return false;
}

/* Plain HTTP is for this machine and for whom somebody named; never for a registry with a CA. */
static bool is_plain(const struct runtime *rt, const struct registry_wish *wish,
                     const struct registry_access *access)
{
    const char *registry = wish->registry;
    if (access->plain_http || is_named(registry, wish->plain_http) ||
        is_named(registry, (const char *const *)rt->plain_http))
        return true;
    return image_registry_is_local(registry) && !access->ca;
}

/* Whoever calls may ask for plain HTTP, but not have a password sent over it that was given for
 * TLS: that is for whoever set how the registry is reached to say. */
static int check_password(const struct runtime *rt, const struct registry_wish *wish,
                          const struct registry_access *access, struct err *err)
{
    struct registry_wish without = *wish;
    without.plain_http = NULL;
    if (!access->password || !is_plain(rt, wish, access) || is_plain(rt, &without, access))
        return 0;
    return err_set(err, ERR_DENIED,
                   "the login to %.80s is for TLS and not sent over plain HTTP; 'wherry registry "
                   "set --plain-http %.80s' would allow it",
                   wish->registry, wish->registry);
}

/* The host that speaks for a registry: Docker Hub's has another name. */
static const char *host_of(const char *registry)
{
    return strcmp(registry, "docker.io") == 0 ? "registry-1.docker.io" : registry;
}

/* jansson refuses what is no UTF-8. */
static int set_text(json_t *object, const char *key, const char *text, struct err *err)
{
    if (text && *text && json_object_set_new(object, key, json_string(text)) < 0)
        return err_set(err, ERR_INVALID, "the registry's %s is not valid UTF-8", key);
    return 0;
}

static int add_endpoint(json_t *endpoints, const char *url, const char *registry,
                        const struct registry_access *access, bool mirror, struct err *err)
{
    json_t *e = json_object();
    int rv = set_text(e, "url", url, err);
    if (rv == 0)
        rv = set_text(e, "registry", registry, err);
    if (rv == 0)
        rv = set_text(e, "username", access->username, err);
    if (rv == 0)
        rv = set_text(e, "password", access->password, err);
    if (rv == 0)
        rv = set_text(e, "ca", access->ca, err);
    json_object_set_new(e, "mirror", json_boolean(mirror));
    json_array_append_new(endpoints, e);
    return rv;
}

static int ask(const struct runtime *rt, const char *registry, struct registry_access *ret,
               struct err *err)
{
    if (!rt->on_registry)
        return 0;
    return rt->on_registry(rt->on_registry_arg, registry, ret, err);
}

/* The host of a mirror's base URL, "mirror.example:5000", to *@ret (the caller frees), and where it
 * ends without slashes. */
static int split_mirror(const char *url, char **ret_host, size_t *ret_len, struct err *err)
{
    size_t scheme = strncasecmp(url, "https://", 8) == 0  ? 8
                    : strncasecmp(url, "http://", 7) == 0 ? 7
                                                          : 0;
    size_t len = strlen(url);
    while (len > scheme && url[len - 1] == '/')
        len--;
    size_t host = strcspn(url + scheme, "/");
    bool clean = true;
    for (const char *p = url; *p; p++)
        clean &= *p > ' ' && *p < 0x7f && !strchr("@?#\\", *p);
    if (scheme == 0 || host == 0 || len > URL_MAX || !clean)
        return err_set(err, ERR_INVALID,
                       "mirror '%.100s' is no base URL like https://mirror.example:5000", url);
    *ret_host = str_printf("%.*s", (int)host, url + scheme);
    *ret_len = len;
    return 0;
}

/* A mirror is another registry: it is reached as is known of it, without the first one's
 * credentials. */
static int add_mirror(const struct runtime *rt, json_t *endpoints, const char *url, struct err *err)
{
    struct registry_access access = {0};
    cleanup_free char *host = NULL;
    size_t len = 0;
    int rv = split_mirror(url, &host, &len, err);
    if (rv < 0)
        return rv;
    cleanup_free char *base = str_printf("%.*s", (int)len, url);
    rv = ask(rt, host, &access, err);
    if (rv == 0)
        rv = add_endpoint(endpoints, base, host, &access, true, err);
    registry_access_release(&access);
    return rv;
}

static int add_endpoints(const struct runtime *rt, const struct registry_wish *wish,
                         const struct registry_access *access, json_t *endpoints, struct err *err)
{
    cleanup_free char *url = str_printf("%s://%s", is_plain(rt, wish, access) ? "http" : "https",
                                        host_of(wish->registry));
    int rv = check_password(rt, wish, access, err);
    for (size_t i = 0; rv == 0 && wish->mirrors && access->mirrors && access->mirrors[i]; i++) {
        if (i == MIRRORS_MAX)
            return err_set(err, ERR_INVALID, "registry %.80s has more than %d mirrors",
                           wish->registry, MIRRORS_MAX);
        rv = add_mirror(rt, endpoints, access->mirrors[i], err);
    }
    return rv < 0 ? rv : add_endpoint(endpoints, url, wish->registry, access, false, err);
}

static const char *environment(const char *lower, const char *upper)
{
    const char *value = getenv(lower);
    return value && *value ? value : str_or_empty(getenv(upper));
}

/* The proxies of this process' environment. What is on this machine is reached without. */
static json_t *make_proxy(const struct registry_wish *wish)
{
    const char *all = environment("all_proxy", "ALL_PROXY");
    const char *http = environment("http_proxy", "HTTP_PROXY");
    const char *https = environment("https_proxy", "HTTPS_PROXY");
    const char *except = environment("no_proxy", "NO_PROXY");
    json_t *proxy = json_object();
    if (image_registry_is_local(wish->registry))
        return proxy;
    cleanup_free char *exceptions =
        str_printf("%s%slocalhost,127.0.0.1,::1", except, *except ? "," : "");
    set_text(proxy, "http", *http ? http : all, NULL);
    set_text(proxy, "https", *https ? https : all, NULL);
    set_text(proxy, "except", strcmp(except, "*") == 0 ? "*" : exceptions, NULL);
    return proxy;
}

static int add_push(json_t *root, const struct registry_wish *wish, struct err *err)
{
    json_t *push = json_object();
    json_t *mounts = json_object();
    int rv = set_text(push, "manifest", wish->manifest, err);
    for (size_t i = 0; rv == 0 && i < wish->mounts_n; i++)
        rv = set_text(mounts, wish->mounts[i].digest, wish->mounts[i].repository, err);
    json_object_set_new(push, "mounts", mounts);
    json_object_set_new(root, "push", push);
    return rv;
}

/* Put the text into a file without a name. */
static int store(const char *text, int *ret_fd, struct err *err)
{
    cleanup_close int fd = memfd_create("wherry-registry", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "make a file for the registry's settings");
    int rv = fd_write_all(fd, text, strlen(text));
    if (rv < 0)
        return err_errno(err, -rv, "write the registry's settings");
    *ret_fd = steal_fd(&fd);
    return 0;
}

int registry_settings(const struct runtime *rt, const struct registry_wish *wish, int *ret_fd,
                      struct err *err)
{
    struct registry_access asked = {0};
    json_t *root = json_object();
    json_t *endpoints = json_array();
    int rv = wish->access ? 0 : ask(rt, wish->registry, &asked, err);
    json_object_set_new(root, "proxy", make_proxy(wish));
    json_object_set_new(root, "stall_s", json_integer(rt->registry_stall_s));
    json_object_set_new(root, "endpoints", endpoints);
    if (rv == 0)
        rv = set_text(root, "platform", wish->platform, err);
    if (rv == 0 && wish->manifest)
        rv = add_push(root, wish, err);
    if (rv == 0)
        rv = add_endpoints(rt, wish, wish->access ? wish->access : &asked, endpoints, err);
    registry_access_release(&asked);
    char *text = rv == 0 ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (rv == 0)
        rv = store(text, ret_fd, err);
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
    return rv;
}
