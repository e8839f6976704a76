/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions and what becomes of tasks, the state of rollouts, and services by hand. */
#include "world.h"

#include "store/level.h"
#include "store/spec_change.h"

#include <stdio.h>

static void raise_level(struct world *w)
{
    struct change_level_raise raise = {.level = 4};
    must(w, CHANGE_LEVEL_RAISE, &raise);
}

/* Three members, stack app with web of @replicas that runs @image. */
static void setup(struct world *w)
{
    init_three(w);
    raise_level(w);
}

static void deploy(struct world *w, struct spec spec)
{
    struct deploy_service services[] = {{.name = "web", .spec = spec}};
    if (!services[0].spec.image)
        services[0].spec.image = "one";
    if (!services[0].spec.replicas)
        services[0].spec.replicas = 3;
    deploy_app(w, services, 1, false);
}

static void assert_rollout(struct world *w, int64_t revision, enum rollout_state state)
{
    struct service web = get_service(w, "app.web");
    assert_int_equal(web.revision, revision);
    assert_int_equal(web.rollout, state);
    record_release(&service_type, &web);
}

static void set_rollout(struct world *w, int64_t revision, enum rollout_state state)
{
    struct service web = get_service(w, "app.web");
    struct change_rollout_set set = {
        .service_id = web.id, .revision = revision, .state = state, .message = "why"};
    record_release(&service_type, &web);
    must(w, CHANGE_ROLLOUT_SET, &set);
}

static int64_t revision_of(struct world *w, int64_t task_id)
{
    struct task task = get_task(w, task_id);
    int64_t revision = task.revision;
    record_release(&task_type, &task);
    return revision;
}

/* --- what a change asks for ----------------------------------------------------------------- */

static void only_what_is_known_to_be_harmless_leaves_tasks_alone(void **state)
{
    (void)state;
    struct spec a = {.image = "i", .replicas = 1};
    struct spec b = a;
    assert_int_equal(spec_change(&a, &b), SPEC_SAME);
    b.replicas = 2;
    assert_int_equal(spec_change(&a, &b), SPEC_SCALED);
    b.update.parallelism = 2;
    assert_int_equal(spec_change(&a, &b), SPEC_KEEPS);
    b.limits.pids = 5;
    assert_int_equal(spec_change(&a, &b), SPEC_LIVE);
    b.image = "j";
    assert_int_equal(spec_change(&a, &b), SPEC_REPLACE);
}

/* A field that somebody adds asks for new tasks until somebody has thought about it. */
static void every_other_field_asks_for_new_tasks(void **state)
{
    (void)state;
    static const char *const harmless[] = {
        "replicas",    "pull_policy",         "update",       "rollback",     "spread",  "ports",
        "failover_ms", "rollout_deadline_ms", "drain_ms",     "no_rebalance", "restart", "limits",
        "depends_on",  "reservations",        "stop_grace_ms"};
    for (size_t i = 0; i < spec_type.fields_n; i++) {
        const struct field *f = &spec_type.fields[i];
        bool is_harmless = false;
        for (size_t k = 0; k < ARRAY_SIZE(harmless); k++)
            is_harmless |= strcmp(harmless[k], f->name) == 0;
        struct spec a = {0};
        struct spec b = {0};
        char *at = (char *)&b + f->offset;
        if (f->kind == FIELD_KIND_STRING)
            *(char **)(void *)at = (char *)(uintptr_t) "x";
        else if (f->kind == FIELD_KIND_INT)
            *(int64_t *)(void *)at = 1;
        else if (f->kind == FIELD_KIND_BOOL)
            *(bool *)(void *)at = true;
        else if (f->kind == FIELD_KIND_ENUM)
            *(int *)(void *)at = 1;
        else
            continue; /* lists and records are among the cases above */
        enum spec_change change = spec_change(&a, &b);
        if (is_harmless ? change == SPEC_REPLACE : change != SPEC_REPLACE)
            fail_msg("%s", f->name);
    }
}

static void tasks_belong_to_a_revision_that_needs_no_others(void **state)
{
    struct world *w = *state;
    setup(w);
    deploy(w, (struct spec){.limits.pids = 10});
    int64_t task = place(w, "app.web", 1, 1).id;
    deploy(w, (struct spec){.limits.pids = 20});
    assert_rollout(w, 2, ROLLOUT_DONE);
    assert_int_equal(revision_of(w, task), 2);
    deploy(w, (struct spec){.image = "two"});
    assert_rollout(w, 3, ROLLOUT_UPDATING);
    assert_int_equal(revision_of(w, task), 2);
}

