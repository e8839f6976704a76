/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs from level 4 on: when a run begins, what it consists of, how it ends. */
#include "world.h"

static struct world *world_of(int nodes, enum service_mode mode, int64_t replicas)
{
    struct world *w = world_new();
    w->level = 4;
    for (int i = 0; i < nodes; i++)
        world_node(w, 4000, 1000);
    world_service(w, "job", mode, replicas);
    return w;
}

static int complete(const struct world *w, int64_t job_id)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        n += w->tasks[i].job_id == job_id && w->tasks[i].state == TASK_COMPLETE &&
             w->tasks[i].desired == DESIRED_RUN;
    return n;
}

static int active(const struct world *w)
{
    int n = 0;
    for (size_t i = 0; i < w->tasks_n; i++)
        n += !task_is_terminal(w->tasks[i].state);
    return n;
}

static void rounds(struct world *w, int n)
{
    for (int i = 0; i < n; i++)
        world_round(w);
}

static void one_run_for_each_revision(void **state)
{
    (void)state;
    struct world *w = world_of(3, MODE_REPLICATED_JOB, 4);
    world_settle(w);
    assert_int_equal(w->runs_n, 1);
    assert_int_equal(w->runs[0].state, JOB_SUCCEEDED);
    assert_int_equal(complete(w, w->runs[0].id), 4);
    world_settle(w);
    assert_int_equal(w->runs_n, 1);
    world_revise(w, &w->services[0]);
    world_settle(w);
    assert_int_equal(w->runs_n, 2);
    assert_int_equal(complete(w, w->runs[1].id), 4);
    assert_int_equal(complete(w, w->runs[0].id), 4); /* for their logs */
    world_free(w);
}

static void a_new_revision_cancels(void **state)
{
    (void)state;
    struct world *w = world_of(2, MODE_REPLICATED_JOB, 2);
    rounds(w, 3);
    world_revise(w, &w->services[0]);
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_CANCELED);
    assert_int_equal(w->runs[1].state, JOB_SUCCEEDED);
    assert_int_equal(active(w), 0);
    world_free(w);
}

static void parallelism_is_kept(void **state)
{
    (void)state;
    struct world *w = world_of(3, MODE_REPLICATED_JOB, 7);
    w->services[0].spec.job.parallelism = 2;
    int most = 0;
    for (int i = 0; i < 60; i++) {
        world_round(w);
        most = active(w) > most ? active(w) : most;
    }
    assert_int_equal(most, 2);
    assert_int_equal(w->runs[0].state, JOB_SUCCEEDED);
    assert_int_equal(complete(w, w->runs[0].id), 7);
    world_free(w);
}

static void a_task_that_gave_up_fails_the_run(void **state)
{
    (void)state;
    struct world *w = world_of(2, MODE_REPLICATED_JOB, 3);
    rounds(w, 3);
    w->tasks[1].state = TASK_FAILED;
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_FAILED);
    assert_int_equal(active(w), 0);
    assert_int_equal(w->runs_n, 1);
    world_free(w);
}

static void a_deadline_ends_it(void **state)
{
    (void)state;
    struct world *w = world_of(1, MODE_REPLICATED_JOB, 1);
    w->services[0].spec.job.deadline_ms = 10000;
    w->broken_revision = 1;
    struct plan plan;
    rounds(w, 2);
    world_plan(w, &plan);
    assert_int_equal(plan.wake_ms, w->runs[0].started_ms + 10000);
    plan_release(&plan);
    rounds(w, 20);
    assert_int_equal(w->runs[0].state, JOB_FAILED);
    assert_int_equal(active(w), 0);
    world_free(w);
}

static void a_lost_task_is_done_again_what_completed_is_not(void **state)
{
    (void)state;
    struct world *w = world_of(3, MODE_REPLICATED_JOB, 3);
    rounds(w, 3);
    struct task *done = &w->tasks[0], *lost = &w->tasks[1];
    done->state = TASK_COMPLETE;
    w->nodes[done->node_id - 1].status = NODE_DOWN;
    w->nodes[lost->node_id - 1].status = NODE_DOWN;
    int64_t slot = lost->slot;
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_SUCCEEDED);
    assert_int_equal(complete(w, w->runs[0].id), 3);
    struct task *again = running(w, &w->services[0], slot);
    assert_true(again && again->node_id != lost->node_id);
    world_free(w);
}

static void global_means_each_node_that_fits(void **state)
{
    (void)state;
    struct world *w = world_of(4, MODE_GLOBAL_JOB, 0);
    w->nodes[1].availability = AVAILABLE_DRAIN;
    w->nodes[2].status = NODE_DOWN;
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_SUCCEEDED);
    assert_int_equal(complete(w, w->runs[0].id), 2);
    world_free(w);
}

static void global_waits_for_a_node_that_had_begun(void **state)
{
    (void)state;
    struct world *w = world_of(2, MODE_GLOBAL_JOB, 0);
    rounds(w, 3);
    w->nodes[1].status = NODE_DOWN;
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_RUNNING);
    assert_waits(w, &w->services[0], 2, "waits for node n2, which is down");
    w->nodes[1].status = NODE_UP;
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_SUCCEEDED);
    world_free(w);
}

