/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#define GB ((int64_t)1 << 30)

static struct world *world_of(int nodes)
{
    struct world *w = world_new();
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 8 * GB);
    return w;
}

static void test_replicas_spread(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 7);
    world_settle(w);
    for (int64_t slot = 1; slot <= 7; slot++)
        assert_int_equal(running(w, web, slot)->state, TASK_RUNNING);
    assert_int_equal(count_on(w, web, 1), 3);
    assert_int_equal(count_on(w, web, 2), 2);
    assert_int_equal(count_on(w, web, 3), 2);
    world_free(w);
}

static void test_the_node_with_most_left_is_taken(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    world_node(w, 16000, 8 * GB);
    struct service *big = world_service(w, "big", MODE_REPLICATED, 3);
    big->spec.reservations.cpu_milli = 2000;
    struct service *small = world_service(w, "small", MODE_REPLICATED, 1);
    world_settle(w);
    assert_int_equal(running(w, small, 1)->node_id, 3);
    world_free(w);
}

static void test_a_node_that_failed_the_service_comes_last(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 1);
    world_settle(w);
    struct task *task = running(w, web, 1);
    assert_int_equal(task->node_id, 1);
    task->state = TASK_FAILED;
    task->state_ms = w->now_ms;
    world_settle(w);
    assert_int_equal(running(w, web, 1)->state, TASK_FAILED); /* it gave up: its word stands */
    world_revise(w, web);
    world_settle(w);
    assert_int_equal(running(w, web, 1)->node_id, 2);
    world_free(w);
}

static void test_scaling_ends_the_highest_slots(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 5);
    world_settle(w);
    web->spec.replicas = 2;
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    assert_true(find_running(w, web, 1) && find_running(w, web, 2));
    web->spec.replicas = 0;
    world_settle(w);
    assert_int_equal(w->tasks_n, 0);
    web->spec.replicas = -5;
    world_settle(w);
    assert_int_equal(w->tasks_n, 0);
    world_free(w);
}

static void test_a_removed_service_goes_with_its_last_task(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 3);
    world_service(w, "all", MODE_GLOBAL, 0);
    world_settle(w);
    web->removed = true;
    world_settle(w);
    assert_int_equal(w->services_n, 1);
    assert_int_equal(w->tasks_n, 2);
    w->services[0].removed = true;
    w->nodes[1].status = NODE_DOWN; /* it may still run there: it has to say so first */
    world_settle(w);
    assert_int_equal(w->services_n, 1);
    assert_int_equal(w->tasks_n, 1);
    w->nodes_n = 1; /* or to be gone */
    free(w->nodes[1].name);
    world_settle(w);
    assert_int_equal(w->services_n + w->tasks_n, 0);
    world_free(w);
}

static void test_tasks_without_a_service_are_ended(void **state)
{
    (void)state;
    struct world *w = world_of(1);
    world_service(w, "web", MODE_REPLICATED, 1);
    world_settle(w);
    free(w->services[0].name);
    w->services_n = 0;
    world_settle(w);
    assert_int_equal(w->tasks_n, 0);
    world_free(w);
}

static void test_tasks_of_a_lost_node_run_elsewhere(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 3);
    world_settle(w);
    int64_t lost_id = running(w, web, 2)->id;
    w->nodes[1].status = NODE_DOWN;
    struct plan plan;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 2);
    assert_int_equal(plan.steps[0].kind, STEP_END);
    assert_string_equal(plan.steps[0].reason, "node n2 is down");
    assert_int_equal(plan.steps[1].kind, STEP_CREATE);
    plan_release(&plan);
    world_settle(w);
    assert_int_not_equal(running(w, web, 2)->node_id, 2);
    assert_non_null(find_task(w, lost_id)); /* it learns of its end when it is back */
    w->nodes[1].status = NODE_UP;
    world_settle(w);
    assert_null(find_task(w, lost_id));
    assert_int_equal(w->tasks_n, 3);
    world_free(w);
}

