/* SPDX-License-Identifier: Apache-2.0 */
/* What the state costs when it is large: a copy of it, its check, its restore; BENCH_TASKS tasks.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cluster/backup.h"
#include "cluster/entry.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TASKS = 100000,
    SLOTS = 4000, /* of one service; a network has that many addresses */
    BATCH = 500,
};

static int64_t entry;

static void apply(struct store *store, const struct buf *changes, size_t n)
{
    cleanup_buf struct buf batch = BUF_INIT;
    struct change_result *results;
    struct err err;
    size_t results_n;
    batch_encode(1700000000000, changes, n, &batch);
    if (store_apply(store, ++entry, batch.data, batch.len, &results, &results_n, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    for (size_t i = 0; i < results_n; i++)
        if (results[i].err.code != 0) {
            fprintf(stderr, "refused: %s\n", results[i].err.msg);
            exit(1);
        }
    free(results);
}

static void one(struct store *store, enum change_kind kind, const void *body)
{
    struct change change = {.kind = kind, .body = (void *)(uintptr_t)body};
    cleanup_buf struct buf encoded = BUF_INIT;
    change_encode(&change, &encoded);
    apply(store, &encoded, 1);
}

static void make_service(struct store *store, int number)
{
    cleanup_free char *name = str_printf("stack%d", number);
    struct attachment network = {.network = "default"};
    char *networks[] = {"default"};
    struct deploy_service service = {
        .name = "web",
        .spec = {.image = "web:1", .replicas = SLOTS, .networks = &network, .networks_n = 1}};
    struct change_stack_deploy deploy = {.name = name,
                                         .project = "bench",
                                         .services = &service,
                                         .services_n = 1,
                                         .networks = networks,
                                         .networks_n = 1};
    one(store, CHANGE_STACK_DEPLOY, &deploy);
}

static void make_tasks(struct store *store, int number, int count)
{
    cleanup_free char *name = str_printf("stack%d.web", number);
    struct service service;
    struct buf changes[BATCH] = {0};
    if (store_find(store, TABLE_SERVICE, name, &service) < 0)
        exit(1);
    for (int slot = 1; slot <= count;) {
        size_t n = 0;
        for (; n < BATCH && slot <= count; slot++, n++) {
            struct change_task_create create = {.service_id = service.id,
                                                .service_index = service.modified_index,
                                                .slot = slot,
                                                .node_id = 1};
            struct change change = {.kind = CHANGE_TASK_CREATE, .body = &create};
            buf_reset(&changes[n]);
            change_encode(&change, &changes[n]);
        }
        apply(store, changes, n);
    }
    for (size_t i = 0; i < BATCH; i++)
        buf_release(&changes[i]);
    record_release(&service_type, &service);
}

static int64_t begun;

static void begin(void)
{
    begun = clock_mono_ns();
}

static void end(const char *what)
{
    printf("%-46s %8.1f ms\n", what, (double)(clock_mono_ns() - begun) / 1e6);
}

int main(void)
{
    const char *given = getenv("BENCH_TASKS");
    int tasks = given ? atoi(given) : TASKS;
    struct store *store = store_new();
    struct change_cluster_init init = {
        .cluster = {.uuid = "0123456789abcdef0123456789abcdef",
                    .ca = "PEM",
                    .pool = "10.0.0.0/8",
                    .vxlan_id = 77},
        .node = {.name = "n1",
                 .address = "10.0.0.1:7400",
                 .public_key = {.data = (unsigned char *)"key", .len = 3}}};
    one(store, CHANGE_CLUSTER_INIT, &init);
    for (int number = 0; number * SLOTS < tasks; number++) {
        make_service(store, number);
        make_tasks(store, number, tasks - number * SLOTS < SLOTS ? tasks - number * SLOTS : SLOTS);
    }
    cleanup_buf struct buf image = BUF_INIT;
    unsigned char header[SNAPSHOT_HEADER_BYTES];
    begin();
    store_snapshot(store, &image);
    end("copy of the state, on the loop");
    printf("%-46s %8.1f MB\n", "  its size", (double)image.len / 1e6);
    begin();
    snapshot_header_encode(image.data, image.len, entry, header);
    end("its checksum, on a thread");
    cleanup_buf struct buf whole = BUF_INIT;
    buf_append(&whole, header, sizeof(header));
    buf_append(&whole, image.data, image.len);
    const void *payload;
    size_t len;
    int64_t index;
    struct err err;
    begin();
    if (snapshot_decode(whole.data, whole.len, &payload, &len, &index, &err) < 0)
        return 1;
    end("check of the checksum of one that comes in");
    struct store *other = store_new();
    begin();
    if (store_restore(other, payload, len, &err) < 0)
        return 1;
    end("restore of a backup, every row checked");
    begin();
    if (store_restore_trusted(other, payload, len, &err) < 0)
        return 1;
    end("restore of a member's snapshot");
    store_free(other);
    store_free(store);
    return 0;
}