static void stopped_and_removed_jobs_end(void **state)
{
    (void)state;
    struct world *w = world_of(2, MODE_REPLICATED_JOB, 2);
    rounds(w, 3);
    w->services[0].stopped = true;
    world_settle(w);
    assert_int_equal(w->runs[0].state, JOB_CANCELED);
    assert_int_equal(active(w), 0);
    w->services[0].removed = true;
    world_settle(w);
    assert_int_equal(w->services_n, 0);
    assert_int_equal(w->tasks_n, 0);
    world_free(w);
}

/* --- schedules ------------------------------------------------------------------------------- */

static struct world *scheduled(enum concurrency concurrency)
{
    struct world *w = world_of(2, MODE_REPLICATED_JOB, 1);
    w->services[0].spec.job.schedule = (char *)(uintptr_t) "0 3 * * *";
    w->services[0].spec.job.concurrency = concurrency;
    w->due = (struct due){.service_id = w->services[0].id, .next_ms = INT64_MAX};
    return w;
}

static void begins_when_due(void **state)
{
    (void)state;
    struct world *w = scheduled(CONCURRENCY_FORBID);
    struct plan plan;
    w->due.next_ms = w->now_ms + 5000;
    world_plan(w, &plan);
    assert_int_equal(plan.steps_n, 0);
    assert_int_equal(plan.wake_ms, w->due.next_ms);
    plan_release(&plan);
    w->due = (struct due){w->services[0].id, w->now_ms, INT64_MAX};
    world_settle(w);
    assert_int_equal(w->runs_n, 1);
    assert_int_equal(w->runs[0].state, JOB_SUCCEEDED);
    world_revise(w, &w->services[0]); /* which is no reason to run */
    world_settle(w);
    assert_int_equal(w->runs_n, 1);
    world_free(w);
}

static void what_was_missed_long_ago_is_skipped(void **state)
{
    (void)state;
    static const struct {
        int64_t catch_up_ms, late_ms;
        enum job_state state;
    } cases[] = {
        {0, 59000, JOB_SUCCEEDED}, {0, 61000, JOB_SKIPPED},           {-1, 6000, JOB_SKIPPED},
        {-1, 1000, JOB_SUCCEEDED}, {3600000, 3599000, JOB_SUCCEEDED}, {1000, 2000, JOB_SKIPPED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct world *w = scheduled(CONCURRENCY_FORBID);
        w->services[0].spec.job.catch_up_ms = cases[i].catch_up_ms;
        w->now_ms = 10000000;
        w->due.at_ms = w->now_ms - cases[i].late_ms;
        world_settle(w);
        assert_int_equal(w->runs_n, 1);
        assert_int_equal(w->runs[0].state, cases[i].state);
        world_free(w);
    }
}

static void concurrency_is_as_asked_for(void **state)
{
    (void)state;
    static const struct {
        enum concurrency concurrency;
        enum job_state first, second;
    } cases[] = {
        {CONCURRENCY_FORBID, JOB_RUNNING, JOB_SKIPPED},
        {CONCURRENCY_ALLOW, JOB_RUNNING, JOB_RUNNING},
        {CONCURRENCY_REPLACE, JOB_CANCELED, JOB_RUNNING},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct world *w = scheduled(cases[i].concurrency);
        w->broken_revision = 1; /* its tasks do not get on */
        w->due.at_ms = w->now_ms;
        rounds(w, 3);
        w->due.at_ms = w->now_ms;
        rounds(w, 5);
        assert_int_equal(w->runs_n, 2);
        assert_int_equal(w->runs[0].state, cases[i].first);
        assert_int_equal(w->runs[1].state, cases[i].second);
        assert_int_equal(active(w), cases[i].concurrency == CONCURRENCY_ALLOW ? 2 : 1);
        world_free(w);
    }
}

static void dependents_follow_the_last_run(void **state)
{
    (void)state;
    struct world *w = world_of(1, MODE_REPLICATED_JOB, 1);
    struct depends_spec depends = {.service = (char *)(uintptr_t) "job",
                                   .condition = DEPENDS_COMPLETED};
    struct service *web = world_service(w, "web", MODE_REPLICATED, 1);
    web->spec.depends_on = &depends;
    web->spec.depends_on_n = 1;
    rounds(w, 2);
    assert_waits(w, web, 1, "waits for app.job to complete");
    world_settle(w);
    assert_non_null(running(w, web, 1));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_run_for_each_revision),
        cmocka_unit_test(a_new_revision_cancels),
        cmocka_unit_test(parallelism_is_kept),
        cmocka_unit_test(a_task_that_gave_up_fails_the_run),
        cmocka_unit_test(a_deadline_ends_it),
        cmocka_unit_test(a_lost_task_is_done_again_what_completed_is_not),
        cmocka_unit_test(global_means_each_node_that_fits),
        cmocka_unit_test(global_waits_for_a_node_that_had_begun),
        cmocka_unit_test(stopped_and_removed_jobs_end),
        cmocka_unit_test(begins_when_due),
        cmocka_unit_test(what_was_missed_long_ago_is_skipped),
        cmocka_unit_test(concurrency_is_as_asked_for),
        cmocka_unit_test(dependents_follow_the_last_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
