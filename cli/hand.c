/* SPDX-License-Identifier: Apache-2.0 */
/* stop, start, restart, rollback, rollout: what is done by hand to services that are there.
 */
#include "cli/hand.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/compose_reader.h"
#include "cli/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_DEFAULT_MS = 300000,
};

struct hand_options {
    bool detach;
    int64_t timeout_ms;
};

static const struct arg_option hand_options[] = {
    ARG_OPTION(struct hand_options, ARG_FLAG, detach, 'd', "detach", NULL, "do not wait"),
    ARG_OPTION(struct hand_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
               "how long to wait (default 5m)"),
    ARG_END,
};

/* --- which services --------------------------------------------------------------------------- */

struct names {
    char **items;
    size_t n;
};

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){0};
}

static void add_name(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], name) == 0)
            return;
    names->items = mem_resize(names->items, names->n + 1, sizeof(char *));
    names->items[names->n++] = str_copy(name);
}

/* A service, or all of a stack but jobs, which run once. */
static int add_word(struct cli *cli, const char *word, struct names *names, struct err *err)
{
    struct service_list_reply reply;
    cleanup_free char *name = NULL;
    if (cli_resolve(cli, word, true, &name, err) < 0)
        return err->code;
    if (cli_call(cli, "service.list", &(struct filter_request){.name = name}, &reply, err) < 0)
        return err->code;
    bool one = strchr(name, '.') != NULL;
    for (size_t i = 0; i < reply.services_n; i++)
        if (one || !str_ends(reply.services[i].mode, "-job"))
            add_name(names, reply.services[i].name);
    record_release(&service_list_reply_type, &reply);
    return 0;
}

static int wait_for_all(struct cli *cli, const struct hand_options *o, const struct names *names,
                        const char *what, struct err *err)
{
    if (o->detach)
        return 0;
    return rollout_wait(
        cli,
        &(struct rollout_request){.filter = names->n == 1 ? names->items[0] : "",
                                  .names = (const char *const *)names->items,
                                  .names_n = names->n,
                                  .timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_DEFAULT_MS,
                                  .what = what},
        err);
}

static int act_on_all(struct cli *cli, const struct hand_options *o, const char *action,
                      int words_n, char **words, const char *what, struct err *err)
{
    struct names names = {0};
    struct empty reply;
    int rv = 0;
    for (int i = 0; i < words_n && rv == 0; i++)
        rv = add_word(cli, words[i], &names, err);
    for (size_t i = 0; i < names.n && rv == 0; i++) {
        struct service_act_request request = {.name = names.items[i],
                                              .action = (char *)(uintptr_t)action};
        rv = cli_call(cli, "service.act", &request, &reply, err);
        if (rv < 0)
            err_wrap(err, "%s %s", action, names.items[i]);
    }
    if (rv == 0 && names.n > 0)
        rv = wait_for_all(cli, o, &names, what, err);
    names_release(&names);
    return rv;
}

int hand_services(struct cli *cli, const char *action, char **services, size_t n,
                  int64_t timeout_ms, struct err *err)
{
    const struct hand_options o = {.timeout_ms = timeout_ms};
    return act_on_all(cli, &o, action, (int)n, services,
                      strcmp(action, "stop") == 0 ? "The stop" : "The start", err);
}

/* --- stop, start, restart --------------------------------------------------------------------- */

static int run_stop(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    return act_on_all(cli, options, "stop", n, words, "The stop", err);
}

static int run_start(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    return act_on_all(cli, options, "start", n, words, "The start", err);
}

static int run_restart(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    return act_on_all(cli, options, "restart", n, words, "The restart", err);
}

#define HAND_COMMAND(name_, summary_, details_, examples_)                                         \
    const struct command command_##name_ = {                                                       \
        .name = #name_,                                                                            \
        .usage = "[--detach] [--timeout DURATION] SERVICE|STACK...",                               \
        .summary = (summary_),                                                                     \
        .details = (details_),                                                                     \
        .examples = (examples_),                                                                   \
        .options = hand_options,                                                                   \
        .options_size = sizeof(struct hand_options),                                               \
        .words_min = 1,                                                                            \
        .words_max = -1,                                                                           \
        .run = run_##name_,                                                                        \
    }

