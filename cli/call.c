/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/retry.h"
#include "cli/table.h"
#include "cli/target.h"
#include "cluster/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- calls -------------------------------------------------------------------------------------
 */

struct verb {
    const char *name;
    const struct record_type *request;
    const struct record_type *reply;
};

static const struct verb verbs[] = {
#define X(verb, request, reply) {verb, &request##_type, &reply##_type},
    API_VERBS(X)
#undef X
};

static const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    check(!"a verb of the table");
    return NULL;
}

int cli_connect(const struct cli *cli, struct client **ret_client, struct err *err)
{
    int rv = target_connect(cli, ret_client, err);
    if (rv == 0)
        client_set_stale(*ret_client, cli->stale);
    return rv;
}

int cli_call_client(struct client *client, const char *verb, const void *request, void *ret_reply,
                    int64_t timeout_ms, struct err *err)
{
    const struct verb *v = verb_find(verb);
    return client_call(client, verb, v->request, request, v->reply, ret_reply, timeout_ms, err);
}

int cli_call_within(struct cli *cli, const char *verb, const void *request, void *ret_reply,
                    int64_t timeout_ms, struct err *err)
{
    const struct verb *v = verb_find(verb);
    int rv;
    do /* What is unavailable was surely not done; another member may be able to. */
        rv = retry_call(cli, verb, v->request, request, v->reply, ret_reply, timeout_ms, err);
    while (rv == ERR_UNAVAILABLE && target_turn(cli));
    if (rv == 0) {
        cli->turns = 0;
        target_note_members(cli);
    }
    return rv;
}

int cli_call(struct cli *cli, const char *verb, const void *request, void *ret_reply,
             struct err *err)
{
    return cli_call_within(cli, verb, request, ret_reply, CALL_MS, err);
}

bool cli_may_retry(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_BUSY ||
           code == ERR_NOTLEADER || code == ERR_IO || code == ERR_UNKNOWN;
}

/* --- names -------------------------------------------------------------------------------------
 */

static const char *short_name(const struct service_info *service)
{
    return service->name + strlen(service->stack) + 1;
}

static int choose(const struct service_list_reply *list, const char *name, bool stacks,
                  char **ret_name, struct err *err)
{
    const struct service_info *found = NULL;
    const struct service_info *other = NULL;
    bool is_stack = false;
    for (size_t i = 0; i < list->services_n; i++) {
        const struct service_info *s = &list->services[i];
        is_stack = is_stack || str_equal(s->stack, name);
        if (!str_equal(short_name(s), name))
            continue;
        other = found;
        found = s;
    }
    if (is_stack && stacks)
        *ret_name = str_copy(name);
    else if (other)
        return err_set(err, ERR_INVALID, "'%.63s' may be %.64s or %.64s: write it as STACK.SERVICE",
                       name, other->name, found->name);
    else if (found)
        *ret_name = str_copy(found->name);
    else if (is_stack)
        return err_set(err, ERR_INVALID, "'%.63s' is a stack: name a service of it, %.63s.SERVICE",
                       name, name);
    else
        return err_set(err, ERR_NOTFOUND, "there is no %s '%.63s' ('wherry ls' lists them)",
                       stacks ? "stack or service" : "service", name);
    return 0;
}

int cli_resolve(struct cli *cli, const char *name, bool stacks, char **ret_name, struct err *err)
{
    struct service_list_reply list;
    if (strchr(name, '.')) {
        *ret_name = str_copy(name);
        return 0;
    }
    if (!*name)
        return err_set(err, ERR_INVALID, "a name is empty");
    if (cli_call(cli, "service.list", &(struct filter_request){0}, &list, err) < 0)
        return err->code;
    int rv = choose(&list, name, stacks, ret_name, err);
    record_release(&service_list_reply_type, &list);
    return rv;
}

/* --- output ------------------------------------------------------------------------------------
 */

void cli_print_json(const struct record_type *type, const void *records, size_t n)
{
    cleanup_buf struct buf out = BUF_INIT;
    record_json_list(type, records, n, 0, &out);
    puts(out.data);
}

void cli_print_json_one(const struct record_type *type, const void *record)
{
    cli_print_json(type, record, 1);
}

void cli_warn(const char *fmt, ...)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf clean = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    text_clean(text.data, &clean);
    fflush(stdout);
    fprintf(stderr, "wherry: %s\n", clean.data);
}
