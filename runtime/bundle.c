/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/bundle.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/bundle_parts.h"
#include "runtime/capability.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/machine.h"

#include <string.h>

json_t *bundle_strings(const char *const *strings, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_string(strings[i]));
    return array;
}

void bundle_append(json_t *array, const char *const *strings)
{
    for (; strings && *strings; strings++)
        json_array_append_new(array, json_string(*strings));
}

const char *bundle_working_dir(const struct container_spec *spec, const struct image *image)
{
    if (spec->working_dir)
        return spec->working_dir;
    return image->working_dir && image->working_dir[0] == '/' ? image->working_dir : "/";
}

static json_t *annotations_json(const struct bundle *b)
{
    json_t *object = json_object();
    if (b->seccomp_program)
        json_object_set_new(object, "run.oci.seccomp_bpf_data", json_string(b->seccomp_program));
    for (const char *const *a = b->spec->annotations; a && *a; a++) {
        size_t key = strcspn(*a, "=");
        cleanup_free char *name = str_printf("%.*s", (int)key, *a);
        json_object_set_new(object, name, json_string(*a + key + 1));
    }
    return object;
}

/* Put the number in that BUNDLE_UNLIMITED stands for; both have 20 letters. A quote inside a string
 * has a backslash before it, so only keys are found. */
static void write_unlimited(char *text)
{
    static const char *const places[] = {"\"hard\":-9223372036854775807",
                                         "\"soft\":-9223372036854775807"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        for (char *p = text; (p = strstr(p, places[i]));)
            memcpy(p + strlen("\"hard\":"), "18446744073709551615", 20);
    }
}

int bundle_write(const struct bundle *b, struct buf *out, struct err *err)
{
    uint64_t capabilities;
    int rv = machine_check(b->machine, b->spec, err);
    if (rv == 0)
        rv = capability_set(b->spec, b->machine->capabilities, &capabilities, err);
    if (rv < 0)
        return rv;
    json_t *args = bundle_args(b);
    if (json_array_size(args) == 0) {
        json_decref(args);
        return err_set(err, ERR_INVALID, "image %s names no command and none was given",
                       str_or_empty(b->image->name));
    }
    cleanup_free char *root =
        b->spec->userns ? str_printf("%s/root", b->rootfs) : str_copy(b->rootfs);
    json_t *config =
        json_pack("{s:s, s:o, s:{s:s, s:b}, s:o, s:o}", "ociVersion", "1.0.0", "process",
                  bundle_process(b, args, capabilities), "root", "path", root, "readonly",
                  b->spec->read_only, "mounts", bundle_mounts(b), "linux", bundle_linux(b));
    if (config && b->spec->hostname)
        json_object_set_new(config, "hostname", json_string(b->spec->hostname));
    if (config && (b->spec->annotations || b->seccomp_program))
        json_object_set_new(config, "annotations", annotations_json(b));
    cleanup_free char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    if (!text)
        return err_set(err, ERR_INVALID, "image %s: its config is not valid UTF-8",
                       str_or_empty(b->image->name));
    write_unlimited(text);
    buf_puts(out, text);
    return 0;
}
