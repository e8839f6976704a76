/* SPDX-License-Identifier: Apache-2.0 */
/* A change's way to the leader and back. Raft, the bus and the clock are replaced; the file itself
 * is part of this program, so that its timer ticks when the test says so. */
#include "../store/world.h"

#include "node/propose.c" /* NOLINT(bugprone-suspicious-include) */

static int64_t boot_ms;
static int64_t leader_id; /* we are member 1 */
static bool ready;

/* What is under way. */
static consensus_propose_cb local_cb;
static void *local_arg;
static int locals;
static forward_cb forward_on_end;
static void *forward_arg;
static int64_t forwarded_to;
static int forwards;
static bool cancelled;
static unsigned char last_id[REQUEST_ID_BYTES];
static char last_token[200];
static char *deployers_token; /* of the stack "app" */

int64_t clock_boot_ms(void)
{
    return boot_ms;
}
int64_t clock_wall_ms(void)
{
    return 1700000000000 + boot_ms;
}
int64_t clock_mono_ns(void)
{
    return boot_ms * 1000000;
}
void clock_format(int64_t at_ms, char *out, size_t size)
{
    (void)at_ms;
    str_fill(out, size, "");
}
int64_t consensus_leader(const struct consensus *c)
{
    (void)c;
    return leader_id;
}
bool consensus_is_ready(const struct consensus *c)
{
    (void)c;
    return ready;
}
void consensus_propose(struct consensus *c, const struct change *change, consensus_propose_cb cb,
                       void *arg)
{
    (void)c;
    memcpy(last_id, change->request_id, sizeof(last_id));
    local_cb = cb;
    local_arg = arg;
    locals++;
}
int64_t forward_call(struct forward *f, int64_t to, const struct call *call, int64_t timeout_ms,
                     forward_cb cb, void *arg)
{
    struct change change;
    struct err err;
    (void)f;
    (void)timeout_ms;
    assert_string_equal(call->verb, "member.propose");
    assert_int_equal(change_decode(call->body.data, call->body.len, &change, &err), 0);
    memcpy(last_id, change.request_id, sizeof(last_id));
    change_release(&change);
    str_fill(last_token, sizeof(last_token), str_or_empty(call->token));
    forward_on_end = cb;
    forward_arg = arg;
    forwarded_to = to;
    cancelled = false;
    return ++forwards;
}
void forward_cancel(struct forward *f, int64_t id)
{
    (void)f;
    assert_int_equal(id, forwards);
    cancelled = true;
}

static struct world *world;
static struct daemon d;
static struct propose *proposer;
static bool freed;

static void on_freed(void *arg)
{
    (void)arg;
    freed = true;
}

static int setup(void **state)
{
    world_setup(state);
    world = *state;
    init_three(world);
    memset(&d, 0, sizeof(d));
    boot_ms = 1000000;
    leader_id = 0;
    ready = false;
    locals = forwards = 0;
    local_cb = NULL;
    forward_on_end = NULL;
    freed = false;
    uv_loop_init(&d.loop);
    d.id = 1;
    static char data_dir[] = "/data";
    d.data_dir = data_dir;
    d.store = world->store;
    proposer = d.propose = propose_new(&d);
    return 0;
}

static void stop(void)
{
    if (proposer)
        propose_free(proposer, on_freed, NULL);
    proposer = NULL;
    uv_run(&d.loop, UV_RUN_DEFAULT);
    assert_true(freed);
}

static int teardown(void **state)
{
    stop();
    free(deployers_token);
    deployers_token = NULL;
    assert_int_equal(uv_loop_close(&d.loop), 0);
    return world_teardown(state);
}

static int room; /* what the disk says */

int space_check(const struct daemon *daemon, struct err *err)
{
    (void)daemon;
    return room ? err_set(err, room, "no room at all") : 0;
}

static int going; /* what the members say of one more that goes */

