/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container_record.h"
#include "runtime/device.h"
#include "runtime/idmap.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/machine.h"
#include "runtime/oci.h"
#include "runtime/quota.h"
#include "runtime/seccomp.h"
#include "runtime/shim/protocol.h"
#include "runtime/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    END_WAIT_MS = 10000,
};

/* Folders in containers/ that begin with a dot are being made or taken away: ".new-ID", ".old-ID".
 * A crash leaves them, container_sweep() ends it. */

char *container_data_dir(const struct runtime *rt, const char *id)
{
    return str_printf("%s/containers/%s", rt->data_dir, id);
}

char *container_state_dir(const struct runtime *rt, const char *id)
{
    return str_printf("%s/containers/%s", rt->run_dir, id);
}

char *container_group(const struct runtime *rt, const char *id)
{
    return str_printf("%s/container/%s", rt->cgroup_parent, id);
}

const char *container_exits_dir(const struct runtime *rt)
{
    return rt->exits_dir;
}

/* What cannot be honoured on this machine is refused now, not at the first start. */
static int check_machine(struct runtime *rt, const struct container_spec *spec, struct err *err)
{
    if (spec->storage_bytes > 0 && disk_quota_check(rt->data_dir, "storage_bytes", err) < 0)
        return ERR_UNSUPPORTED;
    struct machine machine;
    struct device_set devices = {0};
    machine_read(rt, &machine);
    const struct oci_runtime *oci;
    int rv = machine_check(&machine, spec, err);
    if (rv == 0)
        rv = oci_find(rt, spec->oci_runtime, &oci, err);
    /* It enters the user namespace before the network's, which is not that one's own. */
    if (rv == 0 && spec->userns && spec->netns && str_starts(oci->version, "runc "))
        rv = err_set(err, ERR_UNSUPPORTED,
                     "userns: runc cannot run commands in such a container with a network of its "
                     "own; use crun");
    if (rv == 0 && spec->seccomp && strcmp(spec->seccomp, "unconfined") != 0) {
        struct seccomp_profile *profile = NULL;
        rv = seccomp_profile_parse(spec->seccomp, strlen(spec->seccomp), &profile, err);
        seccomp_profile_free(profile);
    }
    if (rv == 0)
        rv = device_find(spec, &devices, err);
    device_set_release(&devices);
    return rv;
}

static int fill_dir(const struct runtime *rt, const char *dir, const struct container_spec *spec,
                    const struct image *image, struct err *err)
{
    const char *top = NULL;
    for (char **l = image->layer_dirs; l && *l; l++)
        top = *l;
    int rv = snapshot_create(dir, top, err);
    if (rv == 0 && spec->storage_bytes > 0)
        rv = disk_quota_set(rt->data_dir, dir, spec->storage_bytes, err);
    if (rv < 0)
        return rv;
    cleanup_free char *log = str_printf("%s/" SHIM_DIR_LOG, dir);
    cleanup_free char *etc = str_printf("%s/etc", dir);
    cleanup_free char *record = str_printf("%s/spec.json", dir);
    if (mkdir(log, 0750) < 0 || mkdir(etc, 0755) < 0)
        return err_errno(err, errno, "make folders in %s", dir);
    if ((rv = container_record_save(record, spec, image->digest, err)) < 0)
        return rv;
    return file_sync_dir(dir, err);
}

/* Find the image of @spec and hold it for the container: its layers stay from then on. */
static int find_image(struct runtime *rt, const struct container_spec *spec,
                      struct image *ret_image, struct err *err)
{
    struct image image = {0};
    int rv = image_find(rt, spec->image, &image, err);
    if (rv == 0)
        rv = image_hold(rt, spec->id, image.digest, err);
    if (rv == 0)
        rv = image_find(rt, image.digest, ret_image, err);
    image_release(&image);
    return rv;
}

/* End what runs of @id and take away what is in the run folder, whether it has a record or not. */
static int clear_state(struct runtime *rt, const char *id, struct err *err)
{
    int rv = container_kill(rt, id, err);
    if (rv < 0)
        return rv;
    cleanup_free char *state = container_state_dir(rt, id);
    cleanup_free char *group = container_group(rt, id);
    cleanup_free char *scratch = str_printf("%s/" SHIM_DIR_ROOTFS, state);
    cleanup_free char *note = str_printf("%s/%s", rt->exits_dir, id);
    if (!container_wait_shim(rt, id, END_WAIT_MS))
        return err_set(err, ERR_TIMEOUT, "the shim of container %s does not end", id);
    rv = cgroup_clear(rt, group, END_WAIT_MS, err);
    if (rv < 0)
        return err_wrap(err, "remove container %s", id);
    oci_forget(rt, id);
    while (umount2(scratch, MNT_DETACH) == 0)
        ;
    unlink(note);
    return file_remove_tree(state, err);
}

