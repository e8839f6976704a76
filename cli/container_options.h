/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_options - the options of `wherry container create` and `run`: what docker calls them,
 * read by the functions that read the Compose keys of the same meaning.
 */
#ifndef WHERRY_CLI_CONTAINER_OPTIONS_H
#define WHERRY_CLI_CONTAINER_OPTIONS_H

#include "cli/args.h"
#include "cluster/api.h"

struct err;

struct run_options {
    const char *node;
    bool detach, remove, interactive, tty;
    const char *name;
    struct arg_texts env, env_files, volumes, tmpfs, labels;
    const char *dir, *user, *entrypoint, *hostname, *network;
    struct arg_texts cap_add, cap_drop, devices, ulimits, sysctls, security, groups, hosts,
        log_opts;
    const char *memory, *memory_swap, *cpus, *cpuset, *cpu_shares, *pids, *shm, *oom_score;
    bool privileged, read_only, init, oom_kill_disable;
    const char *pid, *ipc, *uts, *userns, *cgroupns;
    const char *log_driver, *restart, *stop_signal, *pull, *platform, *runtime;
    struct arg_number stop_s;
    struct arg_texts publish; /* refused */
};

/* For both commands; `run` has further ones before it. */
#define RUN_OPTIONS                                                                                \
    ARG_OPTION(struct run_options, ARG_TEXT, name, 0, "name", "NAME", "what it is called"),        \
        ARG_OPTION(struct run_options, ARG_FLAG, remove, 0, "rm", NULL,                            \
                   "remove it, with its anonymous volumes, when it ended"),                        \
        ARG_OPTION(struct run_options, ARG_FLAG, interactive, 'i', "interactive", NULL,            \
                   "keep its standard input open"),                                                \
        ARG_OPTION(struct run_options, ARG_FLAG, tty, 't', "tty", NULL, "in a terminal"),          \
        ARG_OPTION(struct run_options, ARG_TEXTS, env, 'e', "env", "KEY[=VALUE]",                  \
                   "in its environment; without a value that of this program"),                    \
        ARG_OPTION(struct run_options, ARG_TEXTS, env_files, 0, "env-file", "FILE",                \
                   "lines KEY=VALUE of a file"),                                                   \
        ARG_OPTION(struct run_options, ARG_TEXTS, volumes, 'v', "volume", "[SOURCE:]TARGET[:ro]",  \
                   "a volume by name, or an absolute path on the machine"),                        \
        ARG_OPTION(struct run_options, ARG_TEXTS, tmpfs, 0, "tmpfs", "TARGET[:OPTIONS]",           \
                   "a file system in memory: /run:size=64m,mode=0700"),                            \
        ARG_OPTION(struct run_options, ARG_TEXT, dir, 'w', "workdir", "PATH", "where it begins"),  \
        ARG_OPTION(struct run_options, ARG_TEXT, user, 'u', "user", "USER[:GROUP]",                \
                   "whom it runs as"),                                                             \
        ARG_OPTION(struct run_options, ARG_TEXTS, groups, 0, "group-add", "GROUP",                 \
                   "further groups"),                                                              \
        ARG_OPTION(struct run_options, ARG_TEXT, entrypoint, 0, "entrypoint", "PROGRAM",           \
                   "instead of the image's"),                                                      \
        ARG_OPTION(struct run_options, ARG_TEXT, hostname, 0, "hostname", "NAME",                  \
                   "its host name (its own name)"),                                                \
        ARG_OPTION(struct run_options, ARG_TEXTS, hosts, 0, "add-host", "NAME:ADDRESS",            \
                   "a line of its /etc/hosts"),                                                    \
        ARG_OPTION(struct run_options, ARG_TEXT, network, 0, "network", "none|host|NAME",          \
                   "no network, the machine's, or one of the cluster's (wherry run)"),             \
        ARG_OPTION(struct run_options, ARG_TEXT, memory, 'm', "memory", "SIZE",                    \
                   "the most memory: 512m"),                                                       \
        ARG_OPTION(struct run_options, ARG_TEXT, memory_swap, 0, "memory-swap", "SIZE",            \
                   "memory and swap together; -1: no limit"),                                      \
        ARG_OPTION(struct run_options, ARG_TEXT, cpus, 0, "cpus", "N",                             \
                   "the most processors: 1.5"),                                                    \
        ARG_OPTION(struct run_options, ARG_TEXT, cpuset, 0, "cpuset-cpus", "LIST",                 \
                   "only these: 0-3,7"),                                                           \
        ARG_OPTION(struct run_options, ARG_TEXT, cpu_shares, 'c', "cpu-shares", "N",               \
                   "its weight against others"),                                                   \
        ARG_OPTION(struct run_options, ARG_TEXT, pids, 0, "pids-limit", "N",                       \
                   "the most processes (4096)"),                                                   \
        ARG_OPTION(struct run_options, ARG_TEXT, shm, 0, "shm-size", "SIZE", "of /dev/shm (64m)"), \
        ARG_OPTION(struct run_options, ARG_TEXTS, ulimits, 0, "ulimit", "NAME=SOFT[:HARD]",        \
                   "a limit of setrlimit(2): nofile=1024:4096"),                                   \
        ARG_OPTION(struct run_options, ARG_TEXTS, sysctls, 0, "sysctl", "NAME=VALUE",              \
                   "a setting of the kernel"),                                                     \
        ARG_OPTION(struct run_options, ARG_TEXT, oom_score, 0, "oom-score-adj", "N",               \
                   "-1000 to 1000: how soon it is killed for memory"),                             \
        ARG_OPTION(struct run_options, ARG_FLAG, oom_kill_disable, 0, "oom-kill-disable", NULL,    \
                   "never"),                                                                       \
        ARG_OPTION(struct run_options, ARG_TEXTS, cap_add, 0, "cap-add", "NAME",                   \
                   "a further capability, or ALL"),                                                \
        ARG_OPTION(struct run_options, ARG_TEXTS, cap_drop, 0, "cap-drop", "NAME",                 \
                   "one less, or ALL"),                                                            \
        ARG_OPTION(struct run_options, ARG_FLAG, privileged, 0, "privileged", NULL,                \
                   "all capabilities and devices, no filter of system calls"),                     \
        ARG_OPTION(struct run_options, ARG_TEXTS, devices, 0, "device", "PATH[:TARGET][:rwm]",     \
                   "a device of the machine"),                                                     \
        ARG_OPTION(struct run_options, ARG_TEXTS, security, 0, "security-opt", "OPTION",           \
                   "no-new-privileges, seccomp=FILE|unconfined, apparmor=NAME"),                   \
        ARG_OPTION(struct run_options, ARG_FLAG, read_only, 0, "read-only", NULL,                  \
                   "its root cannot be written to"),                                               \
        ARG_OPTION(struct run_options, ARG_FLAG, init, 0, "init", NULL,                            \
                   "a small init is its process 1"),                                               \
        ARG_OPTION(struct run_options, ARG_TEXT, pid, 0, "pid", "host",                            \
                   "the machine's processes are its own"),                                         \
        ARG_OPTION(struct run_options, ARG_TEXT, ipc, 0, "ipc", "private|host", "likewise"),       \
        ARG_OPTION(struct run_options, ARG_TEXT, uts, 0, "uts", "host", "likewise"),               \
        ARG_OPTION(struct run_options, ARG_TEXT, cgroupns, 0, "cgroupns", "private|host",          \
                   "likewise"),                                                                    \
        ARG_OPTION(struct run_options, ARG_TEXT, userns, 0, "userns", "auto|host",                 \
                   "auto: its ids are others outside"),                                            \
        ARG_OPTION(struct run_options, ARG_TEXT, restart, 0, "restart", "POLICY",                  \
                   "no (the default), on-failure[:N], always, unless-stopped"),                    \
        ARG_OPTION(struct run_options, ARG_TEXT, stop_signal, 0, "stop-signal", "SIGNAL",          \
                   "what asks it to end (the image's, else TERM)"),                                \
        ARG_OPTION(struct run_options, ARG_NUMBER, stop_s, 0, "stop-timeout", "SECONDS",           \
                   "for that (10)"),                                                               \
        ARG_OPTION(struct run_options, ARG_TEXT, log_driver, 0, "log-driver", "json-file|none",    \
                   "none: what it writes is thrown away"),                                         \
        ARG_OPTION(struct run_options, ARG_TEXTS, log_opts, 0, "log-opt", "NAME=VALUE",            \
                   "max-size=10m, max-file=3"),                                                    \
        ARG_OPTION(struct run_options, ARG_TEXTS, labels, 'l', "label", "KEY=VALUE",               \
                   "shown by 'wherry container inspect'"),                                         \
        ARG_OPTION(struct run_options, ARG_TEXT, pull, 0, "pull", "missing|always|never",          \
                   "when the image is fetched (missing)"),                                         \
        ARG_OPTION(struct run_options, ARG_TEXT, platform, 0, "platform", "OS/ARCH",               \
                   "of the image: linux/arm64"),                                                   \
        ARG_OPTION(struct run_options, ARG_TEXT, runtime, 0, "runtime", "NAME",                    \
                   "the OCI runtime: runc, crun..."),                                              \
        ARG_OPTION(struct run_options, ARG_TEXTS, publish, 'p', "publish", "PORT", NULL),          \
        ARG_OPTION(struct run_options, ARG_TEXT, node, 0, "node", "NAME",                          \
                   "the member to run it on")

/* Fill *@ret, which the caller releases (container_create_request_type), from the options and from
 * IMAGE [COMMAND...]. ERR_INVALID names the option. */
int run_options_read(const struct run_options *o, int words_n, char **words,
                     struct container_create_request *ret, struct err *err);

/* Check what containers of no stack lack: networks. */
int run_options_check_alone(const struct spec *spec, struct err *err);

#endif
