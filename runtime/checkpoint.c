/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/checkpoint.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/freeze.h"
#include "runtime/internal.h"
#include "runtime/oci.h"
#include "runtime/process.h"

#include <string.h>
#include <unistd.h>

enum {
    CHECKPOINT_MS = 120000,
    OUTPUT_MAX = 4096,
};

/* The last line of what it said, which has the reason. */
static const char *last_line(struct buf *said)
{
    buf_append(said, "", 0);
    while (said->len > 0 && said->data[said->len - 1] == '\n')
        said->data[--said->len] = '\0';
    const char *line = strrchr(said->data, '\n');
    line = line ? line + 1 : said->data;
    return *line ? line : "it failed without a word";
}

static int run(struct runtime *rt, const char *id, const char *images, const char *work,
               bool leave_running, struct err *err)
{
    const struct oci_runtime *oci = oci_of(rt, id);
    cleanup_free char *root = str_printf("%s/oci", rt->run_dir);
    cleanup_buf struct buf said = BUF_INIT;
    const char *argv[] = {oci->path,
                          "--root",
                          root,
                          "checkpoint",
                          "--image-path",
                          images,
                          "--work-path",
                          work,
                          leave_running ? "--leave-running" : id,
                          leave_running ? id : NULL,
                          NULL};
    int code = 0;
    int rv = process_run(argv, oci->hide, CHECKPOINT_MS, OUTPUT_MAX, &said, &code, err);
    if (rv == 0 && code != 0)
        rv = err_set(err, ERR_UNSUPPORTED,
                     "%.32s cannot checkpoint here: %.110s; it takes criu, an OCI runtime built "
                     "for it, and a kernel with CONFIG_CHECKPOINT_RESTORE",
                     oci->version, last_line(&said));
    return rv;
}

int container_checkpoint(struct runtime *rt, const char *id, const char *name, bool leave_running,
                         struct err *err)
{
    struct container_state state;
    if (!container_record_id_ok(name))
        return err_set(err, ERR_INVALID, "checkpoint '%.40s': not 1 to 32 of a-z, 0-9 and -",
                       str_or_empty(name));
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    if (state.status != CONTAINER_RUNNING)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    cleanup_free char *data = container_data_dir(rt, id);
    cleanup_free char *parent = str_printf("%s/checkpoints", data);
    cleanup_free char *dir = str_printf("%s/%s", parent, name);
    cleanup_free char *images = str_printf("%s/images", dir);
    cleanup_free char *work = str_printf("%s/work", dir);
    cleanup_free char *group = container_group(rt, id);
    if (file_exists(dir))
        return err_set(err, ERR_EXISTS, "container %s has a checkpoint %s already", id, name);
    if ((rv = file_mkdirs(images, 0700, err)) == 0 && (rv = file_mkdirs(work, 0700, err)) == 0)
        rv = run(rt, id, images, work, leave_running, err);
    if (rv == 0)
        rv = file_sync_dir(parent, err);
    if (rv < 0) {
        /* What failed half way must not stay frozen. */
        if (!state.paused && freeze_is_on(rt, group))
            freeze_thaw(rt, group);
        file_remove_tree(dir, NULL);
    }
    return rv;
}
