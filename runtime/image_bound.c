/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/index.h"
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

/* Did what @row stands for come by its digest? Then it has the name REPOSITORY@DIGEST as well. */
static int came_by_digest(struct runtime *rt, const struct index_image *row, bool *ret,
                          struct err *err)
{
    char **names;
    int rv = index_names_of(rt->index, row->digest, &names, err);
    if (rv < 0)
        return rv;
    *ret = false;
    for (char **name = names; *name; name++)
        *ret |= strstr(*name, "@sha256:") != NULL;
    image_strings_free(names);
    return 0;
}

int image_name_bound(struct runtime *rt, const char *bound, const char *name, struct err *err)
{
    cleanup_free char *normal = NULL;
    struct index_image row;
    struct err why = {0};
    bool ours = true;
    int rv = image_name_parse(name, &normal, err);
    if (rv < 0 || strchr(normal, '@'))
        return rv;
    rv = index_name_find(rt->index, normal, &row, &why);
    if (rv == 0) {
        free(row.name);
        rv = came_by_digest(rt, &row, &ours, &why);
    }
    if (rv < 0 && rv != ERR_NOTFOUND) {
        if (err)
            *err = why;
        return rv;
    }
    if (!ours)
        return 0;
    cleanup_free char *tagged = NULL;
    return image_tag(rt, bound, normal, &tagged, err);
}
