/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole Compose project becomes rows:
 *
 *     names → stack → networks, volumes → each service: spec checked, row written
 *           → what is not named: pruned → dependencies → ports
 */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/level.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A deploy under way. */
struct deploy {
    struct apply *apply;
    const struct change_stack_deploy *change;
    struct stack stack;
    struct service *services; /* of the stack as it will be, by id */
    size_t services_n;
    bool *touched; /* written by this deploy */
};

/* --- the change itself --------------------------------------------------------------------- */

static int check_name(const char *what, const char *name, struct err *err)
{
    if (name_is_valid(str_or_empty(name)))
        return 0;
    return err_set(err, ERR_INVALID,
                   "\"%.80s\" is no name for a %s: lower-case letters, digits, '_' and '-', "
                   "at most 63",
                   str_or_empty(name), what);
}

static int check_names(const struct change_stack_deploy *change, struct err *err)
{
    int rv = check_name("stack", change->name, err);
    if (rv == 0 && change->services_n > SERVICES_MAX)
        rv = err_set(err, ERR_TOOBIG, "stack %s has more than %d services", change->name,
                     SERVICES_MAX);
    for (size_t i = 0; i < change->services_n && rv == 0; i++) {
        rv = check_name("service", change->services[i].name, err);
        for (size_t k = 0; k < i && rv == 0; k++)
            if (str_equal(change->services[i].name, change->services[k].name))
                rv = err_set(err, ERR_INVALID, "service %s.%s is given twice", change->name,
                             change->services[i].name);
    }
    for (size_t i = 0; i < change->networks_n && rv == 0; i++)
        rv = check_name("network", change->networks[i], err);
    for (size_t i = 0; i < change->own_networks_n && rv == 0; i++)
        rv = network_given_check(&change->own_networks[i], err);
    for (size_t i = 0; i < change->volumes_n && rv == 0; i++)
        rv = volume_name_check(change->volumes[i], err);
    for (size_t i = 0; i < change->own_volumes_n && rv == 0; i++)
        rv = volume_name_check(change->own_volumes[i].name, err);
    return rv;
}

/* --- the stack ----------------------------------------------------------------------------- */

static int check_precondition(const struct deploy *deploy, bool exists, struct err *err)
{
    const struct change_stack_deploy *change = deploy->change;
    const struct stack *stack = &deploy->stack;
    if (!exists && change->expected_revision != 0)
        return err_set(err, ERR_CONFLICT,
                       "stack %s does not exist, the deploy was planned from revision %" PRId64,
                       change->name, change->expected_revision);
    if (!exists)
        return 0;
    if (strcmp(str_or_empty(stack->project), str_or_empty(change->project)) != 0 && !change->adopt)
        return err_set(err, ERR_EXISTS,
                       "stack %s was deployed from another project; choose another name, or take "
                       "it over with --adopt",
                       stack->name);
    if (change->expected_revision == 0)
        return err_set(err, ERR_CONFLICT, "stack %s exists already, at revision %" PRId64,
                       stack->name, stack->revision);
    if (stack->revision != change->expected_revision)
        return err_set(err, ERR_CONFLICT,
                       "stack %s is at revision %" PRId64 ", the deploy was planned from %" PRId64
                       "; deploy again",
                       stack->name, stack->revision, change->expected_revision);
    return 0;
}

static int deploy_stack(struct deploy *deploy, struct err *err)
{
    struct apply *apply = deploy->apply;
    struct stack *stack = &deploy->stack;
    bool exists = store_find(apply->store, TABLE_STACK, deploy->change->name, stack) == 0;
    if (!exists)
        *stack = (struct stack){0};
    int rv = check_precondition(deploy, exists, err);
    if (rv < 0)
        return rv;
    if (!exists) {
        stack->id = apply_next_id(apply);
        stack->name = str_copy(deploy->change->name);
        stack->created_ms = apply->now_ms;
    }
    free(stack->project);
    stack->project = str_copy(deploy->change->project);
    stack->revision++;
    stack->updated_ms = apply->now_ms;
    apply_put(apply, TABLE_STACK, stack);
    apply->made = stack->id;
    apply_event(apply, "stack", stack->name, "deployed, revision %" PRId64, stack->revision);
    return 0;
}

