/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/registry_name.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/model.h"

#include <ctype.h>
#include <string.h>

static bool is_hub(const char *host)
{
    static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io",
                                        "hub.docker.com", "registry.hub.docker.com"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(host, names[i]) == 0)
            return true;
    return false;
}

int registry_name_read(const char *text, char **ret, struct err *err)
{
    const char *given = text ? text : "docker.io";
    const char *at = str_starts(given, "https://")  ? given + strlen("https://")
                     : str_starts(given, "http://") ? given + strlen("http://")
                                                    : given;
    cleanup_free char *host = str_copy(at);
    char *path = strchr(host, '/');
    for (char *c = host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (path && (strcmp(path, "/") == 0 || strcmp(path, "/v1/") == 0 || strcmp(path, "/v2/") == 0))
        *path = '\0';
    if (!registry_name_is_valid(host))
        return err_set(err, ERR_INVALID,
                       "'%.100s' is no registry: give its HOST or HOST:PORT, as it stands before "
                       "the first / of an image's name",
                       given);
    *ret = is_hub(host) ? str_copy("docker.io") : steal(&host);
    return 0;
}
