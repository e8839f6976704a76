/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_standalone - the verbs about containers that belong to no stack, and about the volumes of a
 * machine; part of api.h.
 *
 * Such a container is called by its name ("web") or its id ("c-web"); requests begin with a node
 * and a container as those of api_container.h do. They work on a machine that is no member of a
 * cluster too. Those about volumes begin with a node alone.
 */
#ifndef WHERRY_CLUSTER_API_STANDALONE_H
#define WHERRY_CLUSTER_API_STANDALONE_H

#include "store/model.h"

/* name, request, reply */
#define STANDALONE_VERBS(X)                                                                        \
    X("container.create", container_create_request, container_create_reply)                        \
    X("container.start", container_request, empty)                                                 \
    X("container.stop", container_stop_request, empty)                                             \
    X("container.remove", container_remove_request, empty)                                         \
    X("container.idle", container_request, container_idle_reply)                                   \
    X("volume.list", volume_request, volume_list_reply)                                            \
    X("volume.inspect", volume_request, volume_list_reply)                                         \
    X("volume.create", volume_request, empty)                                                      \
    X("volume.pack", volume_copy_request, job_reply)                                               \
    X("volume.unpack", volume_copy_request, job_reply)                                             \
    X("volume.home", volume_home_request, empty)                                                   \
    X("volume.remove", volume_remove_request, empty)                                               \
    X("volume.prune", volume_prune_request, volume_list_reply)                                     \
    X("snapshot.create", snapshot_request, snapshot_list_reply)                                    \
    X("snapshot.list", snapshot_request, snapshot_list_reply)                                      \
    X("snapshot.remove", snapshot_request, empty)                                                  \
    X("snapshot.restore", snapshot_request, empty)

/* The image is to be on the machine already: ERR_NOTFOUND says that it is not. Of the spec counts
 * what makes a container; its networks are none, or with options.network_host the machine's. */
struct container_create_request {
    char *node;
    char *container; /* its name: at most 30 of a-z, 0-9 and -; "": one is made up */
    struct spec spec;
    char *restart; /* "no", "on-failure", "always", "unless-stopped" */
    int64_t retries_max;
    bool auto_remove;
    bool held; /* … not before its end was looked at, or a minute has passed */
};

struct container_create_reply {
    char *id;
    char *name;
};

struct container_stop_request {
    char *node;
    char *container;
    bool has_grace;
    int64_t grace_ms;
    bool restart; /* start it again */
};

struct container_remove_request {
    char *node;
    char *container;
    bool force; /* also when it runs */
};

/* Those that do not run and are not to. */
struct container_idle_reply {
    char **ids;
    size_t ids_n;
};

struct volume_request {
    char *node;
    char *volume;
    /* To be made: as struct volume has them (store/model.h). Those of a type take a cluster. */
    struct pair *options;
    size_t options_n;
    struct pair *labels;
    size_t labels_n;
};

struct volume_remove_request {
    char *node;
    char *volume;
    bool force; /* also when services of the cluster have their data in it */
};

struct volume_prune_request {
    char *node;
    bool all; /* named ones too */
    bool dry_run;
};

/* Pack all of a volume into an archive, or unpack one: jobs, as those of containers
 * (api_container.h), whose requests begin so. */
struct volume_copy_request {
    char *node;
    char *container; /* "" */
    char *volume;
    char *snapshot; /* to pack: of this one, or "" as it is now */
    char *upload;   /* to unpack: the archive, which is deleted */
    char *digest;   /* … and what it must have: "sha256:…", as packing said */
    bool replace;   /* … and what is in the volume goes */
};

/* A volume's home is elsewhere from now on: its content was brought there. */
struct volume_home_request {
    char *volume;
    char *from; /* a member's name; "": it had none */
    char *to;   /* … ; "": the one that is called */
};

struct volume_info {
    char *name;
    char *node;
    char *path;
    int64_t size_bytes;
    bool size_cut;       /* there is more: the count was given up */
    int64_t limit_bytes; /* the most it may take; 0: no limit */
    bool anonymous;      /* made for one container, and going with it */
    char *stack;         /* whose it is, "": none's that the cluster knows */
    bool home;           /* the stack's services have it here */
    char **users;        /* containers of this machine: names, or ids */
    size_t users_n;
    char **services; /* of the cluster that mount it */
    size_t services_n;
    int64_t created_ms;
};

struct volume_list_reply {
    struct volume_info *volumes;
    size_t volumes_n;
};

/* A snapshot of a volume: what was in it at one moment. */
struct snapshot_request {
    char *node;
    char *volume; /* to list: "" for all */
    char *name;   /* to create: "" is given one by the time */
    bool running; /* to create: its containers are not frozen meanwhile */
};

struct snapshot_info {
    char *volume;
    char *name;
    char *node;
    int64_t created_ms;
    int64_t frozen_ms; /* of one that was just made: how long containers stood still for it */
};

struct snapshot_list_reply {
    struct snapshot_info *snapshots;
    size_t snapshots_n;
};

extern const struct record_type volume_info_type, snapshot_info_type;

#endif