int members_check_going(struct members *members, const struct change *change, struct err *err)
{
    (void)members, (void)change;
    return going ? err_set(err, going, "another one goes") : 0;
}

struct end {
    int times;
    struct change_result result;
};

static void on_end(void *arg, const struct change_result *result)
{
    struct end *e = arg;
    e->times++;
    e->result = *result;
}

static void scale(struct end *e)
{
    struct change_service_scale body = {.stack = "app", .service = "web", .replicas = 2};
    propose_change(proposer, CHANGE_SERVICE_SCALE, &body, NULL, 10000, on_end, e);
}

static void tick(int64_t ms)
{
    boot_ms += ms;
    on_timer(&proposer->timer);
}

static void a_leader_without_room_says_so_or_lets_another_lead(void **state)
{
    (void)state;
    struct end e = {0};
    ready = true;
    leader_id = 1;
    room = ERR_BUSY; /* leadership is being handed on */
    scale(&e);
    tick(1000);
    assert_int_equal(locals, 0);
    assert_int_equal(e.times, 0);
    room = ERR_NOSPACE;
    tick(1000);
    tick(1000);
    room = 0;
    assert_int_equal(locals, 0);
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, ERR_NOSPACE);
    assert_non_null(strstr(e.result.err.msg, "no room at all"));
}

static void what_must_wait_for_another_says_so_at_its_deadline(void **state)
{
    (void)state;
    static struct end e; /* the second one ends with the test */
    ready = true;
    leader_id = 1;
    going = ERR_BUSY;
    scale(&e);
    for (int i = 0; i < 9; i++)
        tick(1000);
    assert_int_equal(locals, 0);
    assert_int_equal(e.times, 0);
    tick(2000);
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, ERR_BUSY);
    assert_non_null(strstr(e.result.err.msg, "another one goes"));
    e = (struct end){0};
    scale(&e);
    going = 0;
    tick(1000);
    assert_int_equal(locals, 1);
}

static void raft_ends(int code, const struct change_result *result)
{
    consensus_propose_cb cb = local_cb;
    local_cb = NULL;
    cb(local_arg, code, result);
}

static void call_fails(int code)
{
    struct err err;
    err_set(&err, code, "x");
    forward_cb cb = forward_on_end;
    forward_on_end = NULL;
    cb(forward_arg, &err, NULL);
}

static void call_answers(const struct proposed *answer)
{
    cleanup_buf struct buf body = BUF_INIT;
    record_encode(&proposed_type, answer, &body);
    struct reply reply = {.body = {(unsigned char *)body.data, body.len}};
    struct err none = {0};
    forward_cb cb = forward_on_end;
    forward_on_end = NULL;
    cb(forward_arg, &none, &reply);
}

static void call_refused(int code)
{
    struct err err;
    struct err none = {0};
    struct reply reply = {0};
    err_set(&err, code, "said no");
    reply_set_err(&reply, &err);
    forward_cb cb = forward_on_end;
    forward_on_end = NULL;
    cb(forward_arg, &none, &reply);
    record_release(&reply_type, &reply);
}

/* The state moves by one entry. */
static void state_moves(void)
{
    struct change_token_add token = {
        .token = {.kind = TOKEN_CALL,
                  .hash = {.data = (unsigned char *)&world->index, .len = sizeof(world->index)}}};
    submit(world, CHANGE_TOKEN_ADD, &token);
    propose_on_apply(proposer);
}

static void the_leader_proposes_itself(void **state)
{
    (void)state;
    struct end e = {0};
    leader_id = 1;
    ready = true;
    scale(&e);
    assert_int_equal(locals, 1);
    assert_int_equal(e.times, 0);
    raft_ends(0, &(struct change_result){.id = 7, .index = 3});
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.id, 7);
}

static void a_member_forwards_and_waits_for_its_own_copy(void **state)
{
    (void)state;
    struct end e = {0};
    leader_id = 2;
    scale(&e);
    assert_int_equal(forwarded_to, 2);
    call_answers(&(struct proposed){.id = 9, .index = store_index(d.store) + 1});
    assert_int_equal(e.times, 0);
    tick(10);
    assert_int_equal(e.times, 0);
    state_moves();
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, 0);
    assert_int_equal(e.result.id, 9);
}