static void test_with_nowhere_to_go_a_lost_task_stays(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 2);
    web->spec.reservations.memory_bytes = 5 * GB;
    world_settle(w);
    int64_t id = running(w, web, 2)->id;
    w->nodes[1].status = NODE_DOWN;
    world_settle(w);
    assert_int_equal(running(w, web, 2)->id, id);
    assert_waits(w, web, 2, "0 of 2 nodes fit: 1 down, 1 short of memory");
    w->nodes[1].status = NODE_UP;
    world_settle(w);
    assert_int_equal(running(w, web, 2)->id, id);
    assert_waits(w, web, 2, "");
    world_free(w);
}

static void test_tasks_of_a_node_that_left_are_forgotten(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 2);
    world_settle(w);
    w->nodes_n = 1;
    free(w->nodes[1].name);
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    assert_int_equal(count_on(w, web, 1), 2);
    world_free(w);
}

static void test_a_global_service_follows_the_nodes(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    struct service *agent = world_service(w, "agent", MODE_GLOBAL, 0);
    w->nodes[2].availability = AVAILABLE_PAUSE;
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    assert_int_equal(running(w, agent, 2)->node_id, 2);
    w->nodes[2].availability = AVAILABLE_ACTIVE;
    w->nodes[1].status = NODE_DOWN;
    world_settle(w);
    assert_int_equal(w->tasks_n, 3); /* the one that is down keeps its own */
    w->nodes[0].availability = AVAILABLE_DRAIN;
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    assert_int_equal(count_on(w, agent, 1), 0);
    world_free(w);
}

static void test_a_global_service_is_on_the_nodes_of_its_platform(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    for (size_t i = 0; i < 3; i++) {
        w->nodes[i].os = (char *)(uintptr_t) "linux";
        w->nodes[i].arch = (char *)(uintptr_t)(i == 1 ? "arm64" : "amd64");
    }
    struct service *agent = world_service(w, "agent", MODE_GLOBAL, 0);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 2);
    agent->spec.platform = web->spec.platform = (char *)(uintptr_t) "linux/arm64";
    world_settle(w);
    assert_int_equal(w->tasks_n, 3);
    assert_int_equal(count_on(w, NULL, 2), 3);
    agent->spec.platform = (char *)(uintptr_t) "linux/riscv64";
    agent->revision++;
    world_settle(w);
    assert_waits(w, agent, 0, "0 of 3 nodes fit: 3 are not linux/riscv64");
    agent->spec.platform = web->spec.platform = NULL;
    world_free(w);
}

static void test_a_witness_runs_nothing(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    w->nodes[1].witness = true;
    struct service *agent = world_service(w, "agent", MODE_GLOBAL, 0);
    world_service(w, "web", MODE_REPLICATED, 4);
    world_settle(w);
    assert_int_equal(count_on(w, NULL, 2), 0);
    assert_int_equal(count_on(w, agent, 1) + count_on(w, agent, 3), 2);
    assert_int_equal(w->tasks_n, 6);
    world_free(w);
}

static void test_a_global_service_without_a_node_says_why(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct constraint zone = {.key = (char *)(uintptr_t) "node.labels.zone",
                              .value = (char *)(uintptr_t) "a"};
    struct service *agent = world_service(w, "agent", MODE_GLOBAL, 0);
    agent->spec.constraints = &zone;
    agent->spec.constraints_n = 1;
    w->nodes[0].status = NODE_DOWN;
    world_settle(w);
    assert_waits(w, agent, 0, "0 of 2 nodes fit: 1 down, 1 do not meet the constraints");
    struct pair label = {.key = (char *)(uintptr_t) "zone", .value = (char *)(uintptr_t) "a"};
    w->nodes[1].labels = &label;
    w->nodes[1].labels_n = 1;
    world_settle(w);
    assert_non_null(find_running(w, agent, 2));
    w->nodes[1].labels_n = 0;
    world_settle(w);
    assert_int_equal(w->tasks_n, 0);
    world_free(w);
}

