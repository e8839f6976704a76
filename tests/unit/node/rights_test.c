/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call what, and have what changed: every verb and every change, for every role, with and
 * without a scope. A verb or change that is new stands here, or it is for admins alone. */
#include "../store/world.h"

#include "base/digest.h"
#include "cluster/identity.h"
#include "node/api.h"
#include "node/rights.h"

#include <stdio.h>

/* Who: an admin, a deployer of all or of "shop", a viewer of all or of "shop". */
enum who {
    ADMIN,
    DEPLOYER,
    SHOP_DEPLOYER,
    VIEWER,
    SHOP_VIEWER,
    WHO_MAX
};

static char *shop[] = {"shop"};

static struct caller caller_of(enum who who)
{
    static const struct {
        enum token_role role;
        size_t stacks_n;
    } rights[WHO_MAX] = {[ADMIN] = {TOKEN_ADMIN, 0},
                         [DEPLOYER] = {TOKEN_DEPLOYER, 0},
                         [SHOP_DEPLOYER] = {TOKEN_DEPLOYER, 1},
                         [VIEWER] = {TOKEN_VIEWER, 0},
                         [SHOP_VIEWER] = {TOKEN_VIEWER, 1}};
    return (struct caller){.token = {.kind = TOKEN_CALL,
                                     .role = rights[who].role,
                                     .stacks = rights[who].stacks_n ? shop : NULL,
                                     .stacks_n = rights[who].stacks_n}};
}

/* --- verbs --------------------------------------------------------------------------------------
 */

/* Beside admins: y may, n may not. */
static const struct {
    const char *name;
    const char *may; /* deployer, deployer of shop, viewer, viewer of shop */
} verbs[] = {
    /* of cluster/api_container.h */
    {"container.list", "yyyy"},
    {"container.inspect", "yyyy"},
    {"container.stats", "yyyy"},
    {"container.top", "yyyy"},
    {"container.logs", "yyyy"},
    {"container.wait", "yyyy"},
    {"container.signal", "yynn"},
    {"container.pause", "yynn"},
    {"container.resume", "yynn"},
    {"container.update", "yynn"},
    {"container.diff", "yynn"},
    {"container.look", "yynn"},
    {"container.upload", "yynn"},
    {"container.read", "yynn"},
    {"container.copy_out", "yynn"},
    {"container.copy_in", "yynn"},
    {"container.commit", "ynnn"},
    {"container.checkpoint", "yynn"},
    {"container.job", "yynn"},
    /* the others */
    {"cluster.init", "nnnn"},
    {"cluster.join", "nnnn"},
    {"cluster.status", "yyyy"},
    {"cluster.wait", "yyyy"},
    {"cluster.session", "yyyy"},
    {"token.create", "nnnn"},
    {"token.list", "nnnn"},
    {"token.remove", "nnnn"},
    {"token.rotate", "nnnn"},
    {"node.list", "yyyy"},
    {"node.inspect", "yyyy"},
    {"node.remove", "nnnn"},
    {"stack.deploy", "yynn"},
    {"stack.plan", "yyyy"},
    {"stack.remove", "yynn"},
    {"service.list", "yyyy"},
    {"service.inspect", "yyyy"},
    {"service.scale", "yynn"},
    {"service.act", "yynn"},
    {"service.history", "yyyy"},
    {"service.why", "yyyy"},
    {"task.move", "yynn"},
    {"job.list", "yyyy"},
    {"service.foresee", "yyyy"},
    {"cluster.inspect", "yyyy"},
    {"ca.inspect", "ynyn"},
    {"task.list", "yyyy"},
    {"event.list", "yyyy"},
    {"exec.start", "yynn"},
    {"attach.start", "yynn"},
    {"session.read", "yynn"},
    {"session.write", "yynn"},
    {"session.end", "yynn"},
    {"logs.read", "yyyy"},
    {"image.upload", "ynnn"},
    {"image.load", "ynnn"},
    {"image.pull", "ynnn"},
    {"image.push", "ynnn"},
    {"image.progress", "ynnn"},
    {"image.list", "ynyn"},
    {"image.remove", "ynnn"},
    {"debug.stalls", "nnnn"},
    {"image.tag", "ynnn"},
    {"image.inspect", "ynyn"},
    {"image.save", "ynnn"},
    {"image.prune", "ynnn"},
    {"image.check", "ynnn"},
    {"content.set", "ynnn"},
    {"content.list", "yyyy"},
    {"content.remove", "ynnn"},
    {"network.create", "ynnn"},
    {"network.list", "yyyy"},
    {"network.remove", "ynnn"},
    {"network.ports", "ynnn"},
    {"network.status", "ynyn"},
    {"dns.set", "nnnn"},
    {"dns.list", "ynyn"},
    {"dns.remove", "nnnn"},
    {"registry.set", "nnnn"},
    {"registry.list", "ynyn"},
    {"registry.remove", "nnnn"},
};

