/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of jobs: begun and ended once, trimmed, and what is adopted from before there were any. */
#include "world.h"

#include <stdio.h>

static void deploy(struct world *w, struct spec spec)
{
    struct deploy_service services[] = {{.name = "job", .spec = spec}};
    services[0].spec.image = "one";
    services[0].spec.replicas = 2;
    deploy_app(w, services, 1, false);
}

static void setup(struct world *w, struct spec spec)
{
    init_three(w);
    must(w, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 4});
    deploy(w, spec);
}

static struct change_job_start start_of(struct world *w)
{
    struct service job = get_service(w, "app.job");
    struct change_job_start start = {
        .service_id = job.id, .service_index = job.modified_index, .cause = "by hand"};
    record_release(&service_type, &job);
    return start;
}

static int64_t begin(struct world *w)
{
    struct change_job_start start = start_of(w);
    return must(w, CHANGE_JOB_START, &start);
}

static void end(struct world *w, int64_t id, enum job_state state)
{
    must(w, CHANGE_JOB_END, &(struct change_job_end){.job_id = id, .state = state});
}

static size_t runs(struct world *w, struct job_run *ret_last)
{
    struct job_run *rows;
    size_t n;
    store_list(w->store, TABLE_JOB_RUN, BY_NONE, 0, &rows, &n);
    if (n > 0 && ret_last) {
        *ret_last = rows[n - 1];
        ret_last->cause = ret_last->message = NULL;
    }
    record_free_list(&job_run_type, rows, n);
    return n;
}

static void a_run_begins_and_ends_once(void **state)
{
    struct world *w = *state;
    struct job_run run;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    struct change_job_start start = start_of(w);
    int64_t id = must(w, CHANGE_JOB_START, &start);
    refused(w, CHANGE_JOB_START, &start, ERR_CONFLICT, ""); /* planned from what was before */
    end(w, id, JOB_SUCCEEDED);
    end(w, id, JOB_FAILED); /* fine, and changes nothing */
    assert_int_equal(runs(w, &run), 1);
    assert_int_equal(run.state, JOB_SUCCEEDED);
    assert_int_equal(run.number, 1);
    refused(w, CHANGE_JOB_END, &(struct change_job_end){.job_id = 999, .state = JOB_FAILED},
            ERR_NOTFOUND, "does not exist");
}

static void only_jobs_have_runs(void **state)
{
    struct world *w = *state;
    setup(w, (struct spec){0});
    struct change_job_start start = start_of(w);
    refused(w, CHANGE_JOB_START, &start, ERR_INVALID, "");
}

static void stopped_jobs_do_not_begin(void **state)
{
    struct world *w = *state;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    must(w, CHANGE_SERVICE_STOP, &(struct change_service_stop){.stack = "app", .service = "job"});
    struct change_job_start start = start_of(w);
    refused(w, CHANGE_JOB_START, &start, ERR_CONFLICT, "");
}

static void history_is_limited(void **state)
{
    struct world *w = *state;
    struct job_run run;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB, .job = {.history = 3}});
    for (int i = 0; i < 6; i++)
        end(w, begin(w), JOB_SUCCEEDED);
    assert_int_equal(runs(w, &run), 3);
    assert_int_equal(run.number, 6);
    begin(w);
    assert_int_equal(runs(w, NULL), 4); /* those that are over count */
    for (int i = 0; i < 5; i++) {
        struct change_job_start start = start_of(w);
        start.skip = true;
        start.scheduled_ms = 1000 + i;
        must(w, CHANGE_JOB_START, &start);
    }
    assert_int_equal(runs(w, &run),
                     4); /* the last of those that were skipped, two others, one under way */
    assert_int_equal(run.state, JOB_SKIPPED);
    assert_int_equal(run.scheduled_ms, 1004);
    struct service job = get_service(w, "app.job");
    assert_int_equal(job.scheduled_ms, 1004);
    record_release(&service_type, &job);
}

static void so_many_at_once(void **state)
{
    struct world *w = *state;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    for (int i = 0; i < JOB_ACTIVE_MAX; i++)
        begin(w);
    struct change_job_start start = start_of(w);
    refused(w, CHANGE_JOB_START, &start, ERR_CONFLICT, "");
}

static int64_t put(struct world *w, int64_t slot, int64_t job_id, int code)
{
    struct service job = get_service(w, "app.job");
    struct change_task_create create = {.service_id = job.id,
                                        .service_index = job.modified_index,
                                        .slot = slot,
                                        .node_id = 1,
                                        .job_id = job_id};
    record_release(&service_type, &job);
    if (code == 0)
        return must(w, CHANGE_TASK_CREATE, &create);
    refused(w, CHANGE_TASK_CREATE, &create, code, "");
    return 0;
}

static void a_slot_is_of_a_run(void **state)
{
    struct world *w = *state;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    int64_t first = begin(w);
    int64_t second = begin(w);
    put(w, 1, first, 0);
    put(w, 1, first, ERR_CONFLICT);
    put(w, 1, second, 0);
    end(w, first, JOB_CANCELED);
    put(w, 2, first, ERR_CONFLICT);
    put(w, 2, 999, ERR_NOTFOUND);
}

static void its_tasks_do_not_move(void **state)
{
    struct world *w = *state;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    struct change_task_move move = {.task_id = put(w, 1, begin(w), 0), .node_id = 2};
    refused(w, CHANGE_TASK_MOVE, &move, ERR_INVALID, "is of a job");
}

static void a_change_of_limits_is_no_new_run(void **state)
{
    struct world *w = *state;
    struct job_run run;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    end(w, begin(w), JOB_SUCCEEDED);
    deploy(w, (struct spec){.mode = MODE_REPLICATED_JOB, .limits = {.memory_bytes = 64 << 20}});
    runs(w, &run);
    assert_int_equal(run.revision, 2);
    deploy(w, (struct spec){.mode = MODE_REPLICATED_JOB, .user = "1000"});
    runs(w, &run);
    assert_int_equal(run.revision, 2); /* the leader begins another */
}

static void tasks_of_before_are_adopted(void **state)
{
    struct world *w = *state;
    init_three(w);
    deploy(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    int64_t task_id = put(w, 1, 0, 0);
    must(w, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 4});
    int64_t id = begin(w);
    struct task task = get_task(w, task_id);
    assert_int_equal(task.job_id, id);
    record_release(&task_type, &task);
}

static void runs_go_with_their_service(void **state)
{
    struct world *w = *state;
    setup(w, (struct spec){.mode = MODE_REPLICATED_JOB});
    end(w, begin(w), JOB_SUCCEEDED);
    struct change_job_start start = start_of(w);
    must(w, CHANGE_STACK_REMOVE, &(struct change_stack_remove){.name = "app"});
    must(w, CHANGE_SERVICE_REMOVE, &(struct change_service_remove){.service_id = start.service_id});
    assert_int_equal(runs(w, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_begins_and_ends_once),
        TEST(only_jobs_have_runs),
        TEST(stopped_jobs_do_not_begin),
        TEST(history_is_limited),
        TEST(so_many_at_once),
        TEST(a_slot_is_of_a_run),
        TEST(its_tasks_do_not_move),
        TEST(a_change_of_limits_is_no_new_run),
        TEST(tasks_of_before_are_adopted),
        TEST(runs_go_with_their_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