static void a_refusal_is_the_end_and_says_why(void **state)
{
    (void)state;
    struct end e = {0};
    leader_id = 2;
    scale(&e);
    call_answers(&(struct proposed){
        .code = -ERR_CONFLICT, .message = (char[]){"too late"}, .index = store_index(d.store)});
    assert_int_equal(e.result.err.code, ERR_CONFLICT);
    assert_string_equal(e.result.err.msg, "too late");
    scale(&e);
    call_refused(ERR_DENIED);
    assert_int_equal(e.times, 2);
    assert_int_equal(e.result.err.code, ERR_DENIED);
    assert_int_equal(forwards, 2);
}

static void it_goes_on_with_the_next_leader_under_the_same_id(void **state)
{
    (void)state;
    struct end e = {0};
    unsigned char id[REQUEST_ID_BYTES];
    scale(&e); /* nobody leads */
    tick(1000);
    assert_int_equal(forwards + locals, 0);
    leader_id = 2;
    tick(100);
    assert_int_equal(forwards, 1);
    memcpy(id, last_id, sizeof(id));
    static const int again[] = {ERR_NOTLEADER, ERR_UNKNOWN, ERR_BUSY, ERR_CANCELED};
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        call_refused(again[i]);
        tick(100);
        assert_int_equal(forwards, 2 + (int)i);
        assert_memory_equal(id, last_id, sizeof(id));
    }
    call_fails(ERR_UNKNOWN);
    leader_id = 1;
    ready = true;
    tick(100);
    assert_int_equal(locals, 1);
    raft_ends(ERR_NOTLEADER, NULL);
    tick(100);
    raft_ends(ERR_UNKNOWN, NULL);
    tick(100);
    assert_memory_equal(id, last_id, sizeof(id));
    raft_ends(0, &(struct change_result){.index = 1});
    assert_int_equal(e.times, 1);
}

static void a_dead_leaders_answer_is_not_waited_for(void **state)
{
    (void)state;
    struct end e = {0};
    leader_id = 2;
    scale(&e);
    leader_id = 0;
    tick(100);
    assert_false(cancelled); /* nobody else to ask yet */
    leader_id = 3;
    tick(10);
    assert_true(cancelled);
    call_fails(ERR_UNKNOWN);
    tick(100);
    assert_int_equal(forwarded_to, 3);
    call_answers(&(struct proposed){.index = store_index(d.store)});
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, 0);
}

static void the_deadline_tells_what_is_known(void **state)
{
    (void)state;
    struct end never = {0};
    struct end unsent = {0};
    struct end maybe = {0};
    struct end done = {0};
    scale(&never);
    tick(10000);
    assert_int_equal(never.result.err.code, ERR_UNAVAILABLE);

    leader_id = 2;
    scale(&unsent);
    call_fails(ERR_UNAVAILABLE);
    tick(10000);
    assert_int_equal(unsent.result.err.code, ERR_UNAVAILABLE);

    scale(&maybe);
    call_fails(ERR_TIMEOUT);
    tick(10000);
    assert_int_equal(maybe.result.err.code, ERR_UNKNOWN);

    scale(&done);
    call_answers(&(struct proposed){.id = 4, .index = INT64_MAX});
    tick(10000);
    assert_int_equal(done.result.err.code, 0);
    assert_int_equal(done.result.id, 4);
}

static void the_attempt_under_way_outlives_the_deadline(void **state)
{
    (void)state;
    struct end e = {0};
    leader_id = 2;
    scale(&e);
    tick(10000);
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, ERR_UNKNOWN);
    call_answers(&(struct proposed){.index = INT64_MAX});
    tick(10);
    assert_int_equal(e.times, 1);
    assert_null(proposer->proposals);
    leader_id = 1;
    ready = true;
    scale(&e);
    tick(10000);
    assert_int_equal(e.times, 2);
    raft_ends(ERR_UNKNOWN, NULL);
    assert_null(proposer->proposals);
}