static const char *expected(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].may;
    return "nnnn";
}

static void test_every_verb_by_role_and_scope(void **state)
{
    size_t n;
    const struct verb *all = api_verbs(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        for (enum who who = 0; who < WHO_MAX; who++) {
            struct caller caller = caller_of(who);
            struct err err = {0};
            bool may = who == ADMIN || expected(all[i].name)[who - 1] == 'y';
            int rv = rights_check_verb(&caller, &all[i], &err);
            if (rv != (may ? 0 : ERR_DENIED))
                fail_msg("%s by who %d: %d %s", all[i].name, (int)who, rv, err.msg);
            if (!may)
                assert_non_null(strstr(err.msg, all[i].name));
        }
    struct caller machine = {.trusted = true};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(rights_check_verb(&machine, &all[i], NULL), 0);
}

/* Who may run commands in containers, of specs that reach more and more of the machine. */
static void test_going_in(void **state)
{
    (void)state;
    struct caller callers[WHO_MAX + 1] = {[WHO_MAX] = {.trusted = true}};
    for (enum who who = 0; who < WHO_MAX; who++)
        callers[who] = caller_of(who);
    struct mount_spec bind = {.kind = MOUNT_BIND, .source = (char[]){"/etc"}};
    struct mount_spec volume = {.kind = MOUNT_VOLUME, .source = (char[]){"data"}};
    struct spec plain = {.mounts = &volume, .mounts_n = 1};
    struct spec bound = {.mounts = &bind, .mounts_n = 1};
    struct spec privileged = {.options = {.privileged = true}};
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        bool all = i == WHO_MAX || i == ADMIN, some = i == DEPLOYER || i == SHOP_DEPLOYER;
        struct err err;
        assert_int_equal(rights_check_enter(&callers[i], &plain, false, &err),
                         all || some ? 0 : ERR_DENIED);
        assert_int_equal(rights_check_enter(&callers[i], &plain, true, &err), all ? 0 : ERR_DENIED);
        assert_int_equal(rights_check_enter(&callers[i], &bound, false, &err),
                         all ? 0 : ERR_DENIED);
        assert_int_equal(rights_check_enter(&callers[i], &privileged, false, &err),
                         all ? 0 : ERR_DENIED);
    }
}

static void test_every_verb_of_the_table_is_served(void **state)
{
    size_t n;
    const struct verb *all = api_verbs(&n);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        bool found = false;
        for (size_t k = 0; k < n; k++)
            found |= strcmp(all[k].name, verbs[i].name) == 0;
        if (!found)
            fail_msg("%s is no verb", verbs[i].name);
    }
}

/* --- changes ------------------------------------------------------------------------------------
 */

static const int kinds[] = {
#define X(kind, number, body) number,
    CHANGE_KINDS(X)
#undef X
};

/* Of an empty body of each kind. A stack without a name is none of the scope's. */
static int expected_change(enum who who, int kind)
{
    bool machines =
        kind == CHANGE_CLUSTER_INIT || kind == CHANGE_NODE_ADD || kind == CHANGE_TASK_REPORT;
    bool deploy = kind == CHANGE_STACK_DEPLOY || kind == CHANGE_STACK_REMOVE ||
                  kind == CHANGE_SERVICE_SCALE || kind == CHANGE_SERVICE_STOP ||
                  kind == CHANGE_SERVICE_RESTART || kind == CHANGE_SERVICE_RETIRE ||
                  kind == CHANGE_SERVICE_ROLLBACK;
    bool by_hand = kind == CHANGE_CONTENT_ADD || kind == CHANGE_CONTENT_REMOVE ||
                   kind == CHANGE_NETWORK_CREATE || kind == CHANGE_NETWORK_REMOVE ||
                   kind == CHANGE_VOLUME_CREATE;
    if (machines)
        return ERR_DENIED;
    if (by_hand)
        return who == ADMIN || who == DEPLOYER ? 0 : ERR_DENIED;
    if ((kind == CHANGE_TASK_MOVE || kind == CHANGE_JOB_START) &&
        (who == DEPLOYER || who == SHOP_DEPLOYER))
        return ERR_NOTFOUND; /* there is no such task or job */
    if (who == ADMIN || (who == DEPLOYER && deploy))
        return 0;
    return who == SHOP_DEPLOYER && deploy && kind != CHANGE_STACK_DEPLOY ? ERR_NOTFOUND
                                                                         : ERR_DENIED;
}