static void below_level_four_all_is_as_before(void **state)
{
    struct world *w = *state;
    init_three(w);
    deploy(w, (struct spec){.limits.pids = 10});
    int64_t task = place(w, "app.web", 1, 1).id;
    deploy(w, (struct spec){.limits.pids = 20});
    assert_rollout(w, 2, ROLLOUT_NONE);
    assert_int_equal(revision_of(w, task), 1);
    assert_int_equal(store_count(w->store, TABLE_REVISION), 1);
    finish(w, task, 1);
    assert_int_equal(store_count(w->store, TABLE_REVISION), 0);
}

/* --- what is kept --------------------------------------------------------------------------- */

static void the_last_revisions_are_kept(void **state)
{
    struct world *w = *state;
    setup(w);
    char image[16];
    deploy(w, (struct spec){.image = "old"});
    int64_t task = place(w, "app.web", 1, 1).id;
    for (int i = 0; i < 3 * REVISIONS_KEPT; i++) {
        snprintf(image, sizeof(image), "i%d", i);
        deploy(w, (struct spec){.image = image});
    }
    /* and the one that a task runs */
    assert_int_equal(store_count(w->store, TABLE_REVISION), REVISIONS_KEPT + 1);
    finish(w, task, 1);
    /* … which a rollback would go to, since none since was rolled out */
    assert_int_equal(store_count(w->store, TABLE_REVISION), REVISIONS_KEPT + 1);
    set_rollout(w, 3 * REVISIONS_KEPT + 1, ROLLOUT_DONE);
    deploy(w, (struct spec){.image = "new"});
    assert_int_equal(store_count(w->store, TABLE_REVISION), REVISIONS_KEPT);
}

/* --- rollouts ------------------------------------------------------------------------------- */

static void a_rollback_brings_the_stable_spec(void **state)
{
    struct world *w = *state;
    setup(w);
    deploy(w, (struct spec){.image = "good"});
    int64_t old = place(w, "app.web", 1, 1).id;
    deploy(w, (struct spec){.image = "bad"});
    int64_t bad = place(w, "app.web", 2, 2).id;
    deploy(w, (struct spec){.image = "worse"}); /* in the middle of it */
    set_rollout(w, 3, ROLLOUT_ROLLING_BACK);
    assert_rollout(w, 4, ROLLOUT_ROLLING_BACK);
    struct service web = get_service(w, "app.web");
    assert_string_equal(web.spec.image, "good");
    assert_string_equal(web.cause, "rolled back to 1");
    assert_string_equal(web.rollout_message, "why");
    struct change_rollout_set late = {.service_id = web.id, .revision = 3, .state = ROLLOUT_PAUSED};
    refused(w, CHANGE_ROLLOUT_SET, &late, ERR_CONFLICT, "is at revision 4, not 3");
    late = (struct change_rollout_set){.service_id = web.id, .revision = 4, .state = ROLLOUT_DONE};
    refused(w, CHANGE_ROLLOUT_SET, &late, ERR_CONFLICT, "is rolling back and cannot be done");
    record_release(&service_type, &web);
    assert_int_equal(revision_of(w, old), 4); /* it never has to go */
    assert_int_equal(revision_of(w, bad), 2);
    set_rollout(w, 4, ROLLOUT_ROLLBACK_PAUSED);
    set_rollout(w, 4, ROLLOUT_ROLLING_BACK);
    assert_rollout(w, 4, ROLLOUT_ROLLING_BACK);
    set_rollout(w, 4, ROLLOUT_ROLLED_BACK);
    assert_rollout(w, 4, ROLLOUT_ROLLED_BACK);
}

static void by_hand_it_goes_to_any_that_is_kept(void **state)
{
    struct world *w = *state;
    setup(w);
    deploy(w, (struct spec){.image = "one"});
    struct change_service_rollback back = {
        .stack = "app", .service = "web", .expected_revision = 1};
    refused(w, CHANGE_SERVICE_ROLLBACK, &back, ERR_NOTFOUND, "no revision before");
    place(w, "app.web", 1, 1);
    deploy(w, (struct spec){.image = "two", .replicas = 7});
    deploy(w, (struct spec){.image = "three", .replicas = 7});
    refused(w, CHANGE_SERVICE_ROLLBACK, &back, ERR_CONFLICT, "planned from 1");
    back.expected_revision = 3;
    back.revision = 9;
    refused(w, CHANGE_SERVICE_ROLLBACK, &back, ERR_NOTFOUND, "revision 9 is not kept");
    back.revision = 2;
    must(w, CHANGE_SERVICE_ROLLBACK, &back);
    struct service web = get_service(w, "app.web");
    assert_string_equal(web.spec.image, "two");
    assert_int_equal(web.spec.replicas, 7);
    record_release(&service_type, &web);
    back.expected_revision = 4;
    refused(w, CHANGE_SERVICE_ROLLBACK, &back, ERR_INVALID, "is what it has now");
}

