/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revisions of a service's spec: a new one, those that are kept, and whose tasks belong to which.
 *
 * The service's row has the newest. Older ones are rows of their own: as long as tasks run them,
 * and from level 4 on also the last REVISIONS_KEPT of them and the one that a failed rollout goes
 * back to.
 */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/level.h"
#include "store/spec_change.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- what is kept -------------------------------------------------------------------------- */

static bool is_used(struct apply *apply, int64_t service_id, int64_t revision)
{
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_TASK_OF_REVISION);
    sql_int(stmt, 1, service_id);
    sql_int(stmt, 2, revision);
    bool used = sql_step(stmt);
    sql_reset(stmt);
    return used;
}

void revisions_trim(struct apply *apply, int64_t service_id)
{
    bool keeps = store_level(apply->store) >= 4;
    struct service service;
    if (store_get(apply->store, TABLE_SERVICE, service_id, &service) < 0)
        service = (struct service){0};
    struct revision *revisions;
    size_t n;
    store_list(apply->store, TABLE_REVISION, BY_SERVICE_ID, service_id, &revisions, &n);
    size_t kept = keeps ? REVISIONS_KEPT : 0;
    for (size_t i = 0; i + kept < n; i++) {
        const struct revision *r = &revisions[i];
        bool stable = keeps && r->revision == service.stable_revision;
        if (!stable && !is_used(apply, service_id, r->revision))
            apply_delete(apply, TABLE_REVISION, r->id);
    }
    record_free_list(&revision_type, revisions, n);
    record_release(&service_type, &service);
}

int revision_spec(struct apply *apply, const struct service *service, int64_t revision,
                  struct spec *ret_spec, struct err *err)
{
    sqlite3_stmt *stmt = sql(&apply->store->sql, SQL_REVISION_FIND);
    sql_int(stmt, 1, service->id);
    sql_int(stmt, 2, revision);
    if (!sql_step(stmt))
        return err_set(err, ERR_NOTFOUND,
                       "service %s.%s: revision %" PRId64 " is not kept; 'wherry history %s.%s' "
                       "lists those that are",
                       service->stack, service->name, revision, service->stack, service->name);
    struct revision row;
    row_decode(TABLE_REVISION, stmt, &row);
    sql_reset(stmt);
    *ret_spec = row.spec;
    row.spec = (struct spec){0};
    record_release(&revision_type, &row);
    return 0;
}

/* The spec that @service has now is about to be an older one. */
static void keep_revision(struct apply *apply, const struct service *service)
{
    if (store_level(apply->store) < 4 && !is_used(apply, service->id, service->revision))
        return;
    struct revision revision = {.id = apply_next_id(apply),
                                .service_id = service->id,
                                .revision = service->revision,
                                .spec = service->spec, /* borrowed, like the cause */
                                .cause = service->cause,
                                .revision_ms = service->revision_ms};
    apply_put(apply, TABLE_REVISION, &revision);
}

/* --- tasks --------------------------------------------------------------------------------- */

/* Tasks of earlier revisions that need not be replaced belong to the new one. Returns how many have
 * to be. */
static int64_t take_over(struct apply *apply, const struct service *service)
{
    struct task *tasks;
    size_t n;
    int64_t left = 0;
    int64_t asked = 0; /* the revision that was looked at last, and what came of it */
    enum spec_change change = SPEC_REPLACE;
    store_list(apply->store, TABLE_TASK, BY_SERVICE_ID, service->id, &tasks, &n);
    for (size_t i = 0; i < n; i++) {
        struct spec spec;
        struct err err;
        if (tasks[i].desired == DESIRED_END || task_is_terminal(tasks[i].state))
            continue;
        if (tasks[i].revision != asked) {
            asked = tasks[i].revision;
            change = SPEC_REPLACE;
            if (revision_spec(apply, service, asked, &spec, &err) == 0) {
                change = spec_change(&spec, &service->spec);
                record_release(&spec_type, &spec);
            }
        }
        if (change == SPEC_REPLACE) {
            left++;
        } else {
            tasks[i].revision = service->revision;
            apply_put(apply, TABLE_TASK, &tasks[i]);
        }
    }
    record_free_list(&task_type, tasks, n);
    return left;
}

/* --- a new one ----------------------------------------------------------------------------- */

static bool is_settled(enum rollout_state rollout)
{
    return rollout == ROLLOUT_NONE || rollout == ROLLOUT_DONE || rollout == ROLLOUT_ROLLED_BACK;
}

/* What is said of the new revision from level 4 on. */
static void begin_rollout(struct apply *apply, struct service *service, const char *cause)
{
    if (is_settled(service->rollout))
        service->stable_revision = service->revision - 1;
    free(service->cause);
    service->cause = str_copy(cause);
    service->revision_ms = apply->now_ms;
    free(service->rollout_message);
    service->rollout_message = NULL;
    bool job = mode_is_job(service->spec.mode);
    bool any = take_over(apply, service) > 0;
    service->rollout = any && !job ? ROLLOUT_UPDATING : ROLLOUT_DONE;
    service->rollout_ms = apply->now_ms;
}

static void set_spec(struct service *service, const struct spec *spec)
{
    struct spec copy; /* @spec may be what the service has */
    record_copy(&spec_type, spec, &copy);
    record_release(&spec_type, &service->spec);
    service->spec = copy;
}

bool service_revise(struct apply *apply, struct service *service, const struct spec *spec,
                    const char *cause)
{
    cleanup_free char *title = service_title(service);
    enum spec_change change = spec_change(&service->spec, spec);
    if (!service->removed && change == SPEC_SAME)
        return false;
    if (!service->removed && change == SPEC_SCALED) {
        apply_event(apply, "service", title, "scaled from %" PRId64 " to %" PRId64,
                    service->spec.replicas, spec->replicas);
        set_spec(service, spec);
    } else {
        keep_revision(apply, service);
        service->revision++;
        service->removed = false;
        set_spec(service, spec);
        apply_event(apply, "service", title, "updated to revision %" PRId64, service->revision);
        if (store_level(apply->store) >= 4)
            begin_rollout(apply, service, cause);
        if (change < SPEC_REPLACE)
            runs_take_over(apply, service);
    }
    service->updated_ms = apply->now_ms;
    apply_put(apply, TABLE_SERVICE, service);
    revisions_trim(apply, service->id);
    return true;
}