static void test_every_change_by_role_and_scope(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct caller machine = {.trusted = true};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        void *body = mem_alloc(1, change_type(kinds[i])->size);
        for (enum who who = 0; who < WHO_MAX; who++) {
            struct caller caller = caller_of(who);
            struct err err = {0};
            int rv = rights_check_change(w->store, &caller, kinds[i], body, &err);
            if (rv != expected_change(who, kinds[i]))
                fail_msg("%s by who %d: %d %s", change_name(kinds[i]), (int)who, rv, err.msg);
        }
        assert_int_equal(rights_check_change(w->store, &machine, kinds[i], body, NULL), 0);
        free(body);
    }
    struct caller admin = caller_of(ADMIN);
    struct change_node_update update = {.node_id = 1, .set_self = true};
    assert_int_equal(rights_check_change(w->store, &admin, CHANGE_NODE_UPDATE, &update, NULL),
                     ERR_DENIED);
}

/* --- stacks -------------------------------------------------------------------------------------
 */

static int deploy_code(struct world *w, enum who who, const char *stack,
                       const struct mount_spec *mount, char *volume)
{
    struct caller caller = caller_of(who);
    struct deploy_service service = {.name = "web", .spec = {.image = "web"}};
    if (mount) {
        service.spec.mounts = (struct mount_spec *)(uintptr_t)mount;
        service.spec.mounts_n = 1;
    }
    struct change_stack_deploy change = {.name = (char *)(uintptr_t)stack,
                                         .services = &service,
                                         .services_n = 1,
                                         .volumes = &volume,
                                         .volumes_n = volume != NULL};
    return rights_check_change(w->store, &caller, CHANGE_STACK_DEPLOY, &change, NULL);
}

static void test_a_scope_is_kept(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", NULL, NULL), 0);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop2", NULL, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "sho", NULL, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "", NULL, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, DEPLOYER, "shop2", NULL, NULL), 0);
    assert_int_equal(deploy_code(w, SHOP_VIEWER, "shop", NULL, NULL), ERR_DENIED);
    struct caller deployer = caller_of(SHOP_DEPLOYER);
    struct change_stack_remove removal = {.name = "shop"};
    struct change_service_scale scale = {.stack = "shop", .service = "web"};
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_STACK_REMOVE, &removal, NULL),
                     0);
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_SERVICE_SCALE, &scale, NULL),
                     0);
    removal.name = scale.stack = "blog";
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_STACK_REMOVE, &removal, NULL),
                     ERR_NOTFOUND);
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_SERVICE_SCALE, &scale, NULL),
                     ERR_NOTFOUND);
}

/* What a stack that is not there, and one that is not the caller's, answer: the same. */
static void test_other_stacks_are_not_there(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct caller deployer = caller_of(SHOP_DEPLOYER);
    struct change_stack_remove removal = {.name = "blog"};
    struct change_service_scale scale = {.stack = "blog", .service = "web", .replicas = 1};
    struct err scoped;
    rights_check_change(w->store, &deployer, CHANGE_STACK_REMOVE, &removal, &scoped);
    struct change_result real = submit(w, CHANGE_STACK_REMOVE, &removal);
    assert_int_equal(real.err.code, scoped.code);
    assert_string_equal(real.err.msg, scoped.msg);
    rights_check_change(w->store, &deployer, CHANGE_SERVICE_SCALE, &scale, &scoped);
    real = submit(w, CHANGE_SERVICE_SCALE, &scale);
    assert_int_equal(real.err.code, scoped.code);
    assert_string_equal(real.err.msg, scoped.msg);
}