static void test_a_job_runs_once_per_revision(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *job = world_service(w, "job", MODE_REPLICATED_JOB, 2);
    world_settle(w);
    int64_t first = running(w, job, 1)->id;
    assert_int_equal(running(w, job, 1)->state, TASK_COMPLETE);
    assert_int_equal(running(w, job, 2)->state, TASK_COMPLETE);
    w->nodes[0].status = NODE_DOWN;
    world_settle(w);
    w->nodes[0].status = NODE_UP;
    w->nodes[0].availability = AVAILABLE_DRAIN;
    world_settle(w);
    assert_int_equal(running(w, job, 1)->id, first); /* done is done, wherever it was */
    w->nodes[0].availability = AVAILABLE_ACTIVE;
    world_revise(w, job);
    world_settle(w);
    assert_int_equal(w->tasks_n, 2);
    assert_int_not_equal(running(w, job, 1)->id, first);
    assert_int_equal(running(w, job, 1)->state, TASK_COMPLETE);
    running(w, job, 2)->state = TASK_FAILED;
    first = running(w, job, 2)->id;
    world_settle(w);
    assert_int_equal(running(w, job, 2)->id, first); /* it gave up */
    world_free(w);
}

static void test_a_completed_job_outlives_its_node(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *job = world_service(w, "job", MODE_REPLICATED_JOB, 2);
    world_settle(w);
    w->nodes_n = 1;
    free(w->nodes[1].name);
    world_settle(w);
    assert_int_equal(running(w, job, 2)->node_id, 2);
    world_free(w);
}

static void test_a_running_job_moves_from_a_lost_node(void **state)
{
    (void)state;
    struct world *w = world_of(2);
    struct service *job = world_service(w, "job", MODE_REPLICATED_JOB, 1);
    world_round(w);
    world_round(w);
    assert_int_equal(running(w, job, 1)->node_id, 1);
    w->nodes[0].status = NODE_DOWN;
    world_settle(w);
    assert_int_equal(running(w, job, 1)->node_id, 2);
    assert_int_equal(running(w, job, 1)->state, TASK_COMPLETE);
    world_free(w);
}

static void test_dependencies_are_waited_for(void **state)
{
    (void)state;
    struct world *w = world_of(1);
    char *test[] = {(char *)(uintptr_t) "true"};
    struct depends_spec depends[] = {
        {.service = (char *)(uintptr_t) "db", .condition = DEPENDS_HEALTHY},
        {.service = (char *)(uintptr_t) "migrate", .condition = DEPENDS_COMPLETED}};
    struct service *web = world_service(w, "web", MODE_REPLICATED, 1);
    web->spec.depends_on = depends;
    web->spec.depends_on_n = 2;
    assert_waits(w, web, 1, "waits for app.db to be deployed");
    struct service *db = world_service(w, "db", MODE_REPLICATED, 1);
    db->spec.health.test = test;
    db->spec.health.test_n = 1;
    struct service *migrate = world_service(w, "migrate", MODE_REPLICATED_JOB, 1);
    migrate->spec.depends_on = depends;
    migrate->spec.depends_on_n = 1;
    for (int i = 0; i < 3; i++) {
        assert_waits(w, web, 1, "waits for app.db to be healthy");
        assert_waits(w, migrate, 1, "waits for app.db to be healthy");
        world_round(w);
    }
    world_round(w);
    assert_waits(w, web, 1, "waits for app.migrate to complete");
    assert_null(find_running(w, web, 1));
    world_settle(w);
    assert_int_equal(running(w, web, 1)->state, TASK_RUNNING);
    running(w, db, 1)->health = HEALTH_UNHEALTHY; /* what runs and grows does not wait */
    web->spec.replicas = 2;
    world_settle(w);
    assert_int_equal(running(w, web, 2)->state, TASK_RUNNING);
    world_free(w);
}

