/* SPDX-License-Identifier: Apache-2.0 */
/* Services: scale, remove, published ports; and the end of a stack. */
#include "store/address.h"
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

char *service_title(const struct service *service)
{
    return str_printf("%s.%s", service->stack, service->name);
}

/* --- ports --------------------------------------------------------------------------------- */

static int64_t port_number(const struct port_spec *port)
{
    return (int64_t)port->protocol << 16 | port->published;
}

static int port_is_taken(struct apply *apply, const struct port_spec *port, int64_t owner_id,
                         struct err *err)
{
    struct service owner;
    check(store_get(apply->store, TABLE_SERVICE, owner_id, &owner) == 0);
    err_set(err, ERR_EXISTS, "port %" PRId64 "/%s is published by %s.%s already", port->published,
            protocol_names[port->protocol], owner.stack, owner.name);
    record_release(&service_type, &owner);
    return ERR_EXISTS;
}

int service_claim_ports(struct apply *apply, const struct service *service, struct err *err)
{
    for (size_t i = 0; i < service->spec.ports_n; i++) {
        const struct port_spec *port = &service->spec.ports[i];
        sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_PORT_GET);
        sql_int(stmt, 1, port_number(port));
        if (sql_step(stmt)) {
            int64_t owner_id = sqlite3_column_int64(stmt, 0);
            sql_reset(stmt);
            return port_is_taken(apply, port, owner_id, err);
        }
        stmt = sql(&apply->store->sql, SQL_PORT_PUT);
        sql_int(stmt, 1, port_number(port));
        sql_int(stmt, 2, service->id);
        sql_run(stmt);
    }
    return 0;
}

void service_drop_ports(struct apply *apply, int64_t service_id)
{
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_PORT_DROP);
    sql_int(stmt, 1, service_id);
    sql_run(stmt);
}

/* --- scale --------------------------------------------------------------------------------- */

static int scale(struct apply *apply, struct service *service, int64_t replicas, struct err *err)
{
    cleanup_free char *title = service_title(service);
    if (service->removed)
        return err_set(err, ERR_NOTFOUND, "service %s is being removed", title);
    if (mode_is_global(service->spec.mode))
        return err_set(err, ERR_INVALID,
                       "service %s is global: it runs once on every member and has no replicas",
                       title);
    if (replicas < 0 || replicas > REPLICAS_MAX)
        return err_set(err, ERR_INVALID, "service %s: %" PRId64 " replicas are not within 0 to %d",
                       title, replicas, REPLICAS_MAX);
    apply->made = service->id;
    if (service->spec.replicas == replicas)
        return 0;
    apply_event(apply, "service", title, "scaled from %" PRId64 " to %" PRId64,
                service->spec.replicas, replicas);
    service->spec.replicas = replicas;
    service->updated_ms = apply->now_ms;
    apply_put(apply, TABLE_SERVICE, service);
    return 0;
}

int apply_service_scale(struct apply *apply, const struct change_service_scale *change,
                        struct err *err)
{
    cleanup_free char *title =
        str_printf("%s.%s", str_or_empty(change->stack), str_or_empty(change->service));
    struct service service;
    if (store_find(apply->store, TABLE_SERVICE, title, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "service %.130s does not exist", title);
    int rv = scale(apply, &service, change->replicas, err);
    record_release(&service_type, &service);
    return rv;
}

/* --- remove -------------------------------------------------------------------------------- */

void service_mark_removed(struct apply *apply, struct service *service)
{
    cleanup_free char *title = service_title(service);
    service->removed = true;
    service->updated_ms = apply->now_ms;
    apply_put(apply, TABLE_SERVICE, service);
    service_drop_ports(apply, service->id);
    apply_event(apply, "service", title, "is being removed");
}

static void delete_networks(struct apply *apply, int64_t stack_id)
{
    struct network *networks;
    size_t n;
    store_list(apply->store, TABLE_NETWORK, BY_STACK_ID, stack_id, &networks, &n);
    for (size_t i = 0; i < n; i++) {
        prefix_free(apply->store, &networks[i]);
        apply_delete(apply, TABLE_NETWORK, networks[i].id);
    }
    record_free_list(&network_type, networks, n);
}

/* Does the statement find a row for @id? */
static bool finds(struct apply *apply, enum sql_statement statement, int64_t id)
{
    sqlite3_stmt *stmt = sql(&apply->store->sql, statement);
    sql_int(stmt, 1, id);
    bool found = sql_step(stmt);
    sql_reset(stmt);
    return found;
}

void stack_collect(struct apply *apply, int64_t stack_id)
{
    struct stack stack;
    if (finds(apply, SQL_SERVICE_OF_STACK, stack_id) ||
        store_get(apply->store, TABLE_STACK, stack_id, &stack) < 0)
        return;
    delete_networks(apply, stack_id);
    apply_delete(apply, TABLE_STACK, stack_id);
    apply_event(apply, "stack", stack.name, "removed");
    record_release(&stack_type, &stack);
}

static void delete_service(struct apply *apply, const struct service *service)
{
    cleanup_free char *title = service_title(service);
    struct revision *revisions;
    size_t n;
    store_list(apply->store, TABLE_REVISION, BY_SERVICE_ID, service->id, &revisions, &n);
    for (size_t i = 0; i < n; i++)
        apply_delete(apply, TABLE_REVISION, revisions[i].id);
    record_free_list(&revision_type, revisions, n);
    runs_delete(apply, service->id);
    service_drop_ports(apply, service->id);
    service_drop_addresses(apply, service);
    apply_delete(apply, TABLE_SERVICE, service->id);
    apply_event(apply, "service", title, "removed");
    contents_collect(apply, service->stack);
    stack_collect(apply, service->stack_id);
}

int apply_service_remove(struct apply *apply, const struct change_service_remove *change,
                         struct err *err)
{
    struct service service;
    if (store_get(apply->store, TABLE_SERVICE, change->service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "service %" PRId64 " does not exist", change->service_id);
    int rv = 0;
    if (!service.removed)
        rv = err_set(err, ERR_CONFLICT, "service %s.%s is not being removed", service.stack,
                     service.name);
    else if (finds(apply, SQL_TASK_OF_SERVICE, service.id))
        rv = err_set(err, ERR_CONFLICT, "service %s.%s still has tasks", service.stack,
                     service.name);
    else
        delete_service(apply, &service);
    record_release(&service_type, &service);
    return rv;
}