/* An earlier revision that an admin deployed is not a deployer's to bring back. */
static void test_a_rollback_reaches_no_further(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct change_level_raise raise = {.level = 4};
    must(w, CHANGE_LEVEL_RAISE, &raise);
    struct deploy_service services[] = {
        {"web", {.image = "i", .replicas = 1, .options = {.privileged = true}}}};
    deploy_app(w, services, 1, false);
    services[0].spec.options.privileged = false;
    deploy_app(w, services, 1, false);
    struct change_service_rollback back = {
        .stack = "app", .service = "web", .expected_revision = 2, .revision = 1};
    struct caller deployer = caller_of(DEPLOYER);
    struct caller admin = caller_of(ADMIN);
    struct err err;
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_SERVICE_ROLLBACK, &back, &err),
                     ERR_DENIED);
    assert_int_equal(rights_check_change(w->store, &admin, CHANGE_SERVICE_ROLLBACK, &back, &err),
                     0);
    back.revision = 0; /* which is the same one */
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_SERVICE_ROLLBACK, &back, &err),
                     ERR_DENIED);
    struct caller scoped = caller_of(SHOP_DEPLOYER);
    struct service web = get_service(w, "app.web");
    struct change_rollout_set set = {.service_id = web.id, .revision = 2, .state = ROLLOUT_PAUSED};
    record_release(&service_type, &web);
    assert_int_equal(rights_check_change(w->store, &scoped, CHANGE_ROLLOUT_SET, &set, &err),
                     ERR_NOTFOUND);
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_ROLLOUT_SET, &set, &err), 0);
    set.state = ROLLOUT_DONE;
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_ROLLOUT_SET, &set, &err),
                     ERR_DENIED);
}

static void test_jobs_by_hand(void **state)
{
    struct world *w = *state;
    struct err err;
    struct caller deployer = caller_of(DEPLOYER), scoped = caller_of(SHOP_DEPLOYER);
    init_three(w);
    must(w, CHANGE_LEVEL_RAISE, &(struct change_level_raise){.level = 4});
    struct deploy_service job = {
        .name = "job", .spec = {.image = "x", .mode = MODE_REPLICATED_JOB, .replicas = 1}};
    deploy_app(w, &job, 1, false);
    struct service row = get_service(w, "app.job");
    struct change_job_start start = {.service_id = row.id, .service_index = row.modified_index};
    record_release(&service_type, &row);
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_JOB_START, &start, &err), 0);
    assert_int_equal(rights_check_change(w->store, &scoped, CHANGE_JOB_START, &start, &err),
                     ERR_NOTFOUND);
    start.scheduled_ms = 1;
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_JOB_START, &start, &err),
                     ERR_DENIED);
    start.scheduled_ms = 0;
    struct change_job_end end = {.job_id = must(w, CHANGE_JOB_START, &start),
                                 .state = JOB_CANCELED};
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_JOB_END, &end, &err), 0);
    assert_int_equal(rights_check_change(w->store, &scoped, CHANGE_JOB_END, &end, &err),
                     ERR_NOTFOUND);
    end.state = JOB_SUCCEEDED;
    assert_int_equal(rights_check_change(w->store, &deployer, CHANGE_JOB_END, &end, &err),
                     ERR_DENIED);
}

static void test_mounts_reach_no_further(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct deploy_service service = {.name = "db", .spec = {.image = "db", .replicas = 1}};
    char *volumes[] = {"blog_data", "shop_x_data"};
    struct change_stack_deploy blog = {
        .name = "blog", .services = &service, .services_n = 1, .volumes = volumes, .volumes_n = 2};
    must(w, CHANGE_STACK_DEPLOY, &blog);
    struct mount_spec bind = {.kind = MOUNT_BIND, .source = "/etc", .target = "/x"};
    struct mount_spec theirs = {.source = "blog_data", .target = "/x"};
    struct mount_spec alike = {.source = "shop_x_data", .target = "/x"};
    struct mount_spec fresh = {.source = "shop_data", .target = "/x"};
    struct mount_spec nameless = {.source = "", .target = "/x"};
    assert_int_equal(deploy_code(w, ADMIN, "shop", &bind, NULL), 0);
    assert_int_equal(deploy_code(w, DEPLOYER, "shop", &bind, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", &bind, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, DEPLOYER, "shop", &theirs, NULL), 0);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", &theirs, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", NULL, "blog_data"), ERR_DENIED);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", &alike, NULL), ERR_DENIED);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", &fresh, "shop_data"), 0);
    assert_int_equal(deploy_code(w, SHOP_DEPLOYER, "shop", &nameless, NULL), 0);
}

static void test_options_reach_no_further(void **state)
{
    struct world *w = *state;
    init_cluster(w);
    struct deploy_service services[] = {
        {.name = "a", .spec = {.image = "a", .replicas = 1}},
        {.name = "b", .spec = {.image = "b", .replicas = 1, .options = {.privileged = true}}},
    };
    struct change_stack_deploy shop_deploy = {.name = "shop", .services = services};
    for (size_t n = 1; n <= 2; n++)
        for (enum who who = 0; who <= SHOP_DEPLOYER; who++) {
            struct caller caller = caller_of(who);
            struct err err = {0};
            shop_deploy.services_n = n;
            int rv =
                rights_check_change(w->store, &caller, CHANGE_STACK_DEPLOY, &shop_deploy, &err);
            assert_int_equal(rv, n == 1 || who == ADMIN ? 0 : ERR_DENIED);
        }
}

