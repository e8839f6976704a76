/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as the leader wants them: placed, ended, removed. */
#include "store/address.h"
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

char *task_title(const struct task *task)
{
    return str_printf("%s.%s.%" PRId64, task->stack, task->service, task->slot);
}

/* --- create -------------------------------------------------------------------------------- */

static int check_service(const struct service *service, const struct change_task_create *change,
                         struct err *err)
{
    if (service->removed)
        return err_set(err, ERR_CONFLICT, "service %s.%s is being removed", service->stack,
                       service->name);
    if (service->modified_index != change->service_index)
        return err_set(err, ERR_CONFLICT,
                       "service %s.%s changed at %" PRId64 ", the task was planned from %" PRId64,
                       service->stack, service->name, service->modified_index,
                       change->service_index);
    bool fits = service->spec.mode == MODE_GLOBAL
                    ? change->slot == change->node_id
                    : change->slot >= 1 && change->slot <= service->spec.replicas;
    if (!fits)
        return err_set(err, ERR_INVALID, "service %s.%s has no slot %" PRId64, service->stack,
                       service->name, change->slot);
    return 0;
}

static int check_node(struct apply *apply, int64_t node_id, struct node *ret_node, struct err *err)
{
    if (store_get(apply->store, TABLE_NODE, node_id, ret_node) < 0)
        return err_set(err, ERR_CONFLICT, "member %" PRId64 " does not exist", node_id);
    int rv = 0;
    if (ret_node->witness)
        rv = err_set(err, ERR_CONFLICT, "member %s is a witness and runs nothing", ret_node->name);
    else if (ret_node->status != NODE_UP)
        rv = err_set(err, ERR_CONFLICT, "member %s is down", ret_node->name);
    else if (ret_node->availability != AVAILABLE_ACTIVE)
        rv = err_set(err, ERR_CONFLICT, "member %s takes no new tasks: it is set to %s",
                     ret_node->name, availability_names[ret_node->availability]);
    if (rv < 0)
        record_release(&node_type, ret_node);
    return rv;
}

static bool is_draining(struct apply *apply, int64_t node_id)
{
    struct node node;
    if (store_get(apply->store, TABLE_NODE, node_id, &node) < 0)
        return false;
    bool draining = node.availability == AVAILABLE_DRAIN;
    record_release(&node_type, &node);
    return draining;
}

/* With @beside, one that is about to leave its node may still be there. */
static int check_slot(struct apply *apply, const struct service *service, int64_t slot, bool beside,
                      struct err *err)
{
    int rv = 0;
    int leaving = 0;
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_TASK_IN_SLOT);
    sql_int(stmt, 1, service->id);
    sql_int(stmt, 2, slot);
    while (sql_step(stmt)) {
        struct task task;
        row_decode(TABLE_TASK, stmt, &task);
        bool runs = task.desired == DESIRED_RUN;
        if (runs && beside && is_draining(apply, task.node_id) && ++leaving == 1)
            runs = false;
        if (runs)
            rv = err_set(err, ERR_CONFLICT, "%s.%s.%" PRId64 " has a task already: %" PRId64,
                         service->stack, service->name, slot, task.id);
        record_release(&task_type, &task);
    }
    return rv;
}

/* The first task that uses a volume makes its node the volume's home. */
static int settle_volumes(struct apply *apply, const struct service *service,
                          const struct node *node, struct err *err)
{
    int rv = 0;
    for (size_t i = 0; i < service->spec.mounts_n && rv == 0; i++) {
        const struct mount_spec *mount = &service->spec.mounts[i];
        struct volume volume;
        if (mount->kind != MOUNT_VOLUME ||
            store_find(apply->store, TABLE_VOLUME, str_or_empty(mount->source), &volume) < 0)
            continue;
        if (volume.home_node_id == 0 && *str_or_empty(volume.home_name)) {
            rv = err_set(err, ERR_CONFLICT, "volume %s waits for its home %s to join", volume.name,
                         volume.home_name);
        } else if (volume.home_node_id == 0) {
            volume.home_node_id = node->id;
            apply_put(apply, TABLE_VOLUME, &volume);
        } else if (volume.home_node_id != node->id) {
            rv = err_set(err, ERR_CONFLICT, "volume %s is on another member than %s", volume.name,
                         node->name);
        }
        record_release(&volume_type, &volume);
    }
    return rv;
}

static int take_address(struct apply *apply, struct task *task, const char *short_name,
                        struct err *err)
{
    cleanup_free char *name = str_printf("%s_%s", task->stack, str_or_empty(short_name));
    struct network network;
    if (store_find(apply->store, TABLE_NETWORK, name, &network) < 0)
        return err_set(err, ERR_NOTFOUND, "network %s does not exist", name);
    struct task_address *address = &task->addresses[task->addresses_n];
    address->network_id = network.id;
    int rv = address_take(apply->store, &network, task->id, &address->address, err);
    if (rv == 0)
        task->addresses_n++;
    record_release(&network_type, &network);
    return rv;
}

