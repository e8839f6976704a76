/* SPDX-License-Identifier: Apache-2.0 */
/* When a service counts as done, and when as failed. */
#include "cli/rollout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct service_info service(const char *mode, const char *state, int64_t updated,
                                   int64_t replicas)
{
    return (struct service_info){.name = "app.web",
                                 .stack = "app",
                                 .mode = (char *)mode,
                                 .state = (char *)state,
                                 .running = updated,
                                 .healthy = updated,
                                 .updated = updated,
                                 .replicas = replicas,
                                 .revision = 2};
}

static struct task_info task(int64_t id, const char *state, const char *message)
{
    return (struct task_info){.id = id,
                              .name = "app.web.1",
                              .service = "app.web",
                              .node = id ? "n1" : "",
                              .desired = "run",
                              .state = (char *)state,
                              .message = (char *)message,
                              .revision = 2};
}

static enum rollout_verdict judge(struct rollout *r, struct service_info s, struct task_info *t,
                                  size_t n, int64_t now)
{
    rollout_judge(r, &s, t, n, now);
    return r->verdict;
}

static void all_replicas_of_the_new_revision_are_done(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t[] = {task(1, "running", ""), task(2, "running", "")};
    (void)state;
    assert_int_equal(judge(&r, service("replicated", "starting", 1, 2), t, 1, 1), VERDICT_GOING);
    assert_int_equal(judge(&r, service("replicated", "running", 2, 2), t, 2, 2), VERDICT_GOING);
    assert_int_equal(judge(&r, service("replicated", "running", 2, 2), t, 2, 2 + ROLLOUT_STEADY_MS),
                     VERDICT_DONE);
    assert_string_equal(r.line, "2/2 running");
    t[1].revision = 1;
    assert_int_equal(judge(&r, service("replicated", "updating", 2, 2), t, 2, 9000), VERDICT_GOING);
}

static void what_runs_already_is_done_at_once(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t[] = {task(1, "running", "")};
    (void)state;
    assert_int_equal(judge(&r, service("replicated", "running", 1, 1), t, 1, 1), VERDICT_DONE);
    r = (struct rollout){.name = "app.web"};
    assert_int_equal(judge(&r, service("replicated", "running", 0, 0), t, 0, 1), VERDICT_DONE);
}

static void a_rollout_that_pauses_or_goes_back_has_failed(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t[] = {task(1, "running", ""), task(2, "waiting", "exited with 1")};
    struct service_info s = service("replicated", "updating", 1, 2);
    (void)state;
    s.rollout = (char[]){"updating"};
    assert_int_equal(judge(&r, s, t, 2, 1), VERDICT_GOING);
    s.state = (char[]){"paused"};
    s.rollout = (char[]){"paused"};
    s.rollout_message = (char[]){"1 of 2 failed"};
    assert_int_equal(judge(&r, s, t, 2, 2), VERDICT_FAILED);
    assert_string_equal(r.reason, "paused: 1 of 2 failed");
    assert_false(r.back);
    s.state = (char[]){"rolling back"};
    s.rollout = (char[]){"rolling back"};
    s.revision = 3;
    assert_int_equal(judge(&r, s, t, 2, 3), VERDICT_FAILED);
    assert_true(r.back);
    /* That it had gone back before is no news. */
    r = (struct rollout){.name = "app.web"};
    s = service("replicated", "running", 2, 2);
    s.rollout = (char[]){"rolled back"};
    t[1] = task(2, "running", "");
    assert_int_equal(judge(&r, s, t, 2, 1), VERDICT_DONE);
}

static void a_stop_is_done_when_all_have_ended(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t = task(1, "running", "");
    struct service_info s = service("replicated", "stopped", 0, 2);
    (void)state;
    t.desired = "end";
    assert_int_equal(judge(&r, s, &t, 1, 1), VERDICT_GOING);
    t.state = "ended";
    assert_int_equal(judge(&r, s, &t, 1, 2), VERDICT_DONE);
    assert_string_equal(r.line, "stopped");
}