/* --- networks and volumes ------------------------------------------------------------------ */

static int deploy_resources(struct deploy *deploy, struct err *err)
{
    struct apply *apply = deploy->apply;
    const struct change_stack_deploy *change = deploy->change;
    int rv = 0;
    for (size_t i = 0; i < change->networks_n && rv == 0; i++) {
        const struct deploy_network plain = {.name = change->networks[i]};
        rv = network_deploy(apply, &deploy->stack, &plain, err);
    }
    for (size_t i = 0; i < change->own_networks_n && rv == 0; i++)
        rv = network_deploy(apply, &deploy->stack, &change->own_networks[i], err);
    for (size_t i = 0; i < change->volumes_n; i++) {
        const struct deploy_volume plain = {.name = change->volumes[i]};
        volume_deploy(apply, &deploy->stack, &plain);
    }
    for (size_t i = 0; i < change->own_volumes_n; i++)
        volume_deploy(apply, &deploy->stack, &change->own_volumes[i]);
    return rv;
}

/* --- services ------------------------------------------------------------------------------ */

static int check_references(struct deploy *deploy, const struct spec *spec, const char *object,
                            struct err *err)
{
    struct store *store = deploy->apply->store;
    for (size_t i = 0; i < spec->networks_n; i++) {
        const struct attachment *attachment = &spec->networks[i];
        cleanup_free char *name = attachment_network(deploy->stack.name, attachment);
        struct network network;
        if (store_find(store, TABLE_NETWORK, name, &network) < 0)
            return err_set(err, ERR_INVALID, "%s: network \"%.80s\" does not exist%s", object,
                           attachment->full ? name : attachment->network,
                           attachment->full ? "; make it with 'wherry network create'" : "");
        int rv = network_attach_check(&network, deploy->stack.id, object, err);
        record_release(&network_type, &network);
        if (rv < 0)
            return rv;
    }
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const char *source = str_or_empty(spec->mounts[i].source);
        struct volume volume;
        if (spec->mounts[i].kind != MOUNT_VOLUME || *source == '\0')
            continue;
        if (store_find(store, TABLE_VOLUME, source, &volume) < 0)
            return err_set(err, ERR_INVALID,
                           "%s: volume \"%.130s\" does not exist; an external one is made with "
                           "'wherry volume create'",
                           object, source);
        record_release(&volume_type, &volume);
    }
    return contents_check(deploy->apply, spec, deploy->stack.name, object, err);
}

static struct service *find_service(struct deploy *deploy, const char *name)
{
    for (size_t i = 0; i < deploy->services_n; i++)
        if (str_equal(deploy->services[i].name, name))
            return &deploy->services[i];
    return NULL;
}

static void service_create(struct deploy *deploy, const struct deploy_service *given,
                           const char *title)
{
    struct apply *apply = deploy->apply;
    struct service *service = &deploy->services[deploy->services_n++];
    *service = (struct service){.id = apply_next_id(apply),
                                .stack_id = deploy->stack.id,
                                .stack = str_copy(deploy->stack.name),
                                .name = str_copy(given->name),
                                .revision = 1,
                                .created_ms = apply->now_ms,
                                .updated_ms = apply->now_ms};
    record_copy(&spec_type, &given->spec, &service->spec);
    if (store_level(apply->store) >= 4) {
        service->cause = str_copy("deployed");
        service->revision_ms = apply->now_ms;
    }
    apply_put(apply, TABLE_SERVICE, service);
    apply_event(apply, "service", title, "created");
}