static int place(struct apply *apply, const struct service *service, const struct node *node,
                 int64_t slot, struct err *err)
{
    if (service->spec.mode != MODE_GLOBAL) {
        int rv = settle_volumes(apply, service, node, err);
        if (rv < 0)
            return rv;
    }
    const struct spec *spec = &service->spec;
    struct task task = {.id = apply_next_id(apply),
                        .service_id = service->id,
                        .stack = str_copy(service->stack),
                        .service = str_copy(service->name),
                        .slot = slot,
                        .node_id = node->id,
                        .revision = service->revision,
                        .addresses = mem_alloc(spec->networks_n, sizeof(struct task_address)),
                        .created_ms = apply->now_ms,
                        .state_ms = apply->now_ms};
    int rv = 0;
    for (size_t i = 0; i < spec->networks_n && rv == 0; i++)
        rv = take_address(apply, &task, spec->networks[i].network, err);
    if (rv == 0) {
        cleanup_free char *title = task_title(&task);
        apply_put(apply, TABLE_TASK, &task);
        apply_event(apply, "task", title, "placed on %s", node->name);
        apply->made = task.id;
    }
    record_release(&task_type, &task);
    return rv;
}

int apply_task_create(struct apply *apply, const struct change_task_create *change, struct err *err)
{
    struct service service;
    struct node node;
    if (store_get(apply->store, TABLE_SERVICE, change->service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "service %" PRId64 " does not exist", change->service_id);
    int rv = check_service(&service, change, err);
    if (rv == 0)
        rv = check_slot(apply, &service, change->slot, change->beside, err);
    if (rv == 0)
        rv = check_node(apply, change->node_id, &node, err);
    if (rv == 0) {
        rv = place(apply, &service, &node, change->slot, err);
        record_release(&node_type, &node);
    }
    record_release(&service_type, &service);
    return rv;
}

/* --- end ----------------------------------------------------------------------------------- */

static int get_task(struct apply *apply, int64_t id, struct task *ret_task, struct err *err)
{
    if (store_get(apply->store, TABLE_TASK, id, ret_task) < 0)
        return err_set(err, ERR_NOTFOUND, "task %" PRId64 " does not exist", id);
    return 0;
}

int apply_task_end(struct apply *apply, const struct change_task_end *change, struct err *err)
{
    struct task task;
    int rv = get_task(apply, change->task_id, &task, err);
    if (rv < 0)
        return rv;
    if (task.desired != DESIRED_END) {
        cleanup_free char *title = task_title(&task);
        task.desired = DESIRED_END;
        apply_put(apply, TABLE_TASK, &task);
        const char *reason = str_or_empty(change->reason);
        apply_event(apply, "task", title, "to end%s%.150s", *reason ? ": " : "", reason);
    }
    apply->made = task.id;
    record_release(&task_type, &task);
    return 0;
}

/* --- remove -------------------------------------------------------------------------------- */

/* Forget the spec of @revision when no task runs it any more. */
static void drop_revision(struct apply *apply, int64_t service_id, int64_t number)
{
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_TASK_OF_REVISION);
    sql_int(stmt, 1, service_id);
    sql_int(stmt, 2, number);
    bool used = sql_step(stmt);
    sql_reset(stmt);
    if (used)
        return;
    stmt = sql(&apply->store->sql, SQL_REVISION_FIND);
    sql_int(stmt, 1, service_id);
    sql_int(stmt, 2, number);
    if (!sql_step(stmt))
        return; /* it was the service's newest */
    struct revision revision;
    row_decode(TABLE_REVISION, stmt, &revision);
    sql_reset(stmt);
    apply_delete(apply, TABLE_REVISION, revision.id);
    record_release(&revision_type, &revision);
}

void task_delete(struct apply *apply, const struct task *task)
{
    address_free_all(apply->store, task);
    apply_delete(apply, TABLE_TASK, task->id);
    drop_revision(apply, task->service_id, task->revision);
}

/* True when the node of a task cannot say that it ended. */
static bool node_is_lost(struct apply *apply, int64_t node_id)
{
    struct node node;
    if (store_get(apply->store, TABLE_NODE, node_id, &node) < 0)
        return true;
    bool down = node.status == NODE_DOWN;
    record_release(&node_type, &node);
    return down;
}

static int remove_task(struct apply *apply, const struct task *task, bool lost, struct err *err)
{
    cleanup_free char *title = task_title(task);
    bool over = task->desired == DESIRED_END && task_is_terminal(task->state);
    if (!over && !lost)
        return err_set(err, ERR_CONFLICT, "task %s is not over: it is %s and desired to %s", title,
                       task_state_names[task->state], task_desired_names[task->desired]);
    if (!over && !node_is_lost(apply, task->node_id))
        return err_set(err, ERR_CONFLICT, "task %s is not lost: its member is up", title);
    apply->made = task->id;
    task_delete(apply, task);
    apply_event(apply, "task", title, "%s", over ? "removed" : "lost with its member");
    return 0;
}

int apply_task_remove(struct apply *apply, const struct change_task_remove *change, struct err *err)
{
    struct task task;
    int rv = get_task(apply, change->task_id, &task, err);
    if (rv < 0)
        return rv;
    rv = remove_task(apply, &task, change->lost, err);
    record_release(&task_type, &task);
    return rv;
}
