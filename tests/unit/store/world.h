/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - a store under test, and a twin that is fed the same batches: whatever a test does, both
 * must come to the same digest. Bodies are borrowed: string literals will do.
 */
#ifndef WHERRY_TESTS_WORLD_H
#define WHERRY_TESTS_WORLD_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct store *store;
    struct store *twin;
    int64_t index;
    int64_t now_ms;
};

__attribute__((unused)) static int world_setup(void **state)
{
    struct world *w = mem_alloc(1, sizeof(*w));
    w->store = store_new();
    w->twin = store_new();
    w->now_ms = 1700000000000;
    *state = w;
    return 0;
}

__attribute__((unused)) static void assert_same_digest(struct store *a, struct store *b)
{
    unsigned char digests[2][32];
    store_digest(a, digests[0]);
    store_digest(b, digests[1]);
    assert_memory_equal(digests[0], digests[1], 32);
}

__attribute__((unused)) static int world_teardown(void **state)
{
    struct world *w = *state;
    assert_same_digest(w->store, w->twin);
    store_free(w->store);
    store_free(w->twin);
    free(w);
    return 0;
}

static struct change_result feed(struct store *store, int64_t index, const struct buf *batch)
{
    struct change_result *results;
    size_t n;
    struct err err = {0};
    int rv = store_apply(store, index, batch->data, batch->len, &results, &n, &err);
    if (rv < 0)
        fail_msg("store_apply: %s", err.msg);
    struct change_result last = results[n - 1];
    free(results);
    return last;
}

/* Apply a batch of one change to both stores. */
static struct change_result submit_as(struct world *w, enum change_kind kind, const void *body,
                                      const unsigned char *request_id)
{
    struct change change = {.kind = kind, .body = (void *)(uintptr_t)body};
    cleanup_buf struct buf encoded = BUF_INIT;
    cleanup_buf struct buf batch = BUF_INIT;
    if (request_id) {
        change.has_request_id = true;
        memcpy(change.request_id, request_id, REQUEST_ID_BYTES);
    }
    change_encode(&change, &encoded);
    batch_encode(w->now_ms, &encoded, 1, &batch);
    w->index++;
    struct change_result result = feed(w->store, w->index, &batch);
    struct change_result other = feed(w->twin, w->index, &batch);
    assert_int_equal(result.err.code, other.err.code);
    assert_string_equal(result.err.msg, other.err.msg);
    assert_int_equal(result.id, other.id);
    return result;
}

static struct change_result submit(struct world *w, enum change_kind kind, const void *body)
{
    return submit_as(w, kind, body, NULL);
}

/* The change must be done; its id. */
__attribute__((unused)) static int64_t must(struct world *w, enum change_kind kind,
                                            const void *body)
{
    struct change_result result = submit(w, kind, body);
    if (result.err.code != 0)
        fail_msg("%s refused: %s", change_name((int)kind), result.err.msg);
    return result.id;
}

/* The change must be refused with @code and a message that has @text in it. */
__attribute__((unused)) static void refused(struct world *w, enum change_kind kind,
                                            const void *body, int code, const char *text)
{
    struct change_result result = submit(w, kind, body);
    if (result.err.code != code || !strstr(result.err.msg, text))
        fail_msg("%s: got %d \"%s\", expected %d \"%s\"", change_name((int)kind), result.err.code,
                 result.err.msg, code, text);
}

#define BYTES(text) ((struct bytes){.data = (unsigned char *)(text), .len = sizeof(text) - 1})
#define HASH_A      BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
#define HASH_B      BYTES("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

/* A cluster of one member, n1, and a join token HASH_A. */
__attribute__((unused)) static void init_cluster(struct world *w)
{
    struct change_cluster_init init = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .ca = "PEM",
                    .pool = "10.192.0.0/10",
                    .vxlan_id = 77},
        .node = {.name = "n1", .address = "10.0.0.1:7400", .public_key = BYTES("key1")}};
    assert_int_equal(must(w, CHANGE_CLUSTER_INIT, &init), 1);
    struct change_token_add token = {.token = {.kind = TOKEN_JOIN, .hash = HASH_A}};
    must(w, CHANGE_TOKEN_ADD, &token);
}

__attribute__((unused)) static int64_t add_node(struct world *w, char *name)
{
    cleanup_free char *address = str_printf("10.0.1.%s:7400", name + strcspn(name, "0123456789"));
    struct change_node_add add = {
        .node = {.name = name,
                 .address = address,
                 .public_key = {.data = (unsigned char *)name, .len = strlen(name)}},
        .token_hash = HASH_A};
    return must(w, CHANGE_NODE_ADD, &add);
}

/* Members n1, n2, n3. */
__attribute__((unused)) static void init_three(struct world *w)
{
    init_cluster(w);
    assert_int_equal(add_node(w, "n2"), 2);
    assert_int_equal(add_node(w, "n3"), 3);
}

__attribute__((unused)) static struct service get_service(struct world *w, const char *name)
{
    struct service service;
    assert_int_equal(store_find(w->store, TABLE_SERVICE, name, &service), 0);
    return service;
}

__attribute__((unused)) static struct task get_task(struct world *w, int64_t id)
{
    struct task task;
    assert_int_equal(store_get(w->store, TABLE_TASK, id, &task), 0);
    return task;
}

/* Deploy @services of stack "app" as its next revision, with network "default". */
__attribute__((unused)) static int64_t deploy_app(struct world *w, struct deploy_service *services,
                                                  size_t n, bool prune)
{
    struct stack stack;
    char *networks[] = {"default"};
    char *volumes[] = {"app_data"};
    struct change_stack_deploy deploy = {.name = "app",
                                         .project = "p1",
                                         .prune = prune,
                                         .services = services,
                                         .services_n = n,
                                         .networks = networks,
                                         .networks_n = 1,
                                         .volumes = volumes,
                                         .volumes_n = 1};
    if (store_find(w->store, TABLE_STACK, "app", &stack) == 0) {
        deploy.expected_revision = stack.revision;
        record_release(&stack_type, &stack);
    }
    return must(w, CHANGE_STACK_DEPLOY, &deploy);
}

/* Try to place @slot of the service named @name as it is now. */
__attribute__((unused)) static struct change_result place(struct world *w, const char *name,
                                                          int64_t slot, int64_t node_id)
{
    struct service service = get_service(w, name);
    struct change_task_create create = {.service_id = service.id,
                                        .service_index = service.modified_index,
                                        .slot = slot,
                                        .node_id = node_id};
    record_release(&service_type, &service);
    return submit(w, CHANGE_TASK_CREATE, &create);
}

__attribute__((unused)) static void report(struct world *w, int64_t node_id,
                                           struct task_observation seen)
{
    struct change_task_report body = {
        .node_id = node_id, .observations = &seen, .observations_n = 1};
    must(w, CHANGE_TASK_REPORT, &body);
}

/* End the task, have its node @node_id say so, and remove it. */
__attribute__((unused)) static void finish(struct world *w, int64_t task_id, int64_t node_id)
{
    struct change_task_end end = {.task_id = task_id, .reason = "update"};
    struct change_task_remove removal = {.task_id = task_id};
    must(w, CHANGE_TASK_END, &end);
    report(w, node_id,
           (struct task_observation){
               .task_id = task_id, .state = TASK_ENDED, .run = 1000, .sequence = 1});
    must(w, CHANGE_TASK_REMOVE, &removal);
}

#endif
