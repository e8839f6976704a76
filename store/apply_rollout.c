/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a rollout, as the leader and operators set it.
 *
 *     UPDATING ⇄ PAUSED          UPDATING, PAUSED → DONE
 *     UPDATING, PAUSED → ROLLING_BACK: the stable spec becomes a new revision
 *     ROLLING_BACK ⇄ ROLLBACK_PAUSED     both → ROLLED_BACK
 */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool may_follow(enum rollout_state from, enum rollout_state to)
{
    switch (to) {
    case ROLLOUT_NONE:
        return false;
    case ROLLOUT_UPDATING:
        return from == ROLLOUT_PAUSED;
    case ROLLOUT_PAUSED:
        return from == ROLLOUT_UPDATING;
    case ROLLOUT_DONE:
    case ROLLOUT_ROLLING_BACK:
        return from == ROLLOUT_UPDATING || from == ROLLOUT_PAUSED ||
               (to == ROLLOUT_ROLLING_BACK && from == ROLLOUT_ROLLBACK_PAUSED);
    case ROLLOUT_ROLLBACK_PAUSED:
        return from == ROLLOUT_ROLLING_BACK;
    case ROLLOUT_ROLLED_BACK:
        return from == ROLLOUT_ROLLING_BACK || from == ROLLOUT_ROLLBACK_PAUSED;
    }
    return false;
}

int service_roll_back(struct apply *apply, struct service *service, int64_t revision,
                      const char *message, struct err *err)
{
    struct spec spec;
    int rv = revision_spec(apply, service, revision, &spec, err);
    if (rv < 0)
        return rv;
    char cause[64];
    cleanup_free char *title = service_title(service);
    spec.replicas = service->spec.replicas;
    spec.restarts = service->spec.restarts;
    snprintf(cause, sizeof(cause), "rolled back to %" PRId64, revision);
    int64_t before = service->revision;
    service_drop_ports(apply, service->id);
    bool changed = service_revise(apply, service, &spec, cause);
    rv = service_claim_ports(apply, service, err);
    record_release(&spec_type, &spec);
    if (rv < 0)
        return rv;
    if (!changed || service->revision == before)
        return err_set(err, ERR_INVALID, "service %s: revision %" PRId64 " is what it has now",
                       title, revision);
    service->rollout =
        service->rollout == ROLLOUT_DONE ? ROLLOUT_ROLLED_BACK : ROLLOUT_ROLLING_BACK;
    free(service->rollout_message);
    service->rollout_message = str_copy(str_or_empty(message));
    apply_put(apply, TABLE_SERVICE, service);
    apply_event(apply, "service", title, "goes back to revision %" PRId64 "%s%.150s", revision,
                *str_or_empty(message) ? ": " : "", str_or_empty(message));
    return 0;
}

static int set_rollout(struct apply *apply, struct service *service,
                       const struct change_rollout_set *change, struct err *err)
{
    cleanup_free char *title = service_title(service);
    const char *message = str_or_empty(change->message);
    if (service->removed)
        return err_set(err, ERR_NOTFOUND, "service %s is being removed", title);
    if (service->revision != change->revision)
        return err_set(err, ERR_CONFLICT, "service %s is at revision %" PRId64 ", not %" PRId64,
                       title, service->revision, change->revision);
    if (!may_follow(service->rollout, change->state))
        return err_set(err, ERR_CONFLICT, "service %s: its rollout is %s and cannot be %s", title,
                       rollout_state_names[service->rollout], rollout_state_names[change->state]);
    bool back =
        change->state == ROLLOUT_ROLLING_BACK && service->rollout != ROLLOUT_ROLLBACK_PAUSED;
    if (back)
        return service_roll_back(apply, service, service->stable_revision, message, err);
    service->rollout = change->state;
    service->rollout_ms = apply->now_ms;
    bool over = change->state == ROLLOUT_ROLLED_BACK || change->state == ROLLOUT_DONE;
    if (!over || *message) {
        free(service->rollout_message);
        service->rollout_message = str_copy(message);
    }
    apply_put(apply, TABLE_SERVICE, service);
    apply_event(apply, "service", title, "rollout of revision %" PRId64 ": %s%s%.150s",
                service->revision, rollout_state_names[service->rollout], *message ? ": " : "",
                message);
    return 0;
}

int apply_rollout_set(struct apply *apply, const struct change_rollout_set *change, struct err *err)
{
    struct service service;
    if (store_get(apply->store, TABLE_SERVICE, change->service_id, &service) < 0)
        return err_set(err, ERR_NOTFOUND, "service %" PRId64 " does not exist", change->service_id);
    apply->made = service.id;
    int rv = set_rollout(apply, &service, change, err);
    record_release(&service_type, &service);
    return rv;
}
