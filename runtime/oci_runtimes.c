/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"
#include "runtime/oci.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_BYTES_MAX = 63,
    CONFIGURED_MAX = 32,
};

/* Two locks: one for trying, which takes its time, and one for what is known, which does not. */
struct oci_list {
    struct oci_runtime *all;
    size_t n;
    const struct oci_runtime *chosen;
    pthread_mutex_t trying;
    pthread_mutex_t known;
    pthread_t thread;
    bool has_thread;
    bool closing;
};

static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_BYTES_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

static struct oci_runtime *find(const struct oci_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->all[i].name, name) == 0)
            return &list->all[i];
    }
    return NULL;
}

/* A later one of the same name takes its place. */
static struct oci_runtime *add(struct oci_list *list, const char *name, const char *wanted)
{
    struct oci_runtime *there = find(list, name);
    if (there) {
        free(there->wanted);
        there->wanted = str_copy(wanted);
        return there;
    }
    list->all = mem_resize(list->all, list->n + 1, sizeof(*list->all));
    list->all[list->n] = (struct oci_runtime){
        .name = str_copy(name), .wanted = str_copy(wanted), .ops = &oci_command_line};
    return &list->all[list->n++];
}

/* "NAME=PATH" */
static int add_configured(struct oci_list *list, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    cleanup_free char *name = equals ? str_printf("%.*s", (int)(equals - text), text) : NULL;
    if (!name || !name_ok(name) || equals[1] != '/' || list->n >= CONFIGURED_MAX)
        return err_set(
            err, ERR_INVALID,
            "OCI runtime '%.80s' is not NAME=PATH with an absolute path, or one too many", text);
    add(list, name, equals + 1);
    return 0;
}

/* Try @oci if nobody has yet. */
static void try(struct runtime *rt, struct oci_runtime *oci)
{
    struct oci_list *list = rt->oci;
    pthread_mutex_lock(&list->trying);
    if (oci->health == OCI_UNTRIED) {
        struct oci_runtime result = *oci;
        int rv = oci_probe(rt, &result);
        result.health = rv == 0 ? OCI_WORKS : OCI_FAILS;
        pthread_mutex_lock(&list->known);
        *oci = result;
        pthread_mutex_unlock(&list->known);
    }
    pthread_mutex_unlock(&list->trying);
}

static void *try_rest(void *arg)
{
    struct runtime *rt = arg;
    for (size_t i = 0; i < rt->oci->n; i++) {
        if (!__atomic_load_n(&rt->oci->closing, __ATOMIC_RELAXED))
            try(rt, &rt->oci->all[i]);
    }
    return NULL;
}

/* A default that is neither listed nor a name is a path. */
static struct oci_runtime *wanted_default(struct oci_list *list, const char *wanted)
{
    struct oci_runtime *oci = find(list, wanted);
    const char *slash = strrchr(wanted, '/');
    return oci ? oci : add(list, slash ? slash + 1 : wanted, wanted);
}

static int choose(struct runtime *rt, const char *wanted, struct err *err)
{
    struct oci_list *list = rt->oci;
    cleanup_buf struct buf answers = BUF_INIT;
    struct oci_runtime *only = wanted ? wanted_default(list, wanted) : NULL;
    for (size_t i = 0; i < list->n; i++) {
        struct oci_runtime *oci = &list->all[i];
        if (only && oci != only)
            continue;
        try(rt, oci);
        if (oci->health == OCI_WORKS) {
            list->chosen = oci;
            return 0;
        }
        buf_printf(&answers, "%s%s: %s", answers.len ? "; " : "", oci->name, oci->reason);
    }
    if (only)
        return err_set(err, ERR_UNAVAILABLE, "OCI runtime %s", answers.data);
    return err_set(err, ERR_UNAVAILABLE, "no OCI runtime works here; install crun or runc (%s)",
                   answers.data);
}

int oci_open(struct runtime *rt, const struct runtime_config *config, struct err *err)
{
    struct oci_list *list = mem_alloc(1, sizeof(*list));
    rt->oci = list;
    pthread_mutex_init(&list->trying, NULL);
    pthread_mutex_init(&list->known, NULL);
    add(list, "crun", "crun");
    add(list, "runc", "runc");
    for (const char *const *c = config->oci_runtimes; c && *c; c++) {
        int rv = add_configured(list, *c, err);
        if (rv < 0)
            return rv;
    }
    int rv = choose(rt, config->oci_runtime, err);
    if (rv < 0)
        return rv;
    list->has_thread = pthread_create(&list->thread, NULL, try_rest, rt) == 0;
    return 0;
}