static void test_a_job_that_failed_is_named(void **state)
{
    (void)state;
    struct world *w = world_of(1);
    struct depends_spec depends = {.service = (char *)(uintptr_t) "migrate",
                                   .condition = DEPENDS_COMPLETED};
    struct service *migrate = world_service(w, "migrate", MODE_REPLICATED_JOB, 1);
    struct service *web = world_service(w, "web", MODE_REPLICATED, 1);
    web->spec.depends_on = &depends;
    web->spec.depends_on_n = 1;
    world_round(w);
    running(w, migrate, 1)->state = TASK_FAILED;
    world_settle(w);
    assert_waits(w, web, 1, "waits for app.migrate to complete, but it failed");
    migrate->spec.replicas = 0; /* nobody waits for what was scaled to nothing */
    world_settle(w);
    assert_non_null(find_running(w, web, 1));
    world_free(w);
}

static void test_replicas_share_the_home_of_their_volume(void **state)
{
    (void)state;
    struct world *w = world_of(3);
    struct mount_spec mount = {.kind = MOUNT_VOLUME, .source = (char *)(uintptr_t) "app_data"};
    w->volumes[w->volumes_n++] = (struct volume){.id = 1, .name = mount.source};
    struct service *db = world_service(w, "db", MODE_REPLICATED, 3);
    db->spec.mounts = &mount;
    db->spec.mounts_n = 1;
    struct service *backup = world_service(w, "backup", MODE_REPLICATED, 1);
    backup->spec.mounts = &mount;
    backup->spec.mounts_n = 1;
    struct service *agent = world_service(w, "agent", MODE_GLOBAL, 0);
    agent->spec.mounts = &mount;
    agent->spec.mounts_n = 1;
    world_settle(w);
    assert_int_equal(count_on(w, db, 1), 3);
    assert_int_equal(count_on(w, backup, 1), 1);
    assert_int_equal(count_on(w, agent, 0), 3);
    w->nodes[0].status = NODE_DOWN;
    world_settle(w);
    assert_int_equal(count_on(w, db, 1), 3);
    assert_waits(w, db, 3, "0 of 3 nodes fit: 1 down, 2 are not the home of its volume");
    world_free(w);
}

static void test_absurd_numbers_do_no_harm(void **state)
{
    (void)state;
    struct world *w = world_of(1);
    struct service *web = world_service(w, "web", MODE_REPLICATED, INT64_MAX);
    web->spec.reservations.cpu_milli = INT64_MAX;
    web->spec.reservations.memory_bytes = INT64_MIN;
    web->spec.update.delay_ms = INT64_MAX;
    struct plan plan;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 0);
    assert_int_equal(plan.unplaced_n, 65536);
    plan_release(&plan);
    assert_waits(w, web, 1, "0 of 1 nodes fit: 1 short of CPU");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replicas_spread),
        cmocka_unit_test(test_the_node_with_most_left_is_taken),
        cmocka_unit_test(test_a_node_that_failed_the_service_comes_last),
        cmocka_unit_test(test_scaling_ends_the_highest_slots),
        cmocka_unit_test(test_a_removed_service_goes_with_its_last_task),
        cmocka_unit_test(test_tasks_without_a_service_are_ended),
        cmocka_unit_test(test_tasks_of_a_lost_node_run_elsewhere),
        cmocka_unit_test(test_with_nowhere_to_go_a_lost_task_stays),
        cmocka_unit_test(test_tasks_of_a_node_that_left_are_forgotten),
        cmocka_unit_test(test_a_global_service_follows_the_nodes),
        cmocka_unit_test(test_a_global_service_is_on_the_nodes_of_its_platform),
        cmocka_unit_test(test_a_witness_runs_nothing),
        cmocka_unit_test(test_a_global_service_without_a_node_says_why),
        cmocka_unit_test(test_a_job_runs_once_per_revision),
        cmocka_unit_test(test_a_completed_job_outlives_its_node),
        cmocka_unit_test(test_a_running_job_moves_from_a_lost_node),
        cmocka_unit_test(test_dependencies_are_waited_for),
        cmocka_unit_test(test_a_job_that_failed_is_named),
        cmocka_unit_test(test_replicas_share_the_home_of_their_volume),
        cmocka_unit_test(test_absurd_numbers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
