/* SPDX-License-Identifier: Apache-2.0 */
/* What x-wherry says of a job: when it runs, how long it may take, what is kept. */
#include "cli/compose_reader.h"

#include "base/cleanup.h"
#include "base/cron.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct job_spec *job_of(void *object)
{
    return &((struct compose_draft *)object)->service->spec.job;
}

static void note(void *object, const struct yaml *value)
{
    struct compose_draft *draft = object;
    if (!draft->job)
        draft->job = value;
}

void compose_read_schedule(struct reader *r, const struct yaml *value, void *object)
{
    char *text = compose_text(r, value);
    struct cron cron;
    struct err err;
    if (!text)
        return;
    if (strlen(text) > SCHEDULE_MAX)
        compose_error(r, value, "is longer than %d characters", SCHEDULE_MAX);
    else if (cron_parse(text, &cron, &err) < 0)
        compose_error(r, value, "%s", err.msg);
    else
        note(object, value);
    free(job_of(object)->schedule);
    job_of(object)->schedule = text;
}

void compose_read_time_zone(struct reader *r, const struct yaml *value, void *object)
{
    char *text = compose_text(r, value);
    if (!text)
        return;
    if (!zone_name_is_valid(text))
        compose_error(r, value, "'%.64s' is not the name of a time zone, such as Europe/Berlin",
                      text);
    note(object, value);
    free(job_of(object)->time_zone);
    job_of(object)->time_zone = text;
}

void compose_read_concurrency(struct reader *r, const struct yaml *value, void *object)
{
    int i = compose_read_choice(r, value, concurrency_names);
    if (i >= 0)
        job_of(object)->concurrency = (enum concurrency)i;
    note(object, value);
}

void compose_read_catch_up(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_duration(r, value, &job_of(object)->catch_up_ms) &&
        job_of(object)->catch_up_ms == 0)
        job_of(object)->catch_up_ms = -1;
    note(object, value);
}

void compose_read_history(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 1, JOB_HISTORY_MAX, &job_of(object)->history);
    note(object, value);
}

void compose_read_job_deadline(struct reader *r, const struct yaml *value, void *object)
{
    if (compose_read_duration(r, value, &job_of(object)->deadline_ms) &&
        job_of(object)->deadline_ms < 1000)
        compose_error(r, value, "must be at least 1s");
    note(object, value);
}

void compose_read_job_parallelism(struct reader *r, const struct yaml *value, void *object)
{
    compose_read_number(r, value, 1, COMPOSE_REPLICAS_MAX, &job_of(object)->parallelism);
    note(object, value);
}

void compose_settle_job(struct reader *r, struct compose_draft *draft)
{
    const struct job_spec *job = &draft->service->spec.job;
    if (draft->job && !mode_is_job(draft->service->spec.mode)) {
        compose_error(r, draft->job,
                      "is for jobs: deploy.mode must be replicated-job or global-job");
        return;
    }
    if (draft->job && !*str_or_empty(job->schedule) &&
        (*str_or_empty(job->time_zone) || job->catch_up_ms != 0 ||
         job->concurrency != CONCURRENCY_FORBID))
        compose_error(r, draft->job, "means something with a schedule only");
}
