/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/retry.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cluster/client.h"

#include <string.h>
#include <time.h>

enum {
    PAUSE_MS = 100, /* before the first retry, twice as long before each further one */
    INDEX_MS = 5000,
};

static const struct {
    const char *verb;
    enum retry_kind kind;
} kinds[] = {
    {"cluster.status", RETRY_READ},  {"cluster.wait", RETRY_READ},
    {"node.list", RETRY_READ},       {"node.inspect", RETRY_READ},
    {"node.remove", RETRY_CHANGE},   {"stack.deploy", RETRY_CHANGE},
    {"stack.plan", RETRY_READ},      {"stack.remove", RETRY_CHANGE},
    {"service.list", RETRY_READ},    {"service.inspect", RETRY_READ},
    {"service.scale", RETRY_CHANGE}, {"task.list", RETRY_READ},
    {"service.act", RETRY_CHANGE},   {"service.history", RETRY_READ},
    {"task.move", RETRY_CHANGE},     {"service.why", RETRY_READ},
    {"image.list", RETRY_READ},      {"token.list", RETRY_READ},
    {"token.remove", RETRY_CHANGE},  {"cluster.session", RETRY_READ},
    {"cluster.set", RETRY_CHANGE},   {"cluster.inspect", RETRY_READ},
    {"node.set", RETRY_CHANGE},      {"ca.inspect", RETRY_READ},
    {"container.list", RETRY_READ},  {"container.inspect", RETRY_READ},
    {"container.stats", RETRY_READ}, {"container.top", RETRY_READ},
    {"container.wait", RETRY_READ},  {"container.diff", RETRY_READ},
    {"container.look", RETRY_READ},  {"event.list", RETRY_READ},
};

enum retry_kind retry_kind_of(const char *verb)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].verb, verb) == 0)
            return kinds[i].kind;
    return RETRY_NEVER;
}

/* The index of the state now, so that a retry can be told from a request that was forgotten. A
 * machine that is no member has none. */
static void learn_index(struct client *client)
{
    struct wait_request request = {.after = -1};
    struct wait_reply reply;
    struct err err;
    if (client_index(client) == 0 &&
        client_call(client, "cluster.wait", &wait_request_type, &request, &wait_reply_type, &reply,
                    INDEX_MS, &err) == 0)
        record_release(&wait_reply_type, &reply);
}

/* Whatever comes on a connection after these may be late: the next call has a new one. */
static bool breaks_connection(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_UNKNOWN || code == ERR_IO;
}

static void pause_before(int try)
{
    int64_t ms = (int64_t)PAUSE_MS << try;
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* One change or read under way. */
struct attempt {
    enum retry_kind kind;
    struct client_request as;
    bool begun; /* as.begin is what it will be */
    bool lost;  /* an earlier try may have got through */
};

static int try_once(struct cli *cli, struct attempt *a, const char *verb,
                    const struct record_type *request_type, const void *request,
                    const struct record_type *answer_type, void *ret_reply, int64_t timeout_ms,
                    struct err *err)
{
    if (!cli->client && cli_connect(cli, &cli->client, err) < 0)
        return err->code;
    if (!a->begun && a->kind == RETRY_CHANGE) {
        learn_index(cli->client);
        a->as.begin = client_index(cli->client);
    }
    a->begun = true;
    int rv = client_call_as(cli->client, &a->as, verb, request_type, request, answer_type,
                            ret_reply, timeout_ms, err);
    if (breaks_connection(rv)) {
        client_close(cli->client);
        cli->client = NULL;
    }
    return rv;
}

/* Is it worth another try? Only a lost answer is: what was refused was refused. Once it may have
 * got through, whether it can be called at all is worth finding out, too. */
static bool is_lost(const struct attempt *a, int code)
{
    return code == ERR_UNKNOWN || (a->lost && breaks_connection(code));
}

int retry_call(struct cli *cli, const char *verb, const struct record_type *request_type,
               const void *request, const struct record_type *answer_type, void *ret_reply,
               int64_t timeout_ms, struct err *err)
{
    struct attempt a = {.kind = retry_kind_of(verb)};
    int64_t deadline_ms = clock_boot_ms() + timeout_ms;
    random_bytes(a.as.id, sizeof(a.as.id));
    for (int try = 0;; try++) {
        int64_t left_ms = deadline_ms - clock_boot_ms();
        int rv =
            try_once(cli, &a, verb, request_type, request, answer_type, ret_reply, left_ms, err);
        if (rv == 0 || a.kind == RETRY_NEVER || !is_lost(&a, rv))
            return rv;
        a.lost = true;
        if (try < RETRIES_MAX && clock_boot_ms() + ((int64_t)PAUSE_MS << try) < deadline_ms) {
            pause_before(try);
            continue;
        }
        struct err last = *err;
        if (a.kind == RETRY_READ) /* nothing was to be done */
            return err_set(err, ERR_UNAVAILABLE, "%s", last.msg);
        if (rv != ERR_UNKNOWN)
            err_set(err, ERR_UNKNOWN, "outcome unknown: it may have been done; then: %s", last.msg);
        return ERR_UNKNOWN;
    }
}
