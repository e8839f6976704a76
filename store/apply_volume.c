/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: what they are called, how they are made, and which member has their content. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/level.h"
#include "store/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int volume_name_check(const char *name, struct err *err)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    name = str_or_empty(name);
    size_t len = strlen(name);
    if (len > 0 && len <= 127 && !strchr("_.-", name[0]) && strspn(name, inner) == len)
        return 0;
    return err_set(err, ERR_INVALID,
                   "\"%.130s\" is no name for a volume: letters, digits, '_', '.' and '-', "
                   "at most 127",
                   name);
}

/* --- of a stack ---------------------------------------------------------------------------- */

static void set_pairs(struct pair **list, size_t *n, const struct pair *from, size_t from_n)
{
    record_free_list(&pair_type, *list, *n);
    *list = mem_alloc(from_n, sizeof(**list));
    *n = from_n;
    for (size_t i = 0; i < from_n; i++)
        record_copy(&pair_type, &from[i], &(*list)[i]);
}

/* Its stack's file says anew what it is; how it is mounted changes with the next container. */
static void redescribe(struct apply *apply, struct volume *volume,
                       const struct deploy_volume *given)
{
    struct volume before;
    record_copy(&volume_type, volume, &before);
    set_pairs(&volume->options, &volume->options_n, given->options, given->options_n);
    set_pairs(&volume->labels, &volume->labels_n, given->labels, given->labels_n);
    if (!record_equal(&volume_type, &before, volume))
        apply_put(apply, TABLE_VOLUME, volume);
    record_release(&volume_type, &before);
}

void volume_deploy(struct apply *apply, const struct stack *stack,
                   const struct deploy_volume *given)
{
    struct volume volume;
    if (store_find(apply->store, TABLE_VOLUME, given->name, &volume) < 0) {
        volume = (struct volume){
            .id = apply_next_id(apply), .name = str_copy(given->name), .stack_id = stack->id};
        set_pairs(&volume.options, &volume.options_n, given->options, given->options_n);
        set_pairs(&volume.labels, &volume.labels_n, given->labels, given->labels_n);
        apply_put(apply, TABLE_VOLUME, &volume);
    } else if (volume.stack_id != stack->id && volume.stack_id != 0) {
        struct stack owner;
        if (store_get(apply->store, TABLE_STACK, volume.stack_id, &owner) == 0) {
            record_release(&stack_type, &owner);
        } else {
            volume.stack_id = stack->id;
            apply_put(apply, TABLE_VOLUME, &volume);
        }
    }
    if (volume.stack_id == stack->id)
        redescribe(apply, &volume, given);
    record_release(&volume_type, &volume);
}

/* --- by hand ------------------------------------------------------------------------------- */

int apply_volume_create(struct apply *apply, const struct change_volume_create *change,
                        struct err *err)
{
    struct volume volume;
    const char *name = str_or_empty(change->volume.name);
    int rv = volume_name_check(name, err);
    if (rv == 0)
        rv = volume_options_check(change->volume.options, change->volume.options_n,
                                  store_level(apply->store), err);
    if (rv < 0)
        return rv;
    if (store_find(apply->store, TABLE_VOLUME, name, &volume) == 0) {
        record_release(&volume_type, &volume);
        return err_set(err, ERR_EXISTS, "there is a volume %s already", name);
    }
    record_copy(&volume_type, &change->volume, &volume);
    volume.id = apply->made = apply_next_id(apply);
    volume.stack_id = 0;
    volume.created_index = 0;
    struct node node;
    if (volume.home_node_id != 0 && task_node_get(apply, volume.home_node_id, &node, err) < 0) {
        record_release(&volume_type, &volume);
        return err->code;
    }
    if (volume.home_node_id != 0)
        record_release(&node_type, &node);
    apply_put(apply, TABLE_VOLUME, &volume);
    apply_event(apply, "volume", name, "created");
    record_release(&volume_type, &volume);
    return 0;
}

