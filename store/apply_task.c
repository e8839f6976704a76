/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as the leader wants them: placed, ended, removed. */
#include "store/address.h"
#include "store/address6.h"
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/level.h"

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
    if (service->stopped)
        return err_set(err, ERR_CONFLICT, "service %s.%s is stopped", service->stack,
                       service->name);
    if (service->modified_index != change->service_index)
        return err_set(err, ERR_CONFLICT,
                       "service %s.%s changed at %" PRId64 ", the task was planned from %" PRId64,
                       service->stack, service->name, service->modified_index,
                       change->service_index);
    bool fits = mode_is_global(service->spec.mode)
                    ? change->slot == change->node_id
                    : change->slot >= 1 && change->slot <= service->spec.replicas;
    if (!fits)
        return err_set(err, ERR_INVALID, "service %s.%s has no slot %" PRId64, service->stack,
                       service->name, change->slot);
    return 0;
}

int task_node_get(struct apply *apply, int64_t node_id, struct node *ret_node, struct err *err)
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

/* With @beside, another may be there: from level 4 on any, before that one that is about to leave
 * its node. */
static int check_slot(struct apply *apply, const struct service *service,
                      const struct change_task_create *change, struct err *err)
{
    int64_t slot = change->slot;
    bool beside = change->beside;
    int rv = 0;
    int leaving = 0;
    bool any = store_level(apply->store) >= 4;
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_TASK_IN_SLOT);
    sql_int(stmt, 1, service->id);
    sql_int(stmt, 2, slot);
    while (sql_step(stmt)) {
        struct task task;
        row_decode(TABLE_TASK, stmt, &task);
        bool runs = task.desired != DESIRED_END && task.job_id == change->job_id;
        if (runs && beside && (any || is_draining(apply, task.node_id)) && ++leaving == 1)
            runs = false;
        if (runs)
            rv = err_set(err, ERR_CONFLICT, "%s.%s.%" PRId64 " has a task already: %" PRId64,
                         service->stack, service->name, slot, task.id);
        record_release(&task_type, &task);
    }
    return rv;
}

/* A task of a job is of a run that is under way. */
static int check_run(struct apply *apply, const struct service *service, int64_t job_id,
                     struct err *err)
{
    struct job_run run;
    if (job_id == 0)
        return 0;
    if (store_get(apply->store, TABLE_JOB_RUN, job_id, &run) < 0)
        return err_set(err, ERR_NOTFOUND, "run %" PRId64 " does not exist", job_id);
    bool fine = run.service_id == service->id && run.state == JOB_RUNNING;
    record_release(&job_run_type, &run);
    if (!fine)
        return err_set(err, ERR_CONFLICT, "run %" PRId64 " of %s.%s is over", job_id,
                       service->stack, service->name);
    return 0;
}

/* The task beside whose network it is made runs there, in the same slot of the right service. */
static int check_host(struct apply *apply, const struct service *service,
                      const struct change_task_create *change, struct err *err)
{
    const char *name = str_or_empty(service->spec.network_of);
    struct task host;
    if (!*name && change->network_task == 0)
        return 0;
    if (store_get(apply->store, TABLE_TASK, change->network_task, &host) < 0)
        return err_set(err, ERR_CONFLICT, "task %" PRId64 ", whose network it shares, is gone",
                       change->network_task);
    bool fits = str_equal(host.stack, service->stack) && str_equal(host.service, name) &&
                host.slot == change->slot && host.node_id == change->node_id &&
                host.desired == DESIRED_RUN;
    record_release(&task_type, &host);
    if (!fits)
        return err_set(err, ERR_CONFLICT, "task %" PRId64 " is not one to share its network with",
                       change->network_task);
    return 0;
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
        if (volume_is_anywhere(&volume)) {
            record_release(&volume_type, &volume);
            continue;
        }
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

/* What its service keeps for it, or the next free one. */
static int take_address(struct apply *apply, struct task *task, const struct attachment *attachment,
                        struct err *err)
{
    cleanup_free char *name = attachment_network(task->stack, attachment);
    struct network network;
    if (store_find(apply->store, TABLE_NETWORK, name, &network) < 0)
        return err_set(err, ERR_NOTFOUND, "network %s does not exist", name);
    struct task_address *address = &task->addresses[task->addresses_n];
    address->network_id = network.id;
    int rv = 0;
    if (*str_or_empty(attachment->address))
        address->address = str_copy(attachment->address);
    else
        rv = address_take(apply->store, &network, task->id, &address->address, err);
    if (rv == 0) {
        address->address6 = *str_or_empty(attachment->address6)
                                ? str_copy(attachment->address6)
                                : address6_make(&network, address->address);
        task->addresses_n++;
    }
    record_release(&network_type, &network);
    return rv;
}

/* A task that follows one which failed and leaves its member inherits how often that was so. */
static int64_t hops_before(struct apply *apply, const struct service *service, int64_t slot)
{
    int64_t hops = 0;
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_TASK_IN_SLOT);
    sql_int(stmt, 1, service->id);
    sql_int(stmt, 2, slot);
    while (sql_step(stmt)) {
        struct task task;
        row_decode(TABLE_TASK, stmt, &task);
        if (task.move_to != 0 && task.attempts > 0 && task.revision == service->revision)
            hops = task.hops + 1;
        record_release(&task_type, &task);
    }
    return hops;
}

static int place(struct apply *apply, const struct service *service, const struct node *node,
                 const struct change_task_create *change, struct err *err)
{
    if (!mode_is_global(service->spec.mode)) {
        int rv = settle_volumes(apply, service, node, err);
        if (rv < 0)
            return rv;
    }
    const struct spec *spec = &service->spec;
    struct task task = {.id = apply_next_id(apply),
                        .service_id = service->id,
                        .stack = str_copy(service->stack),
                        .service = str_copy(service->name),
                        .slot = change->slot,
                        .node_id = node->id,
                        .revision = service->revision,
                        .desired = change->hold ? DESIRED_READY : DESIRED_RUN,
                        .job_id = change->job_id,
                        .network_task = change->network_task,
                        .hops = change->beside ? hops_before(apply, service, change->slot) : 0,
                        .addresses = mem_alloc(spec->networks_n, sizeof(struct task_address)),
                        .created_ms = apply->now_ms,
                        .state_ms = apply->now_ms};
    int rv = 0;
    for (size_t i = 0; i < spec->networks_n && rv == 0; i++)
        rv = take_address(apply, &task, &spec->networks[i], err);
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
        rv = check_run(apply, &service, change->job_id, err);
    if (rv == 0)
        rv = check_host(apply, &service, change, err);
    if (rv == 0)
        rv = check_slot(apply, &service, change, err);
    if (rv == 0)
        rv = task_node_get(apply, change->node_id, &node, err);
    if (rv == 0) {
        rv = place(apply, &service, &node, change, err);
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

void task_delete(struct apply *apply, const struct task *task)
{
    addresses_return(apply->store, task->addresses, task->addresses_n, task->id);
    apply_delete(apply, TABLE_TASK, task->id);
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_REVISION_FIND);
    sql_int(stmt, 1, task->service_id);
    sql_int(stmt, 2, task->revision);
    bool older = sql_step(stmt);
    sql_reset(stmt);
    if (older)
        revisions_trim(apply, task->service_id);
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
