/* SPDX-License-Identifier: Apache-2.0 */
#include "../store/world.h"

#include "node/stackplan.h"

#include <stdio.h>

static const struct plan_item *find(const struct plan_reply *reply, const char *action,
                                    const char *object)
{
    for (size_t i = 0; i < reply->items_n; i++)
        if (strcmp(reply->items[i].action, action) == 0 &&
            strcmp(reply->items[i].object, object) == 0)
            return &reply->items[i];
    return NULL;
}

static struct deploy_service service_of(char *name, char *image, int64_t replicas)
{
    return (struct deploy_service){.name = name, .spec = {.image = image, .replicas = replicas}};
}

static struct change_stack_deploy deploy_of(struct deploy_service *services, size_t n,
                                            int64_t revision)
{
    return (struct change_stack_deploy){.name = "app",
                                        .project = "p1",
                                        .services = services,
                                        .services_n = n,
                                        .expected_revision = revision};
}

/* Plan, and check that the state did not move for it. */
static struct plan_reply plan(struct world *w, const struct change_stack_deploy *deploy)
{
    struct plan_reply reply = {0};
    struct err err = {0};
    unsigned char before[32];
    unsigned char after[32];
    store_digest(w->store, before);
    if (stack_plan(w->store, deploy, false, &reply, &err) < 0)
        fail_msg("stack_plan: %s", err.msg);
    store_digest(w->store, after);
    assert_memory_equal(before, after, 32);
    return reply;
}

static void a_new_stack_is_created_and_placed(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct deploy_service web = service_of("web", "i", 2);
    struct change_stack_deploy deploy = deploy_of(&web, 1, 0);
    struct plan_reply reply = plan(w, &deploy);
    assert_true(reply.changes);
    assert_non_null(find(&reply, "create", "app.web"));
    assert_non_null(find(&reply, "place", "app.web.1"));
    assert_non_null(find(&reply, "place", "app.web.2"));
    record_release(&plan_reply_type, &reply);
}

static void what_changes_is_named(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct deploy_service first[] = {service_of("web", "i", 2), service_of("db", "i", 1),
                                     service_of("old", "i", 1), service_of("same", "i", 1)};
    deploy_app(w, first, 4, false);
    struct deploy_service second[] = {service_of("web", "j", 2), service_of("db", "i", 3),
                                      service_of("same", "i", 1)};
    second[0].spec.options.tty = true;
    second[0].spec.options.shm_bytes = 4096;
    second[0].spec.command_set = true;
    second[0].spec.command = (char *[]){"sh"};
    second[0].spec.command_n = 1;
    struct change_stack_deploy deploy = deploy_of(second, 3, 1);
    struct plan_reply reply = plan(w, &deploy);
    assert_true(reply.changes);
    assert_string_equal(find(&reply, "update", "app.web")->detail,
                        "image, command, shm_bytes, tty");
    record_release(&plan_reply_type, &reply);
    second[0].spec.image = "i"; /* the same name, other bits */
    second[0].spec.image_digest =
        "docker.io/library/i@sha256:"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    reply = plan(w, &deploy);
    assert_non_null(
        strstr(find(&reply, "update", "app.web")->detail, "image i now is sha256:0123456789ab…"));
    record_release(&plan_reply_type, &reply);
    second[0].spec.image = "j";
    second[0].spec.image_digest = NULL;
    reply = plan(w, &deploy);
    assert_string_equal(find(&reply, "scale", "app.db")->detail, "1 -> 3 replicas");
    assert_non_null(find(&reply, "leave", "app.old"));
    assert_non_null(find(&reply, "keep", "app.same"));
    record_release(&plan_reply_type, &reply);
    deploy.prune = true;
    reply = plan(w, &deploy);
    assert_non_null(find(&reply, "remove", "app.old"));
    record_release(&plan_reply_type, &reply);
}

static void the_same_again_changes_nothing(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct deploy_service web = service_of("web", "i", 1);
    deploy_app(w, &web, 1, false);
    struct change_stack_deploy deploy = deploy_of(&web, 1, 1);
    struct plan_reply reply = plan(w, &deploy);
    assert_false(reply.changes);
    assert_non_null(find(&reply, "keep", "app.web"));
    record_release(&plan_reply_type, &reply);
}

