/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dues.h"

#include "base/cleanup.h"
#include "base/cron.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    ZONES_MAX = 64, /* more are read again each time */
};

struct known_zone {
    char *name;
    bool missing;
    struct zone zone;
};

struct dues {
    struct due *list;
    size_t n;
    int64_t *indexes; /* of each: the service's modified_index when it was computed */
    struct known_zone zones[ZONES_MAX];
    size_t zones_n;
};

struct dues *dues_new(void)
{
    return mem_alloc(1, sizeof(struct dues));
}

static void drop_zones(struct dues *dues)
{
    for (size_t i = 0; i < dues->zones_n; i++) {
        free(dues->zones[i].name);
        zone_release(&dues->zones[i].zone);
    }
    dues->zones_n = 0;
}

void dues_free(struct dues *dues)
{
    drop_zones(dues);
    free(dues->list);
    free(dues->indexes);
    free(dues);
}

/* NULL: there is no such zone here. */
static const struct zone *zone_of(struct dues *dues, const char *name)
{
    for (size_t i = 0; i < dues->zones_n; i++)
        if (strcmp(dues->zones[i].name, name) == 0)
            return dues->zones[i].missing ? NULL : &dues->zones[i].zone;
    if (dues->zones_n == ZONES_MAX)
        drop_zones(dues);
    struct known_zone *known = &dues->zones[dues->zones_n++];
    struct err err;
    *known = (struct known_zone){.name = str_copy(name)};
    known->missing = zone_load(name, &known->zone, &err) < 0;
    if (known->missing)
        log_error("leader", "jobs scheduled in it do not run: %s", err.msg);
    return known->missing ? NULL : &known->zone;
}

static struct due compute(struct dues *dues, const struct service *service, int64_t now_ms)
{
    const struct job_spec *job = &service->spec.job;
    struct due due = {.service_id = service->id, .next_ms = INT64_MAX};
    struct cron cron;
    struct err err;
    const struct zone *zone = zone_of(dues, str_or_empty(job->time_zone));
    if (!zone || cron_parse(job->schedule, &cron, &err) < 0)
        return due;
    int64_t after_ms =
        service->scheduled_ms > service->updated_ms ? service->scheduled_ms : service->updated_ms;
    due.at_ms = cron_last(&cron, zone, after_ms, now_ms);
    due.next_ms = cron_next(&cron, zone, due.at_ms ? due.at_ms : after_ms);
    return due;
}

int64_t dues_next(struct dues *dues, const struct service *service, int64_t now_ms)
{
    struct due due = compute(dues, service, now_ms);
    return due.next_ms;
}

/* What was computed last time, as long as it holds. */
static bool kept(const struct dues *dues, size_t *at, const struct service *service, int64_t now_ms,
                 struct due *ret)
{
    while (*at < dues->n && dues->list[*at].service_id < service->id)
        ++*at;
    if (*at == dues->n || dues->list[*at].service_id != service->id ||
        dues->indexes[*at] != service->modified_index || dues->list[*at].next_ms <= now_ms)
        return false;
    *ret = dues->list[*at];
    return true;
}

void dues_read(struct dues *dues, const struct view *view, const struct due **ret_list,
               size_t *ret_n)
{
    size_t jobs = 0;
    for (size_t i = 0; i < view->services_n; i++)
        jobs += *str_or_empty(view->services[i].spec.job.schedule) != '\0';
    struct due *list = mem_alloc(jobs, sizeof(*list));
    int64_t *indexes = mem_alloc(jobs, sizeof(*indexes));
    size_t n = 0;
    size_t at = 0;
    for (size_t i = 0; i < view->services_n; i++) {
        const struct service *service = &view->services[i];
        if (!*str_or_empty(service->spec.job.schedule))
            continue;
        if (!kept(dues, &at, service, view->now_ms, &list[n]))
            list[n] = compute(dues, service, view->now_ms);
        indexes[n++] = service->modified_index;
    }
    free(dues->list);
    free(dues->indexes);
    dues->list = list;
    dues->indexes = indexes;
    dues->n = n;
    *ret_list = list;
    *ret_n = n;
}
