/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/context.h"
#include "cluster/client.h"

#include <stdlib.h>
#include <string.h>

enum {
    SESSION_MS = 5000,
};

static const char default_host[] = "unix:///run/wherry/wherry.sock";

/* The option, else the variable, else NULL; an empty one is none. */
static const char *given(const char *option, const char *variable)
{
    const char *value = option && *option ? option : getenv(variable);
    return value && *value ? value : NULL;
}

/* --- one member --------------------------------------------------------------------------------
 */

static int connect_host(const char *host, const char *token, struct client **ret_client,
                        struct err *err)
{
    if (host[0] == '/') {
        cleanup_free char *target = str_printf("unix://%s", host);
        return client_open(target, token, ret_client, err);
    }
    if (!str_starts(host, "unix://") && strstr(host, "://"))
        return err_set(err, ERR_INVALID,
                       "'%.80s' is no member's address: give ADDRESS, ADDRESS:PORT or a socket as "
                       "unix:///PATH",
                       host);
    if (!str_starts(host, "unix://") && !token)
        return err_set(err, ERR_DENIED,
                       "%.80s needs a token: make one there with 'wherry token create', then "
                       "'wherry login %.80s', or give it with --token or WHERRY_TOKEN",
                       host, host);
    return client_open(host, token, ret_client, err);
}

/* --- a context ---------------------------------------------------------------------------------
 */

struct fronting {
    const char *name;
    const char *address;
};

/* Put the address that answered in front. */
static int edit_front(struct contexts *contexts, void *arg, struct err *err)
{
    const struct fronting *f = arg;
    struct context *c = contexts_find(contexts, f->name);
    for (size_t i = 1; c && i < c->addresses_n; i++)
        if (str_equal(c->addresses[i], f->address)) {
            char *moved = c->addresses[i];
            memmove(c->addresses + 1, c->addresses, i * sizeof(char *));
            c->addresses[0] = moved;
            return 0;
        }
    return err_set(err, ERR_CONFLICT, "nothing to do");
}

static int connect_context(const struct context *c, const char *token, struct client **ret_client,
                           struct err *err)
{
    struct err first = {0};
    for (size_t i = 0; i < c->addresses_n; i++) {
        int rv = client_open(c->addresses[i], token ? token : c->token, ret_client, err);
        if (rv == 0 && i > 0) {
            struct fronting f = {c->name, c->addresses[i]};
            struct err ignored;
            contexts_change(edit_front, &f, &ignored);
        }
        if (rv == 0)
            return 0;
        if (i == 0)
            first = *err;
    }
    *err = first;
    if (c->addresses_n > 1)
        return err_set(err, first.code,
                       "none of the %zu members of context %.63s answers; the first: %.130s",
                       c->addresses_n, c->name, first.msg);
    return err_wrap(err, "context %.63s", c->name);
}

/* The name of the context to use, in heap memory; NULL: none, or one member was named. */
static int choose(const struct cli *cli, const struct contexts *contexts, char **ret_name,
                  struct err *err)
{
    const char *asked = given(cli->context, "WHERRY_CONTEXT");
    const char *name = asked ? asked : contexts->current;
    *ret_name = NULL;
    if (given(cli->host, "WHERRY_HOST") || !name || str_equal(name, CONTEXT_LOCAL))
        return 0;
    if (!contexts_find(contexts, name))
        return err_set(err, ERR_NOTFOUND,
                       "there is no context '%.80s': 'wherry context ls' lists them, 'wherry login "
                       "ADDRESS --name %.80s' makes it",
                       name, name);
    *ret_name = str_copy(name);
    return 0;
}

int target_connect(const struct cli *cli, struct client **ret_client, struct err *err)
{
    const char *host = given(cli->host, "WHERRY_HOST");
    if (host)
        return connect_host(host, given(cli->token, "WHERRY_TOKEN"), ret_client, err);
    struct contexts contexts;
    cleanup_free char *name = NULL;
    int rv = contexts_load(&contexts, err);
    if (rv < 0)
        return rv;
    rv = choose(cli, &contexts, &name, err);
    if (rv == 0 && name)
        rv =
            connect_context(contexts_find(&contexts, name), given(cli->token, ""), ret_client, err);
    else if (rv == 0)
        rv = connect_host(default_host, NULL, ret_client, err);
    contexts_release(&contexts);
    return rv;
}

/* Put the first address last. */
static int edit_turn(struct contexts *contexts, void *arg, struct err *err)
{
    struct context *c = contexts_find(contexts, arg);
    if (!c || c->addresses_n < 2)
        return err_set(err, ERR_CONFLICT, "there is no other");
    char *first = c->addresses[0];
    memmove(c->addresses, c->addresses + 1, (c->addresses_n - 1) * sizeof(char *));
    c->addresses[c->addresses_n - 1] = first;
    return 0;
}

bool target_turn(struct cli *cli)
{
    struct contexts contexts;
    struct err ignored;
    cleanup_free char *name = NULL;
    if (contexts_load(&contexts, &ignored) < 0)
        return false;
    int rv = choose(cli, &contexts, &name, &ignored);
    const struct context *c = rv == 0 && name ? contexts_find(&contexts, name) : NULL;
    bool more = c && ++cli->turns < (int)c->addresses_n;
    contexts_release(&contexts);
    return more && contexts_change(edit_turn, name, &ignored) == 0;
}

/* --- where the members are ---------------------------------------------------------------------
 */

struct refreshing {
    const char *name;
    const struct session_reply *session;
};

/* The address in use stays in front: it may be one that only works from here. */
static int edit_addresses(struct contexts *contexts, void *arg, struct err *err)
{
    const struct refreshing *r = arg;
    const struct session_reply *s = r->session;
    struct context *c = contexts_find(contexts, r->name);
    if (!c || !str_equal(c->cluster, s->cluster) || s->addresses_n == 0)
        return err_set(err, ERR_CONFLICT, "nothing to do");
    struct context fresh = {.name = c->name, .cluster = c->cluster, .token = c->token};
    cleanup_free char **addresses = mem_alloc(s->addresses_n + 1, sizeof(char *));
    fresh.addresses = addresses;
    addresses[fresh.addresses_n++] = c->addresses[0];
    for (size_t i = 0; i < s->addresses_n && fresh.addresses_n < CONTEXT_ADDRESSES_MAX; i++)
        if (!str_equal(s->addresses[i], c->addresses[0]))
            addresses[fresh.addresses_n++] = s->addresses[i];
    return contexts_put(contexts, &fresh, err);
}

void target_note_members(struct cli *cli)
{
    struct contexts contexts;
    struct session_reply session;
    struct err ignored;
    cleanup_free char *name = NULL;
    int64_t sum = client_members(cli->client);
    if (cli->members_known || sum == 0 || contexts_load(&contexts, &ignored) < 0)
        return;
    cli->members_known = true;
    int rv = choose(cli, &contexts, &name, &ignored);
    struct context *c = rv == 0 && name ? contexts_find(&contexts, name) : NULL;
    bool same = !c || wire_addresses_sum(c->addresses, c->addresses_n) == sum ||
                wire_addresses_sum(c->addresses + 1, c->addresses_n - 1) == sum;
    contexts_release(&contexts);
    if (same || cli_call_client(cli->client, "cluster.session", &(struct empty){0}, &session,
                                SESSION_MS, &ignored) < 0)
        return;
    struct refreshing r = {name, &session};
    contexts_change(edit_addresses, &r, &ignored);
    record_release(&session_reply_type, &session);
}