static void what_is_too_large_is_not_tried_twice(void **state)
{
    (void)state;
    struct end e = {0};
    leader_id = 1;
    ready = true;
    scale(&e);
    raft_ends(ERR_TOOBIG, NULL);
    assert_int_equal(e.result.err.code, ERR_TOOBIG);
    assert_null(proposer->proposals);
}

static void what_only_a_leader_says_dies_with_its_term(void **state)
{
    (void)state;
    struct end e = {0};
    struct change_node_status down = {.node_id = 1, .status = NODE_DOWN};
    leader_id = 1;
    ready = true;
    propose_change(proposer, CHANGE_NODE_STATUS, &down, NULL, 10000, on_end, &e);
    raft_ends(ERR_NOTLEADER, NULL);
    leader_id = 2;
    ready = false;
    tick(100);
    tick(100);
    assert_int_equal(forwards, 0);
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, ERR_NOTLEADER);
}

static void a_removed_machine_says_so(void **state)
{
    (void)state;
    struct end e = {0};
    d.removed = true;
    scale(&e);
    tick(10000);
    assert_int_equal(e.result.err.code, ERR_DENIED);
    assert_non_null(strstr(e.result.err.msg, "removed"));
}

static void a_stop_answers_everybody(void **state)
{
    (void)state;
    struct end waiting = {0};
    struct end under_way = {0};
    scale(&waiting);
    leader_id = 2;
    scale(&under_way);
    call_fails(ERR_UNKNOWN); /* forward_free() came first */
    stop();
    assert_int_equal(waiting.times, 1);
    assert_int_equal(waiting.result.err.code, ERR_CANCELED);
    assert_int_equal(under_way.times, 1);
    assert_int_equal(under_way.result.err.code, ERR_UNKNOWN); /* it may have got through */
}

/* --- the leader's side ---------------------------------------------------------------------- */

static int reply_code;
static int64_t reply_id;

static void on_reply(void *arg, const struct reply *reply)
{
    struct err err = {0};
    struct proposed answer;
    (void)arg;
    reply_id = 0;
    reply_code = reply_get_err(reply, &err);
    if (reply_code == 0) {
        assert_int_equal(
            record_decode(&proposed_type, reply->body.data, reply->body.len, true, &answer, &err),
            0);
        reply_id = answer.id;
        record_release(&proposed_type, &answer);
    }
}

static void member_asks(int64_t from, enum change_kind kind, void *body)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct change change = {.kind = kind, .body = body};
    change_encode(&change, &out);
    struct call call = {.body = {(unsigned char *)out.data, out.len}};
    reply_code = 1;
    propose_on_call(proposer, from, &call, on_reply, NULL);
}

static void a_member_speaks_for_itself_only(void **state)
{
    (void)state;
    struct change_task_report others = {.node_id = 3};
    struct change_node_update update = {.node_id = 3, .set_self = true};
    struct change_node_status down = {.node_id = 1, .status = NODE_DOWN};
    struct change_task_end end = {.task_id = 1};
    struct change_cluster_init init = {0};
    ready = true;
    member_asks(2, CHANGE_TASK_REPORT, &others);
    assert_int_equal(reply_code, ERR_DENIED);
    member_asks(2, CHANGE_NODE_UPDATE, &update);
    assert_int_equal(reply_code, ERR_DENIED);
    member_asks(2, CHANGE_NODE_STATUS, &down);
    assert_int_equal(reply_code, ERR_DENIED);
    member_asks(2, CHANGE_TASK_END, &end);
    assert_int_equal(reply_code, ERR_DENIED);
    member_asks(2, CHANGE_CLUSTER_INIT, &init);
    assert_int_equal(reply_code, ERR_DENIED);
    member_asks(4, CHANGE_TASK_REPORT, &(struct change_task_report){.node_id = 4});
    assert_int_equal(reply_code, ERR_DENIED); /* no member any more */
    assert_int_equal(locals, 0);
    member_asks(3, CHANGE_TASK_REPORT, &others);
    assert_int_equal(locals, 1);
    raft_ends(0, &(struct change_result){.id = 5, .index = 2});
    assert_int_equal(reply_code, 0);
    assert_int_equal(reply_id, 5);
    member_asks(3, CHANGE_NODE_UPDATE, &update);
    raft_ends(ERR_NOTLEADER, NULL);
    assert_int_equal(reply_code, ERR_NOTLEADER);
}

