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
    {"cluster.init", "nnnn"},    {"cluster.join", "nnnn"},    {"cluster.status", "yyyy"},
    {"cluster.wait", "yyyy"},    {"cluster.session", "yyyy"}, {"token.create", "nnnn"},
    {"token.list", "nnnn"},      {"token.remove", "nnnn"},    {"token.rotate", "nnnn"},
    {"node.list", "yyyy"},       {"node.inspect", "yyyy"},    {"node.remove", "nnnn"},
    {"stack.deploy", "yynn"},    {"stack.plan", "yyyy"},      {"stack.remove", "yynn"},
    {"service.list", "yyyy"},    {"service.inspect", "yyyy"}, {"service.scale", "yynn"},
    {"cluster.inspect", "yyyy"}, {"ca.inspect", "ynyn"},      {"task.list", "yyyy"},
    {"logs.read", "yyyy"},       {"image.upload", "ynnn"},    {"image.load", "ynnn"},
    {"image.pull", "ynnn"},      {"image.progress", "ynnn"},  {"image.list", "ynyn"},
    {"image.remove", "ynnn"},    {"debug.stalls", "nnnn"},
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
    bool deploy =
        kind == CHANGE_STACK_DEPLOY || kind == CHANGE_STACK_REMOVE || kind == CHANGE_SERVICE_SCALE;
    if (machines)
        return ERR_DENIED;
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
        TEST(test_every_change_by_role_and_scope),
        TEST(test_a_scope_is_kept),
        TEST(test_other_stacks_are_not_there),
        TEST(test_mounts_reach_no_further),
        TEST(test_a_token_names_its_caller),
        TEST(test_a_token_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
