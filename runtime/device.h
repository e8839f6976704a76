/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device - device files of this machine that a container gets, and rules of its device cgroup.
 */
#ifndef WHERRY_RUNTIME_DEVICE_H
#define WHERRY_RUNTIME_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct container_spec;
struct err;

/* One device file, as it will be in the container. */
struct device {
    char *path; /* in the container */
    char type;  /* 'b' or 'c' */
    unsigned major;
    unsigned minor;
    mode_t mode; /* permission bits */
    uid_t uid;
    gid_t gid;
    char access[4]; /* of "rwm" */
};

/* "c 1:3 rwm"; -1 for "*". */
struct device_rule {
    char type; /* 'a', 'b' or 'c' */
    int64_t major;
    int64_t minor;
    char access[4];
};

/* What was looked up for one container. */
struct device_set {
    struct device *devices;
    size_t n;
    struct device *io; /* devices of spec->io, in its order; path is the machine's */
};

/* True for a non-empty string of r, w and m, each at most once. Pure. */
bool device_access_ok(const char *access);

/* Read a rule. False when it is none. Pure. */
bool device_rule_parse(const char *text, struct device_rule *ret_rule);

/* Look up the devices that @spec names: a folder gives all in it, privileged gives all below /dev.
 * ERR_NOTFOUND, ERR_INVALID for what is no device, ERR_TOOBIG past 2048 of them. */
int device_find(const struct container_spec *spec, struct device_set *ret_set, struct err *err);

/* Free what @set holds and zero it. */
void device_set_release(struct device_set *set);

#endif
