/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime - the runtime core of one machine.
 *
 * Images (image.h), containers (container.h), their logs (log.h), named volumes (volume.h) and the
 * machine's part of the networks (network.h). It knows no cluster and no store, and is usable on
 * its own:
 *
 *     struct runtime *rt;
 *     runtime_open(&config, &rt, &err);
 *     image_load(rt, "nginx.tar", &names, &err);
 *     container_create(rt, &spec, &err);
 *     container_start(rt, "t7", 1, &err);
 *     runtime_close(rt);                      the containers run on
 *
 * Every function blocks and may be called from any thread unless its contract says otherwise; calls
 * about one container are the caller's to serialize. Nothing is kept in memory that is not on disk,
 * in the kernel or in a shim, so a runtime opened anew finds all containers as they are.
 *
 * Files below data_dir (durable):
 *     images/blobs/sha256/HEX    content by digest, complete and synced once its name is there
 *     images/layers/N/           an unpacked layer; short names keep overlay options short
 *     images/index.db            names to digests, layers to folders (SQLite)
 *     containers/ID/             spec.json, upper/ and work/ of its overlay, log/RUN.log
 *     volumes/NAME/              a volume
 * Files below run_dir (gone after a reboot):
 *     containers/ID/             bundle (config.json, rootfs mount), what the shim writes
 *     netns/ID                   the network namespace, bind-mounted
 *     oci/                       state of the OCI runtime
 */
#ifndef WHERRY_RUNTIME_RUNTIME_H
#define WHERRY_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct runtime;

struct runtime_config {
    const char *data_dir;      /* "/var/lib/wherry"; made if missing */
    const char *run_dir;       /* "/run/wherry"; made if missing */
    const char *cgroup_parent; /* "/wherry": all cgroups are made below it, on every hierarchy */
    const char *program_dir;   /* where wherry-shim and wherry-image are */
    const char *oci_runtime; /* "crun", "runc", a path, or NULL: the first that works, by probing */
    const char *const *oci_runtimes; /* NULL-terminated "NAME=PATH" of further ones; may be NULL */
    int64_t userns_base; /* from this id on, containers with user namespaces have their ranges; 0:
                            1,000,000. Nobody else may use these ids */
    const char *seccomp_profile;   /* file with the default profile for containers, in Docker's
                                      format; NULL: the built-in one (seccomp.h) */
    const char *const *plain_http; /* NULL-terminated "host:port" of registries that are spoken to
                                      over plain HTTP; may be NULL */
};

/* Open the runtime of this machine: makes the folders, probes the OCI runtime and the cgroup
 * hierarchies, opens the index. ERR_BUSY when another process has the same data_dir open.
 * ERR_UNAVAILABLE when no OCI runtime works; the message says what each one answered. */
int runtime_open(const struct runtime_config *config, struct runtime **ret_rt, struct err *err);

/* Close the index and free @rt. Containers, networks and mounts stay. NULL is fine. */
void runtime_close(struct runtime *rt);

/* Name and version of the OCI runtime in use, "crun 1.8.1". Borrowed. */
const char *runtime_oci_version(const struct runtime *rt);

/* An OCI runtime of this machine. */
struct runtime_oci {
    char *name;    /* as a container's spec names it */
    char *path;    /* NULL when it is not installed, or was not tried yet */
    char *version; /* "crun 1.8.1"; NULL unless it works */
    char *reason;  /* why it does not work; NULL when it does, or was not tried yet */
    bool works;
    bool is_default;
};

/* All that are known by name. Free the list with runtime_oci_list_free(). Never waits for one that
 * is being tried. */
void runtime_oci_list(const struct runtime *rt, struct runtime_oci **ret_list, size_t *ret_n);
void runtime_oci_list_free(struct runtime_oci *list, size_t n);

/* "v1", "v2" or "hybrid". */
const char *runtime_cgroup_mode(const struct runtime *rt);

#endif