/* --- tokens -------------------------------------------------------------------------------------
 */

/* A token in the state, whose secret is 16 bytes of @letter. */
static char *add_token(struct world *w, char letter, struct token token)
{
    unsigned char secret[16];
    unsigned char hash[DIGEST_BYTES];
    char hex[33];
    memset(secret, letter, sizeof(secret));
    digest_of(secret, sizeof(secret), hash);
    hex_encode(secret, sizeof(secret), hex);
    token.hash = (struct bytes){hash, sizeof(hash)};
    must(w, CHANGE_TOKEN_CREATE, &(struct change_token_create){.token = token});
    return str_printf("wherry1-c-%064d-%s", 0, hex);
}

static void test_a_token_names_its_caller(void **state)
{
    struct world *w = *state;
    struct caller caller;
    struct err err;
    char title[80];
    init_cluster(w);
    cleanup_free char *ci =
        add_token(w, 'a', (struct token){.name = "ci", .kind = TOKEN_CALL, .role = TOKEN_DEPLOYER});
    cleanup_free char *join = add_token(w, 'b', (struct token){.kind = TOKEN_JOIN});
    cleanup_free char *brief =
        add_token(w, 'c', (struct token){.kind = TOKEN_CALL, .expires_ms = w->now_ms + 1000});
    assert_int_equal(caller_from_token(w->store, ci, w->now_ms, &caller, &err), 0);
    assert_int_equal(caller.token.role, TOKEN_DEPLOYER);
    assert_string_equal(caller.secret, ci);
    assert_false(caller.trusted);
    caller_title(&caller, title, sizeof(title));
    assert_string_equal(title, "token ci");
    assert_true(caller_is_valid(w->store, &caller, w->now_ms));
    /* Another secret: the one that was shown is good no more. */
    struct change_token_rotate rotate = {.token_id = caller.token.id, .hash = HASH_B};
    must(w, CHANGE_TOKEN_ROTATE, &rotate);
    assert_false(caller_is_valid(w->store, &caller, w->now_ms));
    caller_release(&caller);
    assert_int_equal(caller_from_token(w->store, ci, w->now_ms, &caller, &err), ERR_DENIED);
    assert_int_equal(caller_from_token(w->store, join, w->now_ms, &caller, &err), ERR_DENIED);
    assert_non_null(strstr(err.msg, "joining"));
    assert_int_equal(caller_from_token(w->store, "nonsense", w->now_ms, &caller, &err),
                     ERR_INVALID);
    assert_int_equal(caller_from_token(w->store, NULL, w->now_ms, &caller, &err), ERR_INVALID);
    assert_int_equal(caller_from_token(w->store, brief, w->now_ms, &caller, &err), 0);
    assert_false(caller_is_valid(w->store, &caller, w->now_ms + 1000));
    /* A member whose clock is years behind goes by the state's time. */
    w->now_ms += 1000;
    must(w, CHANGE_STACK_DEPLOY, &(struct change_stack_deploy){.name = "x"});
    assert_false(caller_is_valid(w->store, &caller, 0));
    caller_release(&caller);
    assert_int_equal(caller_from_token(w->store, brief, 0, &caller, &err), ERR_DENIED);
    assert_non_null(strstr(err.msg, "expired"));
}

static void test_a_token_that_is_gone(void **state)
{
    struct world *w = *state;
    struct caller caller;
    struct err err;
    init_cluster(w);
    cleanup_free char *ci = add_token(w, 'a', (struct token){.name = "ci", .kind = TOKEN_CALL});
    assert_int_equal(caller_from_token(w->store, ci, w->now_ms, &caller, &err), 0);
    must(w, CHANGE_TOKEN_DELETE, &(struct change_token_delete){.token_id = caller.token.id});
    assert_false(caller_is_valid(w->store, &caller, w->now_ms));
    caller_release(&caller);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_verb_by_role_and_scope),
        cmocka_unit_test(test_every_verb_of_the_table_is_served),
        TEST(test_jobs_by_hand),
        cmocka_unit_test(test_going_in),
        TEST(test_every_change_by_role_and_scope),
        TEST(test_a_scope_is_kept),
        TEST(test_other_stacks_are_not_there),
        TEST(test_a_rollback_reaches_no_further),
        TEST(test_mounts_reach_no_further),
        TEST(test_options_reach_no_further),
        TEST(test_a_token_names_its_caller),
        TEST(test_a_token_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