static void what_ends_at_once_never_counts(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t = task(1, "starting", "");
    (void)state;
    judge(&r, service("replicated", "starting", 0, 1), &t, 1, 1000);
    for (int64_t now = 2000; now < 20000; now += 1000) {
        t.state = "running";
        assert_int_equal(judge(&r, service("replicated", "running", 1, 1), &t, 1, now),
                         VERDICT_GOING);
        t.state = "waiting";
        assert_int_equal(judge(&r, service("replicated", "starting", 0, 1), &t, 1, now + 500),
                         VERDICT_GOING);
    }
}

static void a_health_check_says_it_at_once(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t = task(1, "running", "");
    struct service_info s = service("replicated", "starting", 0, 1);
    (void)state;
    judge(&r, s, &t, 1, 1);
    s = service("replicated", "running", 1, 1);
    s.spec.health.test_n = 1;
    assert_int_equal(judge(&r, s, &t, 1, 2), VERDICT_DONE);
}

static void a_job_is_done_when_complete(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t[] = {task(1, "running", "")};
    struct service_info s = service("replicated-job", "running", 1, 1);
    (void)state;
    assert_int_equal(judge(&r, s, t, 1, 1), VERDICT_GOING);
    s.state = "complete";
    s.complete = 1;
    t[0].state = "complete";
    assert_int_equal(judge(&r, s, t, 1, 2), VERDICT_DONE);
    assert_string_equal(r.line, "1/1 complete");
}

static void only_tasks_of_this_revision_fail_it(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t[] = {task(1, "failed", "exited with 3"), task(2, "starting", "")};
    struct service_info s = service("replicated", "failed", 0, 1);
    (void)state;
    t[0].revision = 1;
    assert_int_equal(judge(&r, s, t, 2, 1), VERDICT_GOING);
    t[0].revision = 2;
    assert_int_equal(judge(&r, s, t, 2, 2), VERDICT_FAILED);
    assert_string_equal(r.reason, "app.web.1 on n1: exited with 3");
    t[0].service = "app.web2";
    assert_int_equal(judge(&r, s, t, 2, 3), VERDICT_GOING);
}

static void a_task_that_ends_again_and_again_fails_it(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t = task(1, "waiting", "exited with 1");
    struct service_info s = service("replicated", "starting", 0, 1);
    (void)state;
    /* What it did before somebody began to look does not count. */
    t.run = 33;
    t.restarts = 32;
    assert_int_equal(judge(&r, s, &t, 1, 1), VERDICT_GOING);
    assert_string_equal(r.reason, "app.web.1 on n1: exited with 1");
    t.run = 38;
    t.restarts = 37;
    assert_int_equal(judge(&r, s, &t, 1, 2), VERDICT_FAILED);
    assert_non_null(strstr(r.reason, "(restarted 37 times)"));
    t.state = "running";
    t.message = "";
    assert_int_equal(judge(&r, s, &t, 1, 3), VERDICT_GOING);
}

static void no_node_for_a_while_fails_it(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t = task(0, "pending", "0 of 3 nodes fit: 3 constraint");
    struct service_info s = service("replicated", "waiting", 0, 1);
    (void)state;
    assert_int_equal(judge(&r, s, &t, 1, 1000), VERDICT_GOING);
    assert_non_null(strstr(r.line, "0 of 3 nodes fit"));
    assert_int_equal(judge(&r, s, &t, 1, 1000 + ROLLOUT_STUCK_MS - 1), VERDICT_GOING);
    assert_int_equal(judge(&r, s, &t, 1, 1000 + ROLLOUT_STUCK_MS), VERDICT_FAILED);
}

static void the_time_begins_anew_after_a_node_was_found(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info none = task(0, "pending", "0 of 3 nodes fit");
    struct task_info some = task(1, "creating", "");
    struct service_info s = service("replicated", "waiting", 0, 1);
    (void)state;
    judge(&r, s, &none, 1, 1000);
    judge(&r, s, &some, 1, 2000);
    assert_int_equal(judge(&r, s, &none, 1, 1000 + ROLLOUT_STUCK_MS), VERDICT_GOING);
}

static void waiting_for_another_service_is_no_failure(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info t = task(0, "pending", "waits for app.db to be healthy");
    struct service_info s = service("replicated", "waiting", 0, 1);
    (void)state;
    judge(&r, s, &t, 1, 1000);
    assert_int_equal(judge(&r, s, &t, 1, 1000 + 10 * ROLLOUT_STUCK_MS), VERDICT_GOING);
    assert_string_equal(r.reason, "app.web.1: waits for app.db to be healthy");
}

