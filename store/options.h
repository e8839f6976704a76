/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options - which values a container's options may have.
 *
 * The command line checks what a Compose file says with it, to name the line, and apply checks what
 * comes from any client with it. So this is part of what level 3 means (level.h): a member that
 * refuses another value than its peers diverges from them, and another release may change the
 * answer of a function here only together with a level.
 *
 * Pure functions; any thread.
 */
#ifndef WHERRY_STORE_OPTIONS_H
#define WHERRY_STORE_OPTIONS_H

#include "store/model.h"

struct err;

/* The forms of the texts. */
enum option_form {
    OPTION_CAPABILITY,   /* "NET_ADMIN", "ALL" (capabilities(7)) */
    OPTION_GROUP,        /* "audio", "1000" */
    OPTION_NAMESERVER,   /* "10.0.0.53" */
    OPTION_DOMAIN,       /* "corp.example"; of a search list "." too */
    OPTION_RESOLVER,     /* "ndots:2" (resolv.conf(5)) */
    OPTION_EXTRA_HOST,   /* "db.example 10.0.0.1", "node host-gateway" */
    OPTION_PATH,         /* absolute, without "." and ".." */
    OPTION_ACCESS,       /* "", or of "rwm" each once */
    OPTION_DEVICE_RULE,  /* "c 1:3 rwm", "b *:* r" (Linux, cgroup-v1/devices.rst) */
    OPTION_SYSCTL,       /* a name that has a value of its own in each container */
    OPTION_SYSCTL_VALUE, /* one line */
    OPTION_ULIMIT,       /* "nofile" (setrlimit(2)) */
    OPTION_CPUSET,       /* "0-3,7" (cpuset(7), list format) */
    OPTION_TMPFS,        /* "noexec", "uid=1000" (tmpfs(5), mount(8)) */
    OPTION_PROPAGATION,  /* "rslave" (mount_namespaces(7)) */
    OPTION_PLATFORM,     /* "linux/arm64", "linux/arm/v7" */
    OPTION_RUNTIME,      /* "crun" */
    OPTION_PROFILE,      /* AppArmor's */
    OPTION_ANNOTATION,   /* a key */
    OPTION_FORMS,
};

/* True when @text has that form. */
bool option_ok(enum option_form form, const char *text);

/* What is meant, for messages: "a capability of Linux, such as NET_ADMIN". */
const char *option_meant(enum option_form form);

/* True for a capability that a container has unless it is dropped. */
bool option_capability_is_default(const char *name);

enum {
    OPTIONS_CAPABILITIES_MAX = 64, /* elements of these lists */
    OPTIONS_GROUPS_MAX = 64,
    OPTIONS_HOSTS_MAX = 256,
    OPTIONS_NAMESERVERS_MAX = 3, /* as many as a resolver asks */
    OPTIONS_SEARCH_MAX = 32,
    OPTIONS_RESOLVER_MAX = 16,
    OPTIONS_TMPFS_MAX = 64,
    OPTIONS_TMPFS_OPTIONS_MAX = 32,
    OPTIONS_DEVICES_MAX = 256,
    OPTIONS_SYSCTLS_MAX = 128,
    OPTIONS_ULIMITS_MAX = 32,
    OPTIONS_IO_MAX = 64,
    OPTIONS_ANNOTATIONS_MAX = 256,
    OPTIONS_ANNOTATION_BYTES_MAX = 16 * 1024, /* of a value */
    OPTIONS_SECCOMP_BYTES_MAX = 256 * 1024,
    OPTIONS_CPU_SHARES_MIN = 2, /* cgroup-v1's range, which Compose means */
    OPTIONS_CPU_SHARES_MAX = 262144,
    OPTIONS_IO_WEIGHT_MIN = 10,
    OPTIONS_IO_WEIGHT_MAX = 1000,
    OPTIONS_OOM_SCORE_MAX = 1000,
    OPTIONS_LOG_BYTES_MIN = 4096, /* of one log file */
    OPTIONS_LOG_FILES_MAX = 64,
    OPTIONS_SHM_BYTES_MIN = 4096,
};

/* Check all that level 3 added to @spec: forms, bounds, and what excludes each other. ERR_INVALID
 * with the field's name as Compose has it: "cap_add: \"FLY\" is not a capability of Linux, …". */
int options_validate(const struct spec *spec, struct err *err);

enum {
    OPTIONS_OF_ANY_LEVEL = 1 << 20, /* for who only checks forms */
};

/* Check the options of a volume: type, device and o, as Docker's driver "local" has them, and from
 * level 7 on size. ERR_INVALID. Of level 5. */
int volume_options_check(const struct pair *options, size_t n, int level, struct err *err);

/* The size that the options of a volume limit it to, in bytes; 0: none, or not one. */
int64_t volume_size(const struct pair *options, size_t n);

/* The number of option @key of a log, 0 when it is not given or no number. */
int64_t logging_number(const struct logging_spec *logging, const char *key);

#endif