HAND_COMMAND(stop, "end all tasks of services until they are started again",
             "End all tasks of services, and wait until they have. Replicas, revision and volumes\n"
             "stay, and it stays stopped, whatever restarts or is deployed, until 'wherry start'.\n"
             "A stack means all its services but jobs.",
             "  wherry stop app.web\n"
             "  wherry stop app\n");

HAND_COMMAND(start, "run services that were stopped",
             "Run services that 'wherry stop' stopped, and wait until they do.",
             "  wherry start app.web\n");

HAND_COMMAND(restart, "replace all tasks of services, a few at a time",
             "Replace all tasks of services by new ones of the same spec, as a deploy does it:\n"
             "as update_config says, what follows is ready before what it follows stops.",
             "  wherry restart app.web\n");

/* --- rollback --------------------------------------------------------------------------------- */

static int run_rollback(struct cli *cli, const void *options, int words_n, char **words,
                        struct err *err)
{
    struct empty reply;
    int64_t revision = 0;
    if (words_n > 1 && !compose_number(words[1], 1, INT64_MAX, &revision))
        return err_set(err, ERR_INVALID,
                       "'%.40s' is no number of a revision; 'wherry history %s' "
                       "lists them",
                       words[1], words[0]);
    char *name = NULL;
    if (cli_resolve(cli, words[0], false, &name, err) < 0)
        return err->code;
    struct names names = {.items = &name, .n = 1};
    struct service_act_request request = {
        .name = name, .action = (char *)(uintptr_t) "back", .revision = revision};
    int rv = cli_call(cli, "service.act", &request, &reply, err);
    if (rv == 0)
        rv = wait_for_all(cli, options, &names, "The rollback", err);
    free(name);
    return rv;
}

const struct command command_rollback = {
    .name = "rollback",
    .usage = "[--detach] [--timeout DURATION] SERVICE [REVISION]",
    .summary = "give a service the spec of an earlier revision",
    .details = "Make the whole spec of an earlier revision the newest one: image, environment, "
               "mounts,\nlimits; only the number of replicas stays. Without REVISION it is the "
               "last one\nbefore the present that was rolled out whole. Tasks are replaced as "
               "rollback_config says; those "
               "that need no change run on.",
    .examples = "  wherry rollback app.web\n"
                "  wherry rollback app.web 3\n",
    .options = hand_options,
    .options_size = sizeof(struct hand_options),
    .words_min = 1,
    .words_max = 2,
    .run = run_rollback,
};

/* --- rollout ---------------------------------------------------------------------------------- */

static int run_pause(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    (void)options;
    return act_on_all(cli, &(struct hand_options){.detach = true}, "pause", n, words, "", err);
}

static int run_resume(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    return act_on_all(cli, options, "resume", n, words, "The rollout", err);
}

static const struct command rollout_pause = {
    .name = "pause",
    .usage = "SERVICE...",
    .summary = "keep a rollout where it is",
    .details = "No further task is replaced until 'wherry rollout resume'. Tasks of lost members "
               "still are.",
    .examples = "  wherry rollout pause app.web\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_pause,
};

static const struct command rollout_resume = {
    .name = "resume",
    .usage = "[--detach] [--timeout DURATION] SERVICE...",
    .summary = "have a paused rollout go on",
    .details = "For one that was paused by hand or by itself. If what made it pause is still so, "
               "it\npauses again.",
    .examples = "  wherry rollout resume app.web\n",
    .options = hand_options,
    .options_size = sizeof(struct hand_options),
    .words_min = 1,
    .words_max = -1,
    .run = run_resume,
};

const struct command command_rollout = {
    .name = "rollout",
    .usage = "",
    .summary = "pause and resume the rollouts of services",
    .examples = "  wherry rollout pause app.web\n",
    .subcommands = (const struct command *const[]){&rollout_pause, &rollout_resume, NULL},
};