/* An image that cannot be had is tried again: between the tries nothing is known. */
static void an_image_that_cannot_be_had_fails_it(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info failed = task(1, "waiting", "image x:1: not found");
    struct task_info again = task(1, "fetching", "");
    struct service_info s = service("replicated", "starting", 0, 1);
    (void)state;
    assert_int_equal(judge(&r, s, &failed, 1, 1000), VERDICT_GOING);
    assert_int_equal(judge(&r, s, &again, 1, 9000), VERDICT_GOING);
    assert_int_equal(judge(&r, s, &again, 1, 1000 + ROLLOUT_STUCK_MS), VERDICT_GOING);
    assert_int_equal(judge(&r, s, &failed, 1, 1001 + ROLLOUT_STUCK_MS), VERDICT_FAILED);
    assert_string_equal(r.reason, "app.web.1 on n1: image x:1: not found");
}

static void what_is_stuck_is_said_with_its_image(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct task_info failed = task(1, "waiting", "no project quotas");
    (void)state;
    failed.image = "x:1";
    assert_int_equal(judge(&r, service("replicated", "starting", 0, 1), &failed, 1, 1000),
                     VERDICT_GOING);
    assert_string_equal(r.reason, "app.web.1 on n1 (image x:1): no project quotas");
}

static void a_global_service_gets_time_for_its_first_task(void **state)
{
    struct rollout r = {.name = "app.web"};
    struct service_info s = service("global", "running", 0, 0);
    (void)state;
    assert_int_equal(judge(&r, s, NULL, 0, 1000), VERDICT_GOING);
    assert_int_equal(judge(&r, s, NULL, 0, 1000 + ROLLOUT_SETTLE_MS), VERDICT_DONE);
    r = (struct rollout){.name = "app.web"};
    s.replicas = s.running = s.updated = 3;
    assert_int_equal(judge(&r, s, NULL, 0, 1000), VERDICT_DONE);
}

static void scaling_down_waits_for_the_surplus(void **state)
{
    struct rollout r = {.name = "app.web"};
    (void)state;
    assert_int_equal(judge(&r, service("replicated", "running", 3, 1), NULL, 0, 1), VERDICT_GOING);
    assert_int_equal(judge(&r, service("replicated", "running", 1, 1), NULL, 0, 2), VERDICT_GOING);
    assert_int_equal(
        judge(&r, service("replicated", "running", 1, 1), NULL, 0, 2 + ROLLOUT_STEADY_MS),
        VERDICT_DONE);
}

static void a_service_that_is_gone_fails(void **state)
{
    struct rollout r = {.name = "app.web"};
    (void)state;
    rollout_judge(&r, NULL, NULL, 0, 1);
    assert_int_equal(r.verdict, VERDICT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_replicas_of_the_new_revision_are_done),
        cmocka_unit_test(what_runs_already_is_done_at_once),
        cmocka_unit_test(what_ends_at_once_never_counts),
        cmocka_unit_test(a_health_check_says_it_at_once),
        cmocka_unit_test(a_job_is_done_when_complete),
        cmocka_unit_test(only_tasks_of_this_revision_fail_it),
        cmocka_unit_test(a_task_that_ends_again_and_again_fails_it),
        cmocka_unit_test(no_node_for_a_while_fails_it),
        cmocka_unit_test(the_time_begins_anew_after_a_node_was_found),
        cmocka_unit_test(waiting_for_another_service_is_no_failure),
        cmocka_unit_test(an_image_that_cannot_be_had_fails_it),
        cmocka_unit_test(what_is_stuck_is_said_with_its_image),
        cmocka_unit_test(a_global_service_gets_time_for_its_first_task),
        cmocka_unit_test(scaling_down_waits_for_the_surplus),
        cmocka_unit_test(a_service_that_is_gone_fails),
        cmocka_unit_test(a_rollout_that_pauses_or_goes_back_has_failed),
        cmocka_unit_test(a_stop_is_done_when_all_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