static void a_rollback_takes_its_ports_or_nothing(void **state)
{
    struct world *w = *state;
    setup(w);
    struct port_spec port = {.published = 80, .target = 80};
    struct deploy_service services[] = {{"web", {.image = "i", .ports = &port, .ports_n = 1}},
                                        {"other", {.image = "i"}}};
    deploy_app(w, services, 2, false);
    services[0].spec.ports_n = 0;
    deploy_app(w, services, 2, false);
    services[1].spec.ports = &port;
    services[1].spec.ports_n = 1;
    deploy_app(w, services, 2, false);
    struct change_service_rollback back = {
        .stack = "app", .service = "web", .expected_revision = 2, .revision = 1};
    refused(w, CHANGE_SERVICE_ROLLBACK, &back, ERR_EXISTS, "published by app.other");
    assert_rollout(w, 2, ROLLOUT_DONE);
}

/* --- by hand -------------------------------------------------------------------------------- */

static void a_restart_is_a_rollout_that_a_deploy_does_not_undo(void **state)
{
    struct world *w = *state;
    setup(w);
    deploy(w, (struct spec){.image = "one"});
    int64_t task = place(w, "app.web", 1, 1).id;
    struct change_service_restart restart = {.stack = "app", .service = "web"};
    must(w, CHANGE_SERVICE_RESTART, &restart);
    assert_rollout(w, 2, ROLLOUT_UPDATING);
    assert_int_equal(revision_of(w, task), 1);
    deploy(w, (struct spec){.image = "one"});
    assert_rollout(w, 2, ROLLOUT_UPDATING);
    restart.service = "none";
    refused(w, CHANGE_SERVICE_RESTART, &restart, ERR_NOTFOUND, "app.none does not exist");
}

static void a_stopped_service_gets_no_task(void **state)
{
    struct world *w = *state;
    setup(w);
    deploy(w, (struct spec){.image = "one"});
    struct change_service_stop stop = {.stack = "app", .service = "web"};
    must(w, CHANGE_SERVICE_STOP, &stop);
    assert_int_equal(place(w, "app.web", 1, 1).err.code, ERR_CONFLICT);
    deploy(w, (struct spec){.image = "two"});
    assert_int_equal(place(w, "app.web", 1, 1).err.code, ERR_CONFLICT);
    stop.start = true;
    must(w, CHANGE_SERVICE_STOP, &stop);
    must(w, CHANGE_SERVICE_STOP, &stop);
    assert_int_equal(place(w, "app.web", 1, 1).err.code, 0);
}

static void one_service_goes_and_the_stack_with_the_last(void **state)
{
    struct world *w = *state;
    setup(w);
    struct deploy_service services[] = {{"web", {.image = "i"}}, {"db", {.image = "i"}}};
    deploy_app(w, services, 2, false);
    struct change_service_retire retire = {.stack = "app", .service = "web"};
    int64_t id = must(w, CHANGE_SERVICE_RETIRE, &retire);
    refused(w, CHANGE_SERVICE_RETIRE, &retire, ERR_NOTFOUND, "is being removed");
    struct change_service_remove removal = {.service_id = id};
    must(w, CHANGE_SERVICE_REMOVE, &removal);
    assert_int_equal(store_count(w->store, TABLE_STACK), 1);
    retire.service = "db";
    removal.service_id = must(w, CHANGE_SERVICE_RETIRE, &retire);
    must(w, CHANGE_SERVICE_REMOVE, &removal);
    assert_int_equal(store_count(w->store, TABLE_STACK), 0);
}

/* --- tasks ---------------------------------------------------------------------------------- */

static void a_held_task_is_released_when_the_slot_is_free(void **state)
{
    struct world *w = *state;
    setup(w);
    deploy(w, (struct spec){.image = "one"});
    int64_t old = place(w, "app.web", 1, 1).id;
    struct service web = get_service(w, "app.web");
    struct change_task_create create = {.service_id = web.id,
                                        .service_index = web.modified_index,
                                        .slot = 1,
                                        .node_id = 2,
                                        .beside = true,
                                        .hold = true};
    record_release(&service_type, &web);
    int64_t held = must(w, CHANGE_TASK_CREATE, &create);
    refused(w, CHANGE_TASK_CREATE, &create, ERR_CONFLICT, "has a task already");
    report(w, 2,
           (struct task_observation){
               .task_id = held, .state = TASK_WAITING, .sequence = 1, .ready = true});
    struct change_task_release release = {.task_id = held};
    refused(w, CHANGE_TASK_RELEASE, &release, ERR_CONFLICT, "another task of app.web.1");
    struct change_task_end end = {.task_id = old, .reason = "update"};
    must(w, CHANGE_TASK_END, &end);
    must(w, CHANGE_TASK_RELEASE, &release);
    struct task task = get_task(w, held);
    assert_int_equal(task.desired, DESIRED_RUN);
    assert_false(task.ready);
    record_release(&task_type, &task);
    must(w, CHANGE_TASK_RELEASE, &release);
    end.task_id = held;
    must(w, CHANGE_TASK_END, &end);
    refused(w, CHANGE_TASK_RELEASE, &release, ERR_CONFLICT, "is to end");
}