static int deploy_service(struct deploy *deploy, const struct deploy_service *given,
                          struct err *err)
{
    cleanup_free char *title = str_printf("%s.%s", deploy->stack.name, given->name);
    cleanup_free char *object = str_printf("service %s", title);
    int rv = spec_validate(&given->spec, store_level(deploy->apply->store), object, err);
    if (rv == 0)
        rv = check_references(deploy, &given->spec, object, err);
    if (rv < 0)
        return rv;
    struct service *service = find_service(deploy, given->name);
    if (!service) {
        service_create(deploy, given, title);
        deploy->touched[deploy->services_n - 1] = true;
        service = &deploy->services[deploy->services_n - 1];
    } else {
        struct spec spec = given->spec; /* borrowed */
        spec.restarts = service->spec.restarts;
        if (service_revise(deploy->apply, service, &spec, "deployed"))
            deploy->touched[service - deploy->services] = true;
    }
    return service_settle_addresses(deploy->apply, service, err);
}

static bool is_named(const struct change_stack_deploy *change, const char *name)
{
    for (size_t i = 0; i < change->services_n; i++)
        if (str_equal(change->services[i].name, name))
            return true;
    return false;
}

static void prune(struct deploy *deploy)
{
    for (size_t i = 0; i < deploy->services_n; i++)
        if (!deploy->services[i].removed && !is_named(deploy->change, deploy->services[i].name))
            service_mark_removed(deploy->apply, &deploy->services[i]);
}

/* All ports that the deploy gives up are free before it claims any. */
static int claim_ports(struct deploy *deploy, struct err *err)
{
    for (size_t i = 0; i < deploy->services_n; i++)
        if (deploy->touched[i])
            service_drop_ports(deploy->apply, deploy->services[i].id);
    for (size_t i = 0; i < deploy->services_n; i++) {
        if (!deploy->touched[i])
            continue;
        int rv = service_claim_ports(deploy->apply, &deploy->services[i], err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int deploy_services(struct deploy *deploy, struct err *err)
{
    const struct change_stack_deploy *change = deploy->change;
    struct service *existing;
    store_list(deploy->apply->store, TABLE_SERVICE, BY_STACK_ID, deploy->stack.id, &existing,
               &deploy->services_n);
    size_t most = deploy->services_n + change->services_n;
    deploy->services = mem_resize(existing, most, sizeof(*existing));
    deploy->touched = mem_alloc(most, sizeof(bool));
    for (size_t i = 0; i < change->services_n; i++) {
        int rv = deploy_service(deploy, &change->services[i], err);
        if (rv < 0)
            return rv;
    }
    if (change->prune)
        prune(deploy);
    int rv = depends_validate(deploy->stack.name, deploy->services, deploy->services_n, err);
    if (rv == 0)
        rv = claim_ports(deploy, err);
    contents_collect(deploy->apply, deploy->stack.name);
    return rv;
}

int apply_stack_deploy(struct apply *apply, const struct change_stack_deploy *change,
                       struct err *err)
{
    struct deploy deploy = {.apply = apply, .change = change};
    int rv = check_names(change, err);
    if (rv == 0)
        rv = deploy_stack(&deploy, err);
    if (rv == 0)
        rv = deploy_resources(&deploy, err);
    if (rv == 0)
        rv = deploy_services(&deploy, err);
    record_free_list(&service_type, deploy.services, deploy.services_n);
    free(deploy.touched);
    record_release(&stack_type, &deploy.stack);
    return rv;
}

int apply_stack_remove(struct apply *apply, const struct change_stack_remove *change,
                       struct err *err)
{
    struct stack stack;
    const char *name = str_or_empty(change->name);
    if (store_find(apply->store, TABLE_STACK, name, &stack) < 0)
        return err_set(err, ERR_NOTFOUND, "stack %.80s does not exist", name);
    struct service *services;
    size_t n;
    bool marked = false;
    store_list(apply->store, TABLE_SERVICE, BY_STACK_ID, stack.id, &services, &n);
    for (size_t i = 0; i < n; i++)
        if (!services[i].removed) {
            service_mark_removed(apply, &services[i]);
            marked = true;
        }
    if (marked) {
        /* A deploy that was planned before is refused. */
        stack.revision++;
        stack.updated_ms = apply->now_ms;
        apply_put(apply, TABLE_STACK, &stack);
        apply_event(apply, "stack", stack.name, "is being removed");
    }
    stack_collect(apply, stack.id);
    apply->made = stack.id;
    record_free_list(&service_type, services, n);
    record_release(&stack_type, &stack);
    return 0;
}
