/* SPDX-License-Identifier: Apache-2.0 */
/* job: services that run to their end, their runs and their schedules. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/compose_reader.h"
#include "cli/table.h"
#include "cli/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    POLL_MS = 300,
    AWAY_MS = 20000, /* so long may the member be away */
    STATUS_FAILED = 1,
};

/* "2026-03-29 03:00 UTC" */
static void add_time(struct table *table, int64_t at_ms)
{
    char text[40];
    time_t at = (time_t)(at_ms / 1000);
    struct tm tm;
    if (at_ms == 0 || !gmtime_r(&at, &tm)) {
        table_add(table, "-");
        return;
    }
    strftime(text, sizeof(text), tm.tm_sec ? "%Y-%m-%d %H:%M:%S UTC" : "%Y-%m-%d %H:%M UTC", &tm);
    table_add(table, text);
}

/* --- ls --------------------------------------------------------------------------------------- */

static void add_job(struct table *table, const struct job_info *job)
{
    char age[UNITS_TEXT];
    const struct run_info *last = job->runs_n ? &job->runs[job->runs_n - 1] : NULL;
    table_add(table, job->name);
    table_add(table, job->mode);
    if (*str_or_empty(job->schedule) && *str_or_empty(job->time_zone))
        table_addf(table, "%s (%s)", job->schedule, job->time_zone);
    else
        table_add(table, *str_or_empty(job->schedule) ? job->schedule : "-");
    table_addf(table, "%" PRId64, last ? last->number : 0);
    table_add(table, job->stopped ? "stopped" : last ? last->state : "-");
    table_add(table, last ? units_ago(last->started_ms, clock_wall_ms(), age) : "-");
    add_time(table, job->next_ms);
    table_add(table, last ? str_or_empty(last->message) : "");
}

static void print_jobs(const struct cli *cli, const struct job_list_reply *reply)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    for (size_t i = 0; cli->quiet && i < reply->jobs_n; i++)
        puts(reply->jobs[i].name);
    if (cli->quiet)
        return;
    table_init(&table, (const char *[]){"JOB", "MODE", "SCHEDULE", "RUN", "STATE", "BEGAN", "NEXT",
                                        "", NULL});
    for (size_t i = 0; i < reply->jobs_n; i++)
        add_job(&table, &reply->jobs[i]);
    table_print(&table, &out);
    table_release(&table);
    fputs(out.data, stdout);
}

