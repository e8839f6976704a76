/* SPDX-License-Identifier: Apache-2.0 */
/* rm and scale: changes without a file. */
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/compose_reader.h"
#include "cli/plan.h"
#include "cli/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_DEFAULT_MS = 300000,
};

struct wait_options {
    bool detach;
    int64_t timeout_ms;
};

static const struct arg_option wait_options[] = {
    ARG_OPTION(struct wait_options, ARG_FLAG, detach, 'd', "detach", NULL, "do not wait"),
    ARG_OPTION(struct wait_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
               "how long to wait (default 5m)"),
    ARG_END,
};

struct scale_options {
    struct wait_options wait;
    bool dry_run;
};

static int64_t timeout_of(const struct wait_options *o)
{
    return o->timeout_ms ? o->timeout_ms : TIMEOUT_DEFAULT_MS;
}

/* --- rm ----------------------------------------------------------------------------------------
 */

static int run_rm(struct cli *cli, const void *options, int words_n, char **words, struct err *err)
{
    const struct wait_options *o = options;
    struct empty reply;
    bool service = strchr(words[0], '.') != NULL;
    struct service_act_request act = {.name = words[0], .action = (char *)(uintptr_t) "remove"};
    (void)words_n;
    int rv = service ? cli_call(cli, "service.act", &act, &reply, err)
                     : cli_call(cli, "stack.remove", &(struct name_request){.name = words[0]},
                                &reply, err);
    if (rv < 0)
        return rv;
    if (o->detach)
        return 0;
    if (rollout_wait(cli,
                     &(struct rollout_request){.filter = words[0],
                                               .gone = true,
                                               .timeout_ms = timeout_of(o),
                                               .what = "The removal"},
                     err) < 0)
        return err->code;
    printf("%s %s is gone.\n", service ? "Service" : "Stack", words[0]);
    return 0;
}

const struct command command_rm = {
    .name = "rm",
    .usage = "[--detach] [--timeout DURATION] STACK | STACK.SERVICE",
    .summary = "stop and remove all services of a stack, or one",
    .details =
        "Stop and remove all services of a stack, or one of them, and wait until nothing of\n"
        "it runs. The stack goes with its last service. Named volumes stay.",
    .examples = "  wherry rm shop\n"
                "  wherry rm shop.worker\n",
    .options = wait_options,
    .options_size = sizeof(struct wait_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_rm,
};

/* --- scale -------------------------------------------------------------------------------------
 */

static int parse_scale(struct cli *cli, const char *word, struct scale_request *ret,
                       struct err *err)
{
    const char *equals = strrchr(word, '=');
    int64_t replicas;
    if (!equals || equals == word)
        return err_set(err, ERR_INVALID, "'%.60s' is not SERVICE=NUMBER, such as app.web=3", word);
    if (!compose_number(equals + 1, 0, COMPOSE_REPLICAS_MAX, &replicas))
        return err_set(err, ERR_INVALID, "'%.40s' is no number of replicas from 0 to %d",
                       equals + 1, COMPOSE_REPLICAS_MAX);
    cleanup_free char *name = str_printf("%.*s", (int)(equals - word), word);
    ret->replicas = replicas;
    return cli_resolve(cli, name, false, &ret->name, err);
}

static int scale_all(struct cli *cli, const struct wait_options *o,
                     const struct scale_request *requests, size_t n, struct err *err)
{
    struct empty reply;
    cleanup_free const char **names = mem_alloc(n, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        if (cli_call(cli, "service.scale", &requests[i], &reply, err) < 0)
            return err_wrap(err, "scale %s", requests[i].name);
        names[i] = requests[i].name;
    }
    if (o->detach)
        return 0;
    return rollout_wait(cli,
                        &(struct rollout_request){.filter = n == 1 ? names[0] : "",
                                                  .names = names,
                                                  .names_n = n,
                                                  .timeout_ms = timeout_of(o),
                                                  .what = "The change"},
                        err);
}

static int run_scale(struct cli *cli, const void *options, int words_n, char **words,
                     struct err *err)
{
    const struct scale_options *o = options;
    size_t n = (size_t)words_n;
    if (o->dry_run && n != 1)
        return err_set(err, ERR_INVALID, "--dry-run shows one service at a time");
    struct scale_request *requests = mem_alloc(n, sizeof(*requests));
    int rv = 0;
    for (size_t i = 0; i < n && rv == 0; i++)
        rv = parse_scale(cli, words[i], &requests[i], err);
    if (rv == 0 && o->dry_run)
        rv = plan_foresee(cli,
                          &(struct dry_run_request){.action = (char *)(uintptr_t) "scale",
                                                    .name = requests[0].name,
                                                    .replicas = requests[0].replicas},
                          err);
    else if (rv == 0)
        rv = scale_all(cli, &o->wait, requests, n, err);
    record_free_list(&scale_request_type, requests, n);
    return rv;
}

const struct command command_scale = {
    .name = "scale",
    .usage = "[--detach | --dry-run [--json]] [--timeout DURATION] SERVICE=NUMBER...",
    .summary = "set the number of replicas of services",
    .details =
        "Set the number of replicas, and wait until they run. The next deploy sets what the\n"
        "file says.",
    .examples = "  wherry scale app.web=5\n"
                "  wherry scale app.web=5 app.worker=0\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct scale_options, ARG_FLAG, wait.detach, 'd', "detach", NULL,
                       "do not wait"),
            ARG_OPTION(struct scale_options, ARG_DURATION, wait.timeout_ms, 0, "timeout",
                       "DURATION", "how long to wait (default 5m)"),
            ARG_OPTION(struct scale_options, ARG_FLAG, dry_run, 0, "dry-run", NULL,
                       "only show what would become of tasks"),
            ARG_END,
        },
    .options_size = sizeof(struct scale_options),
    .words_min = 1,
    .words_max = -1,
    .json = true,
    .run = run_scale,
};