void oci_close(struct runtime *rt)
{
    struct oci_list *list = rt->oci;
    if (!list)
        return;
    __atomic_store_n(&list->closing, true, __ATOMIC_RELAXED);
    if (list->has_thread)
        pthread_join(list->thread, NULL);
    for (size_t i = 0; i < list->n; i++) {
        struct oci_runtime *oci = &list->all[i];
        free(oci->name);
        free(oci->wanted);
        free(oci->path);
        free(oci->version);
        free(oci->reason);
    }
    pthread_mutex_destroy(&list->trying);
    pthread_mutex_destroy(&list->known);
    free(list->all);
    free(list);
    rt->oci = NULL;
}

int oci_find(struct runtime *rt, const char *name, const struct oci_runtime **ret_oci,
             struct err *err)
{
    struct oci_list *list = rt->oci;
    if (!name) {
        *ret_oci = list->chosen;
        return 0;
    }
    struct oci_runtime *oci = find(list, name);
    if (!oci) {
        cleanup_buf struct buf names = BUF_INIT;
        for (size_t i = 0; i < list->n; i++)
            buf_printf(&names, "%s%s", i > 0 ? ", " : "", list->all[i].name);
        return err_set(err, ERR_NOTFOUND,
                       "oci_runtime: this machine has no OCI runtime '%.63s' (it has %.120s)", name,
                       names.data);
    }
    try(rt, oci);
    if (oci->health != OCI_WORKS)
        return err_set(err, ERR_UNAVAILABLE, "oci_runtime: %s does not work on this machine: %s",
                       oci->name, oci->reason);
    *ret_oci = oci;
    return 0;
}

int oci_note(const struct runtime *rt, const char *id, const struct oci_runtime *oci,
             struct err *err)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/oci", dir);
    return file_write_fast(path, oci->name, strlen(oci->name), 0600, err);
}

const struct oci_runtime *oci_of(const struct runtime *rt, const char *id)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/oci", dir);
    cleanup_buf struct buf name = BUF_INIT;
    const struct oci_runtime *oci = NULL;
    if (file_read(path, NAME_BYTES_MAX, &name, NULL) == 0)
        oci = find(rt->oci, str_or_empty(name.data));
    /* Its path and what it must not see are known once it was tried. */
    if (oci)
        try((struct runtime *)(uintptr_t)rt, (struct oci_runtime *)(uintptr_t)oci);
    return oci && oci->health == OCI_WORKS ? oci : rt->oci->chosen;
}

char **oci_exec_argv(const struct runtime *rt, const char *id, const char *pid_file,
                     const char *const *argv)
{
    const struct oci_runtime *oci = oci_of(rt, id);
    return oci->ops->exec_argv(rt, oci, id, pid_file, argv);
}

void oci_forget(const struct runtime *rt, const char *id)
{
    const struct oci_runtime *oci = oci_of(rt, id);
    oci->ops->forget(rt, oci, id);
}

const char *runtime_oci_version(const struct runtime *rt)
{
    return rt->oci->chosen->version;
}

void runtime_oci_list(const struct runtime *rt, struct runtime_oci **ret_list, size_t *ret_n)
{
    struct oci_list *list = rt->oci;
    struct runtime_oci *copy = mem_alloc(list->n + 1, sizeof(*copy));
    pthread_mutex_lock(&list->known);
    for (size_t i = 0; i < list->n; i++) {
        const struct oci_runtime *oci = &list->all[i];
        copy[i] = (struct runtime_oci){.name = str_copy(oci->name),
                                       .path = str_copy(oci->path),
                                       .version = str_copy(oci->version),
                                       .reason = str_copy(oci->reason),
                                       .works = oci->health == OCI_WORKS,
                                       .is_default = oci == list->chosen};
    }
    pthread_mutex_unlock(&list->known);
    *ret_list = copy;
    *ret_n = list->n;
}

void runtime_oci_list_free(struct runtime_oci *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].path);
        free(list[i].version);
        free(list[i].reason);
    }
    free(list);
}
