/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/registry.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/image.h"
#include "runtime/image_helper.h"
#include "runtime/image_name.h"
#include "runtime/internal.h"
#include "runtime/registry_settings.h"

#include <stdlib.h>
#include <string.h>

void registry_access_release(struct registry_access *access)
{
    free(access->username);
    if (access->password)
        explicit_bzero(access->password, strlen(access->password));
    free(access->password);
    free(access->ca);
    image_strings_free(access->mirrors);
    *access = (struct registry_access){0};
}

void runtime_on_registry(struct runtime *rt, registry_access_cb cb, void *arg)
{
    rt->on_registry = cb;
    rt->on_registry_arg = arg;
}

/* The helper's "digest DIGEST". */
static int on_digest(void *arg, char **words, size_t n, enum image_answer *ret_answer,
                     struct err *err)
{
    char *digest = arg;
    (void)ret_answer;
    if (!digest || n != 2 || strcmp(words[0], "digest") != 0 || !image_digest_valid(words[1]))
        return err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    str_fill(digest, IMAGE_DIGEST_SIZE, words[1]);
    return 0;
}

/* Run the helper's @mode, which writes no file, on @what. */
static int run_helper(struct runtime *rt, const char *mode, const char *what, int settings_fd,
                      char *digest, struct err *err)
{
    cleanup_free char *folder = str_printf("%s/images/ingest/pull", rt->data_dir);
    const char *const argv[] = {mode, folder, "0", what, NULL};
    struct image_helper_job job = {
        .argv = argv, .input_fd = settings_fd, .label = what, .on_line = on_digest, .arg = digest};
    int rv = file_mkdirs(folder, 0700, err);
    return rv < 0 ? rv : image_helper_run(rt, &job, err);
}

int registry_check(struct runtime *rt, const char *registry, const struct registry_access *access,
                   struct err *err)
{
    cleanup_close int fd = -1;
    struct registry_wish wish = {.registry = registry, .access = access};
    int rv = registry_settings(rt, &wish, &fd, err);
    return rv < 0 ? rv : run_helper(rt, "check", registry, fd, NULL, err);
}

int image_resolve(struct runtime *rt, const char *ref, char ret_digest[72], struct err *err)
{
    cleanup_close int fd = -1;
    struct image_ref parsed;
    char digest[IMAGE_DIGEST_SIZE] = "";
    int rv = image_ref_parse(ref, &parsed, err);
    if (rv < 0)
        return rv;
    cleanup_free char *name = image_ref_format(&parsed);
    struct registry_wish wish = {.registry = parsed.registry, .mirrors = true};
    if (parsed.digest[0])
        str_fill(digest, sizeof(digest), parsed.digest);
    else if ((rv = registry_settings(rt, &wish, &fd, err)) == 0)
        rv = run_helper(rt, "resolve", name, fd, digest, err);
    if (rv == 0 && !digest[0])
        rv = err_set(err, ERR_INTERNAL, "wherry-image speaks an unknown language");
    if (rv < 0)
        return err_wrap(err, "%.100s", ref);
    str_fill(ret_digest, IMAGE_DIGEST_SIZE, digest);
    return 0;
}
