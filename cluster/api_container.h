/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_container - the verbs about single containers of a machine; part of api.h.
 *
 * Each request begins with a node and a container. The container is a task's name ("shop.web.2",
 * or "shop.web" when that has one task), an id ("t42") or the beginning of one that is unique. The
 * node is a member's name; "" stands for the one that has the task, else for the called one. The
 * member that is called hands the call on to the one that has the container.
 *
 * What takes long (copies, commit, checkpoint) is answered with a job at once; container.job
 * answers when it is done. Archives travel in pieces of at most 1 MiB, as image.upload's do.
 */
#ifndef WHERRY_CLUSTER_API_CONTAINER_H
#define WHERRY_CLUSTER_API_CONTAINER_H

#include "store/record.h"

/* name, request, reply */
#define CONTAINER_VERBS(X)                                                                         \
    X("container.list", container_request, container_list_reply)                                   \
    X("container.inspect", container_request, container_text_reply)                                \
    X("container.signal", container_signal_request, empty)                                         \
    X("container.pause", container_request, empty)                                                 \
    X("container.resume", container_request, empty)                                                \
    X("container.update", container_update_request, empty)                                         \
    X("container.wait", container_wait_request, container_wait_reply)                              \
    X("container.stats", container_request, container_stats_reply)                                 \
    X("container.top", container_request, container_top_reply)                                     \
    X("container.logs", container_logs_request, logs_reply)                                        \
    X("container.diff", container_request, container_diff_reply)                                   \
    X("container.look", container_path_request, container_path_reply)                              \
    X("container.upload", container_upload_request, upload_reply)                                  \
    X("container.read", container_read_request, container_read_reply)                              \
    X("container.copy_out", container_path_request, job_reply)                                     \
    X("container.copy_in", container_copy_in_request, job_reply)                                   \
    X("container.commit", container_commit_request, job_reply)                                     \
    X("container.checkpoint", container_checkpoint_request, job_reply)                             \
    X("container.job", container_job_request, container_job_reply)

struct container_request {
    char *node;
    char *container;
};

struct container_info {
    char *id;
    char *name; /* of its task, "shop.web.2"; "" without one */
    char *node;
    char *image;
    char *state; /* "created", "running", "paused", "exited", "lost" */
    int64_t run;
    int64_t restarts;
    int64_t pid; /* of its first process, 0: it does not run */
    int64_t exit_code;
    bool oom_killed;
    int64_t started_ms;
    int64_t finished_ms;
};

struct container_list_reply {
    struct container_info *containers;
    size_t containers_n;
};

/* A JSON object. */
struct container_text_reply {
    char *json;
};

struct container_signal_request {
    char *node;
    char *container;
    char *signal; /* "HUP", "SIGHUP" or "1"; "" is KILL */
};

/* A limit of a block device; kind as enum container_io_kind. */
struct container_io_limit {
    int64_t kind;
    char *path;
    int64_t value;
};

/* The limits that @set names (enum container_update_field of runtime/update.h). */
struct container_update_request {
    char *node;
    char *container;
    int64_t set;
    int64_t cpu_milli;
    int64_t cpu_shares;
    char *cpuset;
    int64_t memory_bytes;
    int64_t memswap_bytes;
    int64_t reserved_bytes;
    int64_t pids_max;
    int64_t io_weight;
    struct container_io_limit *io;
    size_t io_n;
};

struct container_wait_request {
    char *node;
    char *container;
    int64_t run;     /* that is waited for; 0: the one of now */
    int64_t wait_ms; /* at most 30000 */
};

struct container_wait_reply {
    bool ended;
    int64_t run;
    int64_t exit_code; /* when it has ended */
    bool exit_unknown; /* … but the next run came before anybody looked */
    bool oom_killed;
};