/* --- on whose behalf -------------------------------------------------------------------------- */

static char *app[] = {"app"};

static int64_t add_deployer_until(int64_t expires_ms)
{
    unsigned char secret[16] = {1};
    unsigned char hash[DIGEST_BYTES];
    char hex[33];
    digest_of(secret, sizeof(secret), hash);
    hex_encode(secret, sizeof(secret), hex);
    free(deployers_token);
    deployers_token = str_printf("wherry1-c-%064d-%s", 0, hex);
    struct change_token_create create = {.token = {.kind = TOKEN_CALL,
                                                   .role = TOKEN_DEPLOYER,
                                                   .expires_ms = expires_ms,
                                                   .stacks = app,
                                                   .stacks_n = 1,
                                                   .hash = {hash, sizeof(hash)}}};
    return must(world, CHANGE_TOKEN_CREATE, &create);
}

static int64_t add_deployer(void)
{
    return add_deployer_until(0);
}

static void member_asks_for(const char *token, enum change_kind kind, void *body)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct change change = {.kind = kind, .body = body};
    change_encode(&change, &out);
    struct call call = {.token = (char *)(uintptr_t)token,
                        .body = {(unsigned char *)out.data, out.len}};
    reply_code = 1;
    propose_on_call(proposer, 2, &call, on_reply, NULL);
}

/* The member that took the call is not believed: the token is looked at where the change is
 * proposed. */
static void the_leader_looks_at_the_callers_token(void **state)
{
    (void)state;
    int64_t id = add_deployer();
    struct change_stack_remove mine = {.name = "app"};
    struct change_stack_remove other = {.name = "other"};
    struct change_node_remove node = {.node_id = 3, .force = true};
    ready = true;
    member_asks_for(deployers_token, CHANGE_STACK_REMOVE, &other);
    assert_int_equal(reply_code, ERR_NOTFOUND);
    member_asks_for(deployers_token, CHANGE_NODE_REMOVE, &node);
    assert_int_equal(reply_code, ERR_DENIED);
    member_asks_for("wherry1-c-nonsense", CHANGE_STACK_REMOVE, &mine);
    assert_int_equal(reply_code, ERR_INVALID);
    assert_int_equal(locals, 0);
    member_asks_for(deployers_token, CHANGE_STACK_REMOVE, &mine);
    assert_int_equal(locals, 1);
    raft_ends(0, &(struct change_result){.id = 5, .index = 2});
    assert_int_equal(reply_code, 0);
    must(world, CHANGE_TOKEN_DELETE, &(struct change_token_delete){.token_id = id});
    member_asks_for(deployers_token, CHANGE_STACK_REMOVE, &mine);
    assert_int_equal(reply_code, ERR_DENIED);
    assert_int_equal(locals, 1);
}

/* By the time that the members agree on, not by our own clock, which is an hour ahead here. */
static void a_wrong_clock_does_not_end_a_token(void **state)
{
    (void)state;
    struct change_stack_remove mine = {.name = "app"};
    add_deployer_until(clock_wall_ms() - 1000);
    d.clock_base_ms = clock_wall_ms() - boot_ms - (int64_t)3600 * 1000;
    ready = true;
    member_asks_for(deployers_token, CHANGE_STACK_REMOVE, &mine);
    assert_int_equal(locals, 1);
    raft_ends(0, &(struct change_result){.id = 5, .index = 2});
    assert_int_equal(reply_code, 0);
    boot_ms += (int64_t)2 * 3600 * 1000;
    member_asks_for(deployers_token, CHANGE_STACK_REMOVE, &mine);
    assert_int_equal(reply_code, ERR_DENIED);
    assert_int_equal(locals, 1);
}