static int run_ls(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    struct job_list_reply reply;
    struct filter_request request = {.name = n ? words[0] : NULL};
    (void)options;
    if (cli_call(cli, "job.list", &request, &reply, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&job_info_type, reply.jobs, reply.jobs_n);
    else
        print_jobs(cli, &reply);
    record_release(&job_list_reply_type, &reply);
    return 0;
}

static const struct command job_ls = {
    .name = "ls",
    .usage = "[--json] [-q] [--stale] [STACK]",
    .summary = "list jobs, their last runs and when they are due",
    .examples = "  wherry job ls\n",
    .words_max = 1,
    .json = true,
    .quiet = true,
    .stale = true,
    .run = run_ls,
};

/* --- runs ------------------------------------------------------------------------------------- */

static void add_run(struct table *table, const struct run_info *run)
{
    char text[UNITS_TEXT];
    int64_t end_ms = run->ended_ms ? run->ended_ms : clock_wall_ms();
    bool skipped = str_equal(run->state, "skipped");
    table_addf(table, "%" PRId64, run->number);
    table_add(table, run->state);
    table_add(table, run->cause);
    add_time(table, run->scheduled_ms ? run->scheduled_ms : run->started_ms);
    table_add(table, skipped ? "-" : units_duration(end_ms - run->started_ms, text));
    table_addf(table, "%" PRId64 "/%" PRId64, run->complete, run->tasks);
    table_add(table, run->message);
}

/* The job called @word. */
static int get_job(struct cli *cli, const char *word, char **ret_name, struct job_list_reply *ret,
                   struct err *err)
{
    if (cli_resolve(cli, word, false, ret_name, err) < 0)
        return err->code;
    return cli_call(cli, "job.list", &(struct filter_request){.name = *ret_name}, ret, err);
}

static int run_runs(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    struct job_list_reply reply;
    cleanup_free char *name = NULL;
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    (void)options;
    (void)n;
    if (get_job(cli, words[0], &name, &reply, err) < 0)
        return err->code;
    const struct job_info *job = &reply.jobs[0];
    if (cli->json) {
        cli_print_json(&run_info_type, job->runs, job->runs_n);
    } else {
        table_init(&table,
                   (const char *[]){"RUN", "STATE", "CAUSE", "DUE", "TOOK", "COMPLETE", "", NULL});
        for (size_t i = 0; i < job->runs_n; i++)
            add_run(&table, &job->runs[i]);
        table_print(&table, &out);
        table_release(&table);
        fputs(out.data, stdout);
    }
    record_release(&job_list_reply_type, &reply);
    return 0;
}

static const struct command job_runs = {
    .name = "runs",
    .usage = "[--json] [--stale] JOB",
    .summary = "show the runs of a job",
    .details = "Runs under way, and the last ones that are over: five, unless x-wherry: history\n"
               "says otherwise. Their logs are kept as long ('wherry logs JOB').",
    .examples = "  wherry job runs app.backup\n",
    .words_min = 1,
    .words_max = 1,
    .json = true,
    .stale = true,
    .run = run_runs,
};

/* --- run -------------------------------------------------------------------------------------- */

struct job_run_options {
    bool detach;
    int64_t timeout_ms;
};

static int64_t newest(const struct job_list_reply *reply)
{
    const struct job_info *job = &reply->jobs[0];
    return job->runs_n ? job->runs[job->runs_n - 1].number : 0;
}

/* Returns true when run @number is over; says how. */
static bool is_over(struct cli *cli, const struct job_info *job, int64_t number)
{
    for (size_t i = 0; i < job->runs_n; i++) {
        const struct run_info *run = &job->runs[i];
        if (run->number != number || run->ended_ms == 0)
            continue;
        printf("Run %" PRId64 " of %s %s%s%s\n", number, job->name, run->state,
               *str_or_empty(run->message) ? ": " : "", str_or_empty(run->message));
        if (!str_equal(run->state, "succeeded"))
            cli->exit_status = STATUS_FAILED;
        return true;
    }
    return false;
}

static int wait_over(struct cli *cli, char *name, int64_t number, int64_t timeout_ms,
                     struct err *err)
{
    int64_t start_ms = clock_boot_ms();
    int64_t answered_ms = start_ms;
    for (;;) {
        struct job_list_reply reply;
        int64_t now_ms = clock_boot_ms();
        int rv = cli_call(cli, "job.list", &(struct filter_request){.name = name}, &reply, err);
        if (rv == 0) {
            bool over = is_over(cli, &reply.jobs[0], number);
            record_release(&job_list_reply_type, &reply);
            answered_ms = now_ms;
            if (over)
                return 0;
        } else if (!cli_may_retry(rv) || now_ms - answered_ms > AWAY_MS) {
            return rv;
        }
        if (timeout_ms && now_ms - start_ms >= timeout_ms)
            return err_set(err, ERR_TIMEOUT,
                           "run %" PRId64
                           " of %s goes on; 'wherry job runs %s' shows how far it is",
                           number, name, name);
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
}

static int run_run(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    const struct job_run_options *o = options;
    struct job_list_reply reply;
    struct empty nothing;
    cleanup_free char *name = NULL;
    (void)n;
    if (get_job(cli, words[0], &name, &reply, err) < 0)
        return err->code;
    int64_t before = newest(&reply);
    record_release(&job_list_reply_type, &reply);
    struct service_act_request request = {.name = name, .action = (char *)(uintptr_t) "run"};
    if (cli_call(cli, "service.act", &request, &nothing, err) < 0 ||
        cli_call(cli, "job.list", &(struct filter_request){.name = name}, &reply, err) < 0)
        return err->code;
    int64_t number = newest(&reply) > before ? before + 1 : newest(&reply);
    record_release(&job_list_reply_type, &reply);
    if (o->detach) {
        printf("Run %" PRId64 " of %s begins.\n", number, name);
        return 0;
    }
    return wait_over(cli, name, number, o->timeout_ms, err);
}

static const struct command job_run = {
    .name = "run",
    .usage = "[--detach] [--timeout DURATION] JOB",
    .summary = "begin a run of a job now",
    .details =
        "Whatever its schedule says, and beside runs that are under way. Waits for its end,\n"
        "and exits with 1 when it did not succeed.",
    .examples = "  wherry job run app.backup\n",
    .options =
        (const struct arg_option[]){
            ARG_OPTION(struct job_run_options, ARG_FLAG, detach, 'd', "detach", NULL,
                       "do not wait"),
            ARG_OPTION(struct job_run_options, ARG_DURATION, timeout_ms, 0, "timeout", "DURATION",
                       "how long to wait (default: until it is over)"),
            ARG_END,
        },
    .options_size = sizeof(struct job_run_options),
    .words_min = 1,
    .words_max = 1,
    .run = run_run,
};

/* --- stop, rm --------------------------------------------------------------------------------- */

static int run_stop(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    struct empty reply;
    cleanup_free char *name = NULL;
    struct service_act_request request = {.action = (char *)(uintptr_t) "cancel"};
    (void)options;
    if (n > 1 && !compose_number(words[1], 1, INT64_MAX, &request.revision))
        return err_set(err, ERR_INVALID, "'%.40s' is no number of a run", words[1]);
    if (cli_resolve(cli, words[0], false, &name, err) < 0)
        return err->code;
    request.name = name;
    return cli_call(cli, "service.act", &request, &reply, err);
}

static const struct command job_stop = {
    .name = "stop",
    .usage = "JOB [RUN]",
    .summary = "end a run that is under way",
    .details = "Its tasks get their stop signal. The job stays, and runs when it is due next; to\n"
               "keep it from that use 'wherry stop JOB'.",
    .examples = "  wherry job stop app.backup\n"
                "  wherry job stop app.backup 12\n",
    .words_min = 1,
    .words_max = 2,
    .run = run_stop,
};

static int run_rm(struct cli *cli, const void *options, int n, char **words, struct err *err)
{
    (void)options;
    for (int i = 0; i < n; i++) {
        struct job_list_reply jobs;
        struct empty reply;
        cleanup_free char *name = NULL;
        if (get_job(cli, words[i], &name, &jobs, err) < 0)
            return err->code;
        record_release(&job_list_reply_type, &jobs);
        struct service_act_request request = {.name = name, .action = (char *)(uintptr_t) "remove"};
        if (cli_call(cli, "service.act", &request, &reply, err) < 0)
            return err->code;
    }
    return 0;
}

static const struct command job_rm = {
    .name = "rm",
    .usage = "JOB...",
    .summary = "remove jobs, with their runs and logs",
    .details = "Runs that are under way are ended. A job of a Compose file comes back with its\n"
               "next deploy.",
    .examples = "  wherry job rm run.hello\n",
    .words_min = 1,
    .words_max = -1,
    .run = run_rm,
};

const struct command command_job = {
    .name = "job",
    .usage = "",
    .summary = "services that run to their end: runs and schedules",
    .examples = "  wherry job ls\n"
                "  wherry job run app.backup\n",
    .subcommands =
        (const struct command *const[]){&job_ls, &job_runs, &job_run, &job_stop, &job_rm, NULL},
};
