/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture - identities of one cluster in a temporary folder, and a loop run until something is so.
 */
#ifndef WHERRY_TESTS_CLUSTER_FIXTURE_H
#define WHERRY_TESTS_CLUSTER_FIXTURE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/identity.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define FIXTURE __attribute__((unused)) static

static const char test_uuid[] = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";

/* Fail, showing @err. */
#define must(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, err.msg);                                                    \
    } while (0)

FIXTURE char *temp_dir(void)
{
    char template[] = "/var/tmp/wherry-test-XXXXXX";
    assert_non_null(mkdtemp(template));
    return str_copy(template);
}

FIXTURE void remove_dir(char *dir)
{
    struct err err;
    must(file_remove_tree(dir, &err));
    free(dir);
}

/* An identity that is no member. */
FIXTURE struct identity *new_stranger(const char *dir, const char *name)
{
    struct err err;
    struct identity *id;
    cleanup_free char *path = str_printf("%s/%s", dir, name);
    must(identity_open(path, &id, &err));
    return id;
}

/* Node @node_id; the first one (@ca_of NULL) makes the CA. */
FIXTURE struct identity *new_member(const char *dir, const char *name, int64_t node_id,
                                    const struct identity *ca_of)
{
    struct err err;
    struct identity *id = new_stranger(dir, name);
    if (ca_of)
        must(identity_set_ca(id, identity_ca_cert(ca_of), identity_ca_key(ca_of), &err));
    else
        must(identity_make_ca(id, &err));
    must(identity_set_member(id, test_uuid, node_id, &err));
    return id;
}

/* The hash of the CA of @id, as a token has it. */
FIXTURE void ca_hash_of(const struct identity *id, unsigned char out[32])
{
    struct err err;
    char *token;
    enum token_kind kind;
    unsigned char secret_hash[32];
    must(token_make(id, TOKEN_JOIN, &token, &err));
    must(token_parse(token, &kind, out, secret_hash, &err));
    free(token);
}

FIXTURE void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Run @loop until @condition(arg) or @ms have passed. Returns whether it came. */
FIXTURE bool run_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg, unsigned ms)
{
    uv_timer_t tick;
    uv_timer_init(loop, &tick);
    uv_timer_start(&tick, on_tick, 2, 2);
    uint64_t end = uv_hrtime() + ms * UINT64_C(1000000);
    bool met;
    while (!(met = condition(arg)) && uv_hrtime() < end)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return met;
}

FIXTURE bool never(void *arg)
{
    (void)arg;
    return false;
}

FIXTURE bool is_set(void *arg)
{
    return *(bool *)arg;
}

FIXTURE void set_flag(void *arg)
{
    *(bool *)arg = true;
}

/* Resident bytes of this process. */
FIXTURE size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long size;
    unsigned long resident;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &size, &resident), 2);
    fclose(f);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