/* What came through another member fills the disk as well. */
static void a_leader_without_room_takes_nothing_from_others(void **state)
{
    (void)state;
    struct change_node_update update = {.node_id = 2, .set_self = true, .node = {.name = "n2"}};
    ready = true;
    room = ERR_BUSY;
    member_asks(2, CHANGE_NODE_UPDATE, &update);
    assert_int_equal(reply_code, ERR_BUSY);
    room = ERR_NOSPACE;
    member_asks(2, CHANGE_NODE_UPDATE, &update);
    assert_int_equal(reply_code, ERR_NOSPACE);
    assert_int_equal(locals, 0);
    room = 0;
    member_asks(2, CHANGE_NODE_UPDATE, &update);
    assert_int_equal(locals, 1);
    raft_ends(0, &(struct change_result){.id = 5, .index = 2});
    assert_int_equal(reply_code, 0);
}

/* Taken while another led, proposed when we do: with the rights of that moment. */
static void a_token_goes_with_its_change(void **state)
{
    (void)state;
    struct caller caller;
    struct err err;
    struct end e = {0};
    int64_t id = add_deployer();
    struct change_stack_remove removal = {.name = "app"};
    assert_int_equal(caller_from_token(world->store, deployers_token, 0, &caller, &err), 0);
    leader_id = 2;
    propose_change_for(proposer, &caller, CHANGE_STACK_REMOVE, &removal, NULL, 10000, on_end, &e);
    caller_release(&caller);
    assert_int_equal(forwards, 1);
    assert_string_equal(last_token, deployers_token);
    must(world, CHANGE_TOKEN_DELETE, &(struct change_token_delete){.token_id = id});
    leader_id = 1;
    ready = true;
    call_fails(ERR_UNAVAILABLE);
    tick(100);
    tick(100);
    assert_int_equal(locals, 0);
    assert_int_equal(e.times, 1);
    assert_int_equal(e.result.err.code, ERR_DENIED);
}

static void garbage_is_answered(void **state)
{
    (void)state;
    struct call call = {.body = {(unsigned char *)(char[]){"\xc1garbage"}, 8}};
    propose_on_call(proposer, 2, &call, on_reply, NULL);
    assert_true(reply_code < 0);
    struct call empty = {0};
    propose_on_call(proposer, 2, &empty, on_reply, NULL);
    assert_true(reply_code < 0);
    assert_int_equal(locals, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_leader_without_room_says_so_or_lets_another_lead),
        TEST(what_must_wait_for_another_says_so_at_its_deadline),
        TEST(the_leader_proposes_itself),
        TEST(a_member_forwards_and_waits_for_its_own_copy),
        TEST(a_refusal_is_the_end_and_says_why),
        TEST(it_goes_on_with_the_next_leader_under_the_same_id),
        TEST(a_dead_leaders_answer_is_not_waited_for),
        TEST(the_deadline_tells_what_is_known),
        TEST(the_attempt_under_way_outlives_the_deadline),
        TEST(what_is_too_large_is_not_tried_twice),
        TEST(what_only_a_leader_says_dies_with_its_term),
        TEST(a_removed_machine_says_so),
        TEST(a_stop_answers_everybody),
        TEST(a_member_speaks_for_itself_only),
        TEST(the_leader_looks_at_the_callers_token),
        TEST(a_wrong_clock_does_not_end_a_token),
        TEST(a_leader_without_room_takes_nothing_from_others),
        TEST(a_token_goes_with_its_change),
        TEST(garbage_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