static void what_finds_no_place_waits_with_a_reason(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct deploy_service web = service_of("web", "i", 1);
    struct constraint nowhere = {.key = "node.hostname", .value = "mars"};
    web.spec.constraints = &nowhere;
    web.spec.constraints_n = 1;
    struct change_stack_deploy deploy = deploy_of(&web, 1, 0);
    struct plan_reply reply = plan(w, &deploy);
    const struct plan_item *item = find(&reply, "wait", "app.web.1");
    assert_non_null(item);
    assert_true(item->detail && *item->detail);
    record_release(&plan_reply_type, &reply);
}

static size_t count(const struct plan_reply *reply, const char *action)
{
    size_t n = 0;
    for (size_t i = 0; i < reply->items_n; i++)
        n += strcmp(reply->items[i].action, action) == 0;
    return n;
}

/* The tasks of web are running, one on each member. */
static void run_tasks(struct world *w, int64_t n)
{
    struct service web = get_service(w, "app.web");
    for (int64_t slot = 1; slot <= n; slot++) {
        struct change_task_create create = {.service_id = web.id,
                                            .service_index = web.modified_index,
                                            .slot = slot,
                                            .node_id = slot};
        struct task_observation o = {.task_id = must(w, CHANGE_TASK_CREATE, &create),
                                     .state = TASK_RUNNING,
                                     .run = 1,
                                     .sequence = 1};
        must(
            w, CHANGE_TASK_REPORT,
            &(struct change_task_report){.node_id = slot, .observations = &o, .observations_n = 1});
    }
    record_release(&service_type, &web);
}

static void what_becomes_of_each_task_is_foreseen(void **state)
{
    struct world *w = *state;
    init_three(w);
    must(w, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 4});
    struct deploy_service web = service_of("web", "i", 3);
    deploy_app(w, &web, 1, false);
    run_tasks(w, 3);
    struct change_stack_deploy deploy = deploy_of(&web, 1, 1);
    web.spec.image = "j";
    struct plan_reply reply = plan(w, &deploy); /* one after the other, to the end */
    assert_int_equal(count(&reply, "replace"), 3);
    assert_int_equal(count(&reply, "wait"), 0);
    record_release(&plan_reply_type, &reply);
    web.spec.image = "i";
    web.spec.limits.memory_bytes = 64 << 20;
    reply = plan(w, &deploy);
    assert_int_equal(count(&reply, "replace") + count(&reply, "move"), 0);
    record_release(&plan_reply_type, &reply);
    web.spec.replicas = 5;
    reply = plan(w, &deploy);
    assert_int_equal(count(&reply, "place"), 2);
    record_release(&plan_reply_type, &reply);
    web.spec.replicas = 1;
    reply = plan(w, &deploy);
    assert_int_equal(count(&reply, "stop"), 2);
    record_release(&plan_reply_type, &reply);
}

static void a_job_is_foreseen_to_run(void **state)
{
    struct world *w = *state;
    init_three(w);
    must(w, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 4});
    struct deploy_service job = service_of("job", "i", 2);
    job.spec.mode = MODE_REPLICATED_JOB;
    struct change_stack_deploy deploy = deploy_of(&job, 1, 0);
    struct plan_reply reply = plan(w, &deploy); /* its tasks are placed, and complete */
    assert_int_equal(count(&reply, "place"), 2);
    record_release(&plan_reply_type, &reply);
}

static void refuses_what_a_deploy_would(void **state)
{
    struct world *w = *state;
    init_three(w);
    struct plan_reply reply = {0};
    struct err err = {0};
    struct change_stack_deploy nameless = {0};
    assert_int_equal(stack_plan(w->store, &nameless, false, &reply, &err), ERR_INVALID);
    assert_true(err.msg[0]);
    char *image = mem_alloc(BATCH_BYTES_MAX + 1, 1);
    memset(image, 'a', BATCH_BYTES_MAX);
    struct deploy_service web = service_of("web", image, 1);
    struct change_stack_deploy deploy = deploy_of(&web, 1, 0);
    assert_int_equal(stack_plan(w->store, &deploy, false, &reply, &err), ERR_TOOBIG);
    assert_int_equal(reply.items_n, 0);
    free(image);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_stack_is_created_and_placed),     TEST(what_changes_is_named),
        TEST(the_same_again_changes_nothing),        TEST(what_finds_no_place_waits_with_a_reason),
        TEST(what_becomes_of_each_task_is_foreseen), TEST(a_job_is_foreseen_to_run),
        TEST(refuses_what_a_deploy_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