int container_create(struct runtime *rt, const struct container_spec *spec, struct err *err)
{
    int rv = container_record_check(spec, err);
    if (rv == 0)
        rv = check_machine(rt, spec, err);
    if (rv < 0)
        return rv;
    cleanup_free char *parent = str_printf("%s/containers", rt->data_dir);
    cleanup_free char *dir = container_data_dir(rt, spec->id);
    cleanup_free char *fresh = str_printf("%s/.new-%s", parent, spec->id);
    if (file_exists(dir))
        return err_set(err, ERR_EXISTS, "container %s already exists", spec->id);
    /* Its durable folder may have been lost without it. */
    rv = clear_state(rt, spec->id, err);
    if (rv == 0)
        rv = file_remove_tree(fresh, err);
    if (rv == 0 && mkdir(fresh, 0700) < 0)
        rv = err_errno(err, errno, "make folder %s", fresh);
    if (rv == 0 && spec->userns)
        rv = idmap_lease(rt, fresh, err);
    if (rv < 0)
        return rv;
    struct image image = {0};
    rv = find_image(rt, spec, &image, err);
    if (rv == 0)
        rv = fill_dir(rt, fresh, spec, &image, err);
    if (rv == 0 && rename(fresh, dir) < 0)
        rv = err_errno(err, errno, "make container %s", spec->id);
    image_release(&image);
    if (rv < 0) {
        image_unhold(rt, spec->id, NULL);
        file_remove_tree(fresh, NULL);
        return rv;
    }
    return file_sync_dir(parent, err);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in data_dir/containers, with a dot first or without. */
static int list_dirs(const struct runtime *rt, bool dotted, char ***ret_names, struct err *err)
{
    cleanup_free char *parent = str_printf("%s/containers", rt->data_dir);
    DIR *dir = opendir(parent);
    if (!dir)
        return err_errno(err, errno, "list %s", parent);
    char **names = mem_alloc(1, sizeof(char *));
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (dotted ? !str_starts(e->d_name, ".new-") && !str_starts(e->d_name, ".old-")
                   : !container_record_id_ok(e->d_name))
            continue;
        names = mem_resize(names, n + 2, sizeof(char *));
        names[n++] = str_copy(e->d_name);
    }
    closedir(dir);
    qsort(names, n, sizeof(char *), compare_strings);
    names[n] = NULL;
    *ret_names = names;
    return 0;
}

int container_list(struct runtime *rt, char ***ret_ids, struct err *err)
{
    return list_dirs(rt, false, ret_ids, err);
}

void container_sweep(struct runtime *rt)
{
    char **names;
    if (list_dirs(rt, true, &names, NULL) < 0)
        return;
    for (char **name = names; *name; name++) {
        const char *id = *name + strlen(".new-");
        cleanup_free char *path = str_printf("%s/containers/%s", rt->data_dir, *name);
        cleanup_free char *dir = container_data_dir(rt, id);
        if (!file_exists(dir))
            image_unhold(rt, id, NULL);
        file_remove_tree(path, NULL);
    }
    image_strings_free(names);
}

/* Take its durable folder away; from the rename on it does not exist. The files go before the note
 * that it holds its image: on a full disk there is room for that only then. Who calls again after a
 * failure takes up the rest. */
static int remove_dir(struct runtime *rt, const char *id, struct err *err)
{
    cleanup_free char *parent = str_printf("%s/containers", rt->data_dir);
    cleanup_free char *dir = container_data_dir(rt, id);
    cleanup_free char *old = str_printf("%s/.old-%s", parent, id);
    int rv = file_remove_tree(old, err);
    if (rv < 0)
        return rv;
    if (rename(dir, old) == 0)
        rv = file_sync_dir(parent, err);
    else if (errno != ENOENT)
        rv = err_errno(err, errno, "remove container %s", id);
    if (rv < 0)
        return rv;
    disk_quota_clear(old);
    if ((rv = file_remove_tree(old, err)) < 0)
        return rv;
    return image_unhold(rt, id, err);
}

int container_remove(struct runtime *rt, const char *id, struct err *err)
{
    int rv = clear_state(rt, id, err);
    return rv == 0 ? remove_dir(rt, id, err) : rv;
}