static void a_move_is_noted_and_taken_back(void **state)
{
    struct world *w = *state;
    setup(w);
    struct deploy_service services[] = {{"web", {.image = "i", .replicas = 1}},
                                        {"agent", {.image = "i", .mode = MODE_GLOBAL}}};
    deploy_app(w, services, 2, false);
    int64_t task = place(w, "app.web", 1, 1).id;
    int64_t global = place(w, "app.agent", 2, 2).id;
    struct change_task_move move = {.task_id = task, .node_id = 1, .reason = "by hand"};
    refused(w, CHANGE_TASK_MOVE, &move, ERR_INVALID, "on that member already");
    move.node_id = 9;
    refused(w, CHANGE_TASK_MOVE, &move, ERR_CONFLICT, "member 9 does not exist");
    move.node_id = 3;
    must(w, CHANGE_TASK_MOVE, &move);
    struct task row = get_task(w, task);
    assert_int_equal(row.move_to, 3);
    record_release(&task_type, &row);
    move.node_id = 0;
    must(w, CHANGE_TASK_MOVE, &move);
    row = get_task(w, task);
    assert_int_equal(row.move_to, 0);
    record_release(&task_type, &row);
    move = (struct change_task_move){.task_id = global, .node_id = -1};
    refused(w, CHANGE_TASK_MOVE, &move, ERR_INVALID, "global service");
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct world *w = *state;
    static struct resource twice[] = {{"gpu", 1}, {"gpu", 1}};
    static char *labels[] = {"node.hostname"};
    static char *argv[] = {"true"};
    const struct {
        struct spec spec;
        const char *why;
    } cases[] = {
        {{.single = true, .mode = MODE_GLOBAL}, "only replicated services are single"},
        {{.single = true, .lease_ms = 1000}, "is not within 5 s to 600 s"},
        {{.lease_ms = 20000}, "is not single"},
        {{.single = true, .options = {.pid = "host"}}, "its end cannot be seen to"},
        {{.job = {.deadline_ms = 1000}}, "is no job"},
        {{.mode = MODE_REPLICATED_JOB, .job = {.schedule = "0 25 * * *"}}, "hour '25'"},
        {{.mode = MODE_REPLICATED_JOB, .job = {.time_zone = "../x"}}, "name of a time zone"},
        {{.mode = MODE_REPLICATED_JOB, .job = {.history = 101}}, "x-wherry.history"},
        {{.health = {.probe = PROBE_TCP}}, "port 0"},
        {{.health = {.probe = PROBE_HTTP, .port = 80, .path = "/a b"}}, "blanks"},
        {{.health = {.probe = PROBE_HTTP, .port = 80, .host = "a\r\nX: y"}}, "blanks"},
        {{.health = {.probe = PROBE_TCP, .port = 80, .test = argv, .test_n = 1}}, "has both"},
        {{.resources = twice, .resources_n = 2}, "once each"},
        {{.spread = labels, .spread_n = 1}, "node.labels.KEY"},
    };
    setup(w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct deploy_service services[] = {{.name = "web", .spec = cases[i].spec}};
        services[0].spec.image = "i";
        services[0].spec.replicas = cases[i].spec.mode == MODE_GLOBAL ? 0 : 1;
        struct change_stack_deploy deploy = {
            .name = "app", .project = "p", .services = services, .services_n = 1};
        refused(w, CHANGE_STACK_DEPLOY, &deploy, ERR_INVALID, cases[i].why);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_known_to_be_harmless_leaves_tasks_alone),
        cmocka_unit_test(every_other_field_asks_for_new_tasks),
        TEST(tasks_belong_to_a_revision_that_needs_no_others),
        TEST(below_level_four_all_is_as_before),
        TEST(the_last_revisions_are_kept),
        TEST(a_rollback_brings_the_stable_spec),
        TEST(by_hand_it_goes_to_any_that_is_kept),
        TEST(a_rollback_takes_its_ports_or_nothing),
        TEST(a_restart_is_a_rollout_that_a_deploy_does_not_undo),
        TEST(a_stopped_service_gets_no_task),
        TEST(one_service_goes_and_the_stack_with_the_last),
        TEST(a_held_task_is_released_when_the_slot_is_free),
        TEST(a_move_is_noted_and_taken_back),
        TEST(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
