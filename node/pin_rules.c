/* SPDX-License-Identifier: Apache-2.0 */
#include "node/pin_rules.h"

#include "base/err.h"
#include "base/mem.h"
#include "runtime/image_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_digest(const char *image)
{
    struct image_ref ref;
    return image_digest_valid(image) ||
           (image_ref_parse(image, &ref, NULL) == 0 && ref.digest[0] != '\0');
}

enum pin_way pin_decide(const struct spec *wanted, const struct spec *deployed, bool pull,
                        char **ret_digest)
{
    bool anew = pull || wanted->pull_policy == PULL_ALWAYS;
    *ret_digest = NULL;
    if (has_digest(str_or_empty(wanted->image)))
        return PIN_STAYS;
    if (deployed && !anew && str_equal(deployed->image, wanted->image) &&
        str_equal(deployed->platform, wanted->platform)) {
        *ret_digest = str_copy(str_or_empty(deployed->image_digest));
        return PIN_STAYS;
    }
    if (wanted->pull_policy == PULL_NEVER)
        return PIN_MEMBERS;
    return anew ? PIN_REGISTRY_FIRST : PIN_MEMBERS_FIRST;
}

/* What a registry refused with names the image. */
static char *warn(const char *image, const struct pin_found *found, bool of_members)
{
    if (of_members)
        return str_printf("%.200s; what the members have under that name is used",
                          found->refusal->msg);
    if (found->refusal)
        return str_printf("tag not resolved, replicas may differ: %.200s", found->refusal->msg);
    return str_printf("tag not resolved, replicas may differ: no member has %.150s", image);
}

int pin_conclude(const char *image, enum pin_way way, const struct pin_found *found,
                 char ret_digest[72], char **ret_warning, struct err *err)
{
    const char *first = way == PIN_REGISTRY_FIRST ? found->registry : found->members;
    const char *second = way == PIN_REGISTRY_FIRST ? found->members : found->registry;
    const struct err *refusal = found->refusal;
    *ret_warning = NULL;
    str_fill(ret_digest, 72, *first ? first : second);
    if (*ret_digest) {
        if (way == PIN_REGISTRY_FIRST && !*first && refusal)
            *ret_warning = warn(image, found, true);
        return 0;
    }
    if (refusal && (refusal->code == ERR_DENIED || refusal->code == ERR_NOTFOUND ||
                    refusal->code == ERR_INVALID)) {
        *err = *refusal;
        return err->code;
    }
    *ret_warning = warn(image, found, false);
    return 0;
}

int pin_name(const char *image, const char *digest, char **ret_name, struct err *err)
{
    struct image_ref ref;
    int rv = image_ref_parse(image, &ref, err);
    if (rv < 0)
        return rv;
    ref.tag[0] = '\0';
    str_fill(ref.digest, sizeof(ref.digest), digest);
    *ret_name = image_ref_format(&ref);
    return 0;
}

void pin_short(const char *digest, char out[32])
{
    const char *at = strstr(digest, "sha256:");
    snprintf(out, 32, "%.19s…", at ? at : digest);
}

bool pin_arch_is_one(const struct node *nodes, size_t n, const char *arch)
{
    for (size_t i = 0; i < n; i++)
        if (!nodes[i].witness && !str_equal(nodes[i].arch, arch))
            return false;
    return true;
}