/* As struct container_stats of runtime/stats.h. Pressure in hundredths of a percent. */
struct container_usage {
    char *id;
    char *name;
    char *node;
    int64_t time_ns;
    int64_t run;
    int64_t cpu_ns;
    int64_t cpu_user_ns;
    int64_t cpu_system_ns;
    int64_t cpu_limit_milli;
    int64_t periods;
    int64_t throttled_periods;
    int64_t throttled_ns;
    int64_t memory_bytes;
    int64_t memory_working_bytes;
    int64_t memory_file_bytes;
    int64_t memory_peak_bytes;
    int64_t memory_limit_bytes;
    int64_t machine_memory_bytes;
    int64_t swap_bytes;
    int64_t oom_kills;
    int64_t read_bytes;
    int64_t write_bytes;
    int64_t reads;
    int64_t writes;
    int64_t pids;
    int64_t pids_limit;
    bool pressure_known;
    int64_t cpu_some_centi;
    int64_t cpu_full_centi;
    int64_t memory_some_centi;
    int64_t memory_full_centi;
    int64_t io_some_centi;
    int64_t io_full_centi;
    bool network_known;
    int64_t rx_bytes;
    int64_t rx_packets;
    int64_t rx_dropped;
    int64_t tx_bytes;
    int64_t tx_packets;
    int64_t tx_dropped;
    int64_t cpu_centi; /* the command line's: hundredths of a percent of a core since the last */
};

struct container_stats_reply {
    struct container_usage *containers; /* those that run */
    size_t containers_n;
};

struct container_process_info {
    int64_t pid;
    int64_t inside_pid;
    int64_t parent_pid;
    int64_t uid;
    char *user;
    char *state;
    int64_t threads;
    int64_t cpu_ms;
    int64_t rss_bytes;
    int64_t started_ms;
    char *command;
};

struct container_top_reply {
    struct container_process_info *processes;
    size_t processes_n;
};

/* As logs.read, of any container. */
struct container_logs_request {
    char *node;
    char *container;
    int64_t run;
    int64_t file;
    int64_t offset;
    bool has_tail;
    int64_t tail;
    int64_t wait_ms;
};

struct container_change_info {
    char *kind; /* "A" added, "C" changed, "D" deleted */
    char *path;
};

struct container_diff_reply {
    struct container_change_info *changes;
    size_t changes_n;
    bool cut; /* there are more */
};

/* --- files -------------------------------------------------------------------------------- */

struct container_path_request {
    char *node;
    char *container;
    char *path;
    bool follow; /* a symbolic link at its end, too */
};

struct container_path_reply {
    char *kind;  /* "file", "folder", "link", "other"; "" when there is nothing */
    bool parent; /* the folder it is in, or would be in, exists */
    int64_t mode;
    int64_t size;
    char *link; /* what a link says */
};

struct container_upload_request {
    char *node;
    char *container;
    char *upload; /* "": the first piece; the reply names it */
    int64_t offset;
    struct bytes data;
};

/* A piece of what a copy_out wrote, or with @done: nobody needs it any more. */
struct container_read_request {
    char *node;
    char *container;
    char *upload;
    int64_t offset;
    bool done;
};

struct container_read_reply {
    struct bytes data; /* none at its end */
};

struct container_copy_in_request {
    char *node;
    char *container;
    char *path;   /* of a folder that exists */
    char *upload; /* a tar archive, which is deleted */
    bool owners;  /* keep those of the archive; else its root's */
};

struct container_commit_request {
    char *node;
    char *container;
    char *name;
    char *author;
    char *message;
    bool no_pause;
    bool entrypoint_set;
    char **entrypoint;
    size_t entrypoint_n;
    bool command_set;
    char **command;
    size_t command_n;
    char **env; /* "K=V", over the image's */
    size_t env_n;
    char **labels; /* "K=V" */
    size_t labels_n;
    char *working_dir; /* "": as it was */
    char *user;
};

struct container_checkpoint_request {
    char *node;
    char *container;
    char *name;
    bool leave_running;
};

struct container_job_request {
    char *node;
    char *container;
    char *job;
    int64_t wait_ms; /* at most 30000 */
};

struct container_job_reply {
    bool done;
    char *text;    /* for people */
    int64_t code;  /* wire number, 0: well */
    char *message; /* with a code */
    char *upload;  /* of a copy_out: where to read */
    int64_t size;
    char *digest; /* of a commit: the image's */
    char *name;
};

extern const struct record_type container_io_limit_type, container_info_type, container_usage_type,
    container_process_info_type, container_change_info_type;

#endif