static bool mounts(const struct spec *spec, const char *volume)
{
    for (size_t i = 0; i < spec->mounts_n; i++)
        if (spec->mounts[i].kind == MOUNT_VOLUME && str_equal(spec->mounts[i].source, volume))
            return true;
    return false;
}

/* The service that has the volume, as a new string, or NULL. */
static char *user_of(struct apply *apply, const char *volume)
{
    struct service *services;
    size_t n;
    char *user = NULL;
    store_list(apply->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < n && !user; i++)
        if (mounts(&services[i].spec, volume))
            user = service_title(&services[i]);
    record_free_list(&service_type, services, n);
    return user;
}

/* The task that may still write to it, as a new string, or NULL. */
static char *task_with(struct apply *apply, const char *volume)
{
    struct task *tasks;
    size_t n;
    char *user = NULL;
    store_list(apply->store, TABLE_TASK, BY_NONE, 0, &tasks, &n);
    for (size_t i = 0; i < n && !user; i++) {
        struct spec spec;
        if (task_is_terminal(tasks[i].state) || store_task_spec(apply->store, &tasks[i], &spec) < 0)
            continue;
        if (mounts(&spec, volume))
            user = task_title(&tasks[i]);
        record_release(&spec_type, &spec);
    }
    record_free_list(&task_type, tasks, n);
    return user;
}

static int find_volume(struct apply *apply, const char *name, int64_t home_node_id,
                       struct volume *ret, struct err *err)
{
    if (store_find(apply->store, TABLE_VOLUME, str_or_empty(name), ret) < 0)
        return err_set(err, ERR_NOTFOUND, "there is no volume %.130s", str_or_empty(name));
    if (ret->home_node_id == home_node_id)
        return 0;
    record_release(&volume_type, ret);
    return err_set(err, ERR_CONFLICT, "volume %.130s went to another member meanwhile", name);
}

int apply_volume_remove(struct apply *apply, const struct change_volume_remove *change,
                        struct err *err)
{
    struct volume volume;
    int rv = find_volume(apply, change->name, change->home_node_id, &volume, err);
    if (rv < 0)
        return rv;
    cleanup_free char *service = user_of(apply, volume.name);
    cleanup_free char *task = service ? NULL : task_with(apply, volume.name);
    if (service || task) {
        rv = err_set(err, ERR_CONFLICT, "volume %s is in use by %s", volume.name,
                     service ? service : task);
    } else {
        apply_delete(apply, TABLE_VOLUME, volume.id);
        apply_event(apply, "volume", volume.name, "removed");
    }
    record_release(&volume_type, &volume);
    return rv;
}

static int set_home(struct apply *apply, struct volume *volume, int64_t node_id, struct err *err)
{
    struct node node = {0};
    int rv = 0;
    cleanup_free char *task = task_with(apply, volume->name);
    if (task)
        return err_set(err, ERR_CONFLICT,
                       "volume %s is in use by %s, which may write to it: stop its service first",
                       volume->name, task);
    if (node_id != 0 && store_get(apply->store, TABLE_NODE, node_id, &node) < 0)
        return err_set(err, ERR_NOTFOUND, "member %" PRId64 " does not exist", node_id);
    if (node.witness)
        rv = err_set(err, ERR_INVALID, "member %s is a witness and keeps no volumes", node.name);
    if (rv == 0) {
        volume->home_node_id = node_id;
        free(volume->home_name);
        volume->home_name = NULL;
        apply_put(apply, TABLE_VOLUME, volume);
        if (node_id == 0)
            apply_event(apply, "volume", volume->name, "given up; the next task makes it anew");
        else
            apply_event(apply, "volume", volume->name, "is on %s from now on", node.name);
    }
    record_release(&node_type, &node);
    return rv;
}

int apply_volume_home(struct apply *apply, const struct change_volume_home *change, struct err *err)
{
    struct volume volume;
    int rv = find_volume(apply, change->name, change->from_node_id, &volume, err);
    if (rv < 0)
        return rv;
    rv = set_home(apply, &volume, change->to_node_id, err);
    record_release(&volume_type, &volume);
    return rv;
}
