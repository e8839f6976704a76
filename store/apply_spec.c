/* SPDX-License-Identifier: Apache-2.0 */
/* Is what a user asks for something that can run? Checked once more where it becomes state. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/cron.h"
#include "base/mem.h"
#include "base/netip.h"
#include "store/options.h"

#include <inttypes.h>
#include <string.h>

enum {
    IMAGE_BYTES_MAX = 1024,
    PATH_BYTES_MAX = 1024,
    CONTENT_REFS_MAX = 256,
    COUNT_MAX = 1 << 22, /* as many processes as Linux has */
};

static int check_ports(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->ports_n; i++) {
        const struct port_spec *port = &spec->ports[i];
        if (port->published < 1 || port->published > 65535 || port->target < 1 ||
            port->target > 65535)
            return err_set(err, ERR_INVALID,
                           "%s: port %" PRId64 ":%" PRId64 " is not within 1 to 65535", object,
                           port->published, port->target);
        for (size_t k = 0; k < i; k++)
            if (spec->ports[k].published == port->published &&
                spec->ports[k].protocol == port->protocol)
                return err_set(err, ERR_INVALID, "%s: port %" PRId64 "/%s is published twice",
                               object, port->published, protocol_names[port->protocol]);
    }
    return 0;
}

static bool is_absolute(const char *path)
{
    return path && path[0] == '/';
}

static int check_mounts(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct mount_spec *mount = &spec->mounts[i];
        const char *target = str_or_empty(mount->target);
        if (!is_absolute(target) || target[1] == '\0')
            return err_set(err, ERR_INVALID,
                           "%s: mount target \"%.100s\" is not an absolute path below /", object,
                           target);
        if (mount->kind == MOUNT_BIND && !is_absolute(mount->source))
            return err_set(err, ERR_INVALID,
                           "%s: bind mount source \"%.100s\" is not an absolute path", object,
                           str_or_empty(mount->source));
        for (size_t k = 0; k < i; k++)
            if (str_equal(spec->mounts[k].target, target))
                return err_set(err, ERR_INVALID, "%s: two mounts at %.100s", object, target);
    }
    return 0;
}

static int check_networks(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->networks_n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_equal(spec->networks[k].network, spec->networks[i].network) &&
                spec->networks[k].full == spec->networks[i].full)
                return err_set(err, ERR_INVALID, "%s: network %s is given twice", object,
                               str_or_empty(spec->networks[i].network));
    return 0;
}

/* An address can be had by one task only. */
static int check_addresses(const struct spec *spec, const char *object, struct err *err)
{
    for (size_t i = 0; i < spec->networks_n; i++) {
        const char *six = str_or_empty(spec->networks[i].address6);
        const char *asked =
            *str_or_empty(spec->networks[i].address) ? spec->networks[i].address : six;
        struct in6_addr ip;
        char text[INET6_ADDRSTRLEN];
        if (*asked && (spec->replicas > 1 || mode_is_global(spec->mode)))
            return err_set(err, ERR_INVALID,
                           "%s: has the address %.40s, which only one task can have: one replica",
                           object, asked);
        if (*six &&
            (!netip_parse(six, &ip) || netip_is4(&ip) || strcmp(netip_text(&ip, text), six)))
            return err_set(err, ERR_INVALID, "%s: '%.64s' is no IPv6 address in its shortest form",
                           object, six);
    }
    return 0;
}

static int check_constraints(const struct spec *spec, int level, const char *object,
                             struct err *err)
{
    for (size_t i = 0; i < spec->constraints_n; i++) {
        const char *key = str_or_empty(spec->constraints[i].key);
        bool label = str_starts(key, "node.labels.") && key[strlen("node.labels.")] != '\0';
        bool platform = level >= 4 && (strcmp(key, "node.platform.os") == 0 ||
                                       strcmp(key, "node.platform.arch") == 0);
        if (!label && !platform && strcmp(key, "node.id") != 0 && strcmp(key, "node.hostname") != 0)
            return err_set(err, ERR_INVALID,
                           "%s: constraint on \"%.80s\": only node.id, node.hostname and "
                           "node.labels.KEY are known",
                           object, key);
    }
    for (size_t i = 0; i < spec->spread_n; i++)
        if (!str_starts(str_or_empty(spec->spread[i]), "node.labels.") ||
            spec->spread_n > SPREAD_MAX)
            return err_set(err, ERR_INVALID,
                           "%s: tasks are spread over at most %d labels, node.labels.KEY", object,
                           SPREAD_MAX);
    return 0;
}

static int check_strings(const struct spec *spec, const char *object, struct err *err)
{
    size_t image_len = strlen(str_or_empty(spec->image));
    if (image_len == 0)
        return err_set(err, ERR_INVALID, "%s: has no image", object);
    if (image_len > IMAGE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "%s: its image's name is longer than %d bytes", object,
                       IMAGE_BYTES_MAX);
    if (strlen(str_or_empty(spec->image_digest)) > IMAGE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "%s: its image's digest is longer than %d bytes", object,
                       IMAGE_BYTES_MAX);
    for (size_t i = 0; i < spec->environment_n; i++) {
        const char *pair = str_or_empty(spec->environment[i]);
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair)
            return err_set(err, ERR_INVALID, "%s: environment \"%.80s\" is not NAME=VALUE", object,
                           pair);
    }
    return 0;
}

/* No number is so large that a sum of a few, or with a time, overflows. */
static int check_numbers(const struct spec *spec, const char *object, struct err *err)
{
    const struct {
        const char *name;
        int64_t value;
        int64_t max;
    } numbers[] = {
        {"replicas", spec->replicas, REPLICAS_MAX},
        {"stop_grace_period", spec->stop_grace_ms, DURATION_MS_MAX},
        {"restart_policy.delay", spec->restart.delay_ms, DURATION_MS_MAX},
        {"restart_policy.max_attempts", spec->restart.max_attempts, COUNT_MAX},
        {"restart_policy.window", spec->restart.window_ms, DURATION_MS_MAX},
        {"healthcheck.interval", spec->health.interval_ms, DURATION_MS_MAX},
        {"healthcheck.timeout", spec->health.timeout_ms, DURATION_MS_MAX},
        {"healthcheck.retries", spec->health.retries, COUNT_MAX},
        {"healthcheck.start_period", spec->health.start_period_ms, DURATION_MS_MAX},
        {"placement.max_replicas_per_node", spec->max_per_node, COUNT_MAX},
        {"reservations.cpus (thousandths)", spec->reservations.cpu_milli, CPU_MILLI_MAX},
        {"reservations.memory", spec->reservations.memory_bytes, MEMORY_BYTES_MAX},
        {"reservations.pids", spec->reservations.pids, COUNT_MAX},
        {"limits.cpus (thousandths)", spec->limits.cpu_milli, CPU_MILLI_MAX},
        {"limits.memory", spec->limits.memory_bytes, MEMORY_BYTES_MAX},
        {"limits.pids", spec->limits.pids, COUNT_MAX},
        {"update_config.parallelism", spec->update.parallelism, COUNT_MAX},
        {"update_config.delay", spec->update.delay_ms, DURATION_MS_MAX},
        {"update_config.monitor", spec->update.monitor_ms, DURATION_MS_MAX},
        {"update_config.max_failure_ratio (thousandths)", spec->update.max_failure_permille, 1000},
        {"rollback_config.parallelism", spec->rollback.parallelism, COUNT_MAX},
        {"rollback_config.delay", spec->rollback.delay_ms, DURATION_MS_MAX},
        {"rollback_config.monitor", spec->rollback.monitor_ms, DURATION_MS_MAX},
        {"rollback_config.max_failure_ratio (thousandths)", spec->rollback.max_failure_permille,
         1000},
        {"healthcheck.start_interval", spec->health.start_interval_ms, DURATION_MS_MAX},
        {"x-wherry.failover", spec->failover_ms < 0 ? 0 : spec->failover_ms, DURATION_MS_MAX},
        {"x-wherry.drain", spec->drain_ms < 0 ? 0 : spec->drain_ms, DURATION_MS_MAX},
        {"x-wherry.rollout-deadline", spec->rollout_deadline_ms, DURATION_MS_MAX},
        {"parallelism of a job", spec->job.parallelism, COUNT_MAX},
        {"x-wherry.deadline", spec->job.deadline_ms, DURATION_MS_MAX},
        {"x-wherry.catch-up", spec->job.catch_up_ms < 0 ? 0 : spec->job.catch_up_ms,
         DURATION_MS_MAX},
        {"x-wherry.history", spec->job.history, JOB_HISTORY_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (numbers[i].value < 0 || numbers[i].value > numbers[i].max)
            return err_set(err, ERR_INVALID, "%s: %s is %" PRId64 ", not within 0 to %" PRId64,
                           object, numbers[i].name, numbers[i].value, numbers[i].max);
    return 0;
}

static int check_content(const struct content_ref *ref, const char *object, struct err *err)
{
    const char *target = str_or_empty(ref->target);
    static const char digits[] = "0123456789";
    if (!is_absolute(target) || target[1] == '\0' || strlen(target) > PATH_BYTES_MAX ||
        strstr(target, "/../"))
        return err_set(err, ERR_INVALID, "%s: \"%.100s\" is no absolute path for a file", object,
                       target);
    if (strspn(str_or_empty(ref->uid), digits) != strlen(str_or_empty(ref->uid)) ||
        strspn(str_or_empty(ref->gid), digits) != strlen(str_or_empty(ref->gid)) ||
        strlen(str_or_empty(ref->uid)) > 9 || strlen(str_or_empty(ref->gid)) > 9)
        return err_set(err, ERR_INVALID, "%s: %.100s: uid and gid are numbers", object, target);
    if (ref->mode < 0 || ref->mode > 07777)
        return err_set(err, ERR_INVALID, "%s: %.100s: its mode is not within 0 to 07777", object,
                       target);
    return 0;
}

/* Configs and secrets: files at places of their own. */
static int check_contents(const struct spec *spec, const char *object, struct err *err)
{
    const struct {
        const struct content_ref *refs;
        size_t n;
    } lists[] = {{spec->configs, spec->configs_n}, {spec->secrets, spec->secrets_n}};
    if (spec->configs_n + spec->secrets_n > CONTENT_REFS_MAX)
        return err_set(err, ERR_TOOBIG, "%s: more than %d configs and secrets", object,
                       CONTENT_REFS_MAX);
    for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
        for (size_t i = 0; i < lists[l].n; i++) {
            if (check_content(&lists[l].refs[i], object, err) < 0)
                return err->code;
            for (size_t m = 0; m <= l; m++)
                for (size_t k = 0; k < (m == l ? i : lists[m].n); k++)
                    if (str_equal(lists[m].refs[k].target, lists[l].refs[i].target))
                        return err_set(err, ERR_INVALID, "%s: two files at %.100s", object,
                                       lists[l].refs[i].target);
        }
    return 0;
}

static int check_single(const struct spec *spec, const char *object, struct err *err)
{
    if (!spec->single && spec->lease_ms == 0)
        return 0;
    if (!spec->single)
        return err_set(err, ERR_INVALID, "%s: has a lease, but is not single", object);
    if (spec->mode != MODE_REPLICATED)
        return err_set(err, ERR_INVALID, "%s: only replicated services are single", object);
    if (*str_or_empty(spec->options.pid))
        return err_set(err, ERR_INVALID, "%s: is single, and with 'pid' its end cannot be seen to",
                       object);
    if (spec->lease_ms != 0 && (spec->lease_ms < LEASE_MIN_MS || spec->lease_ms > LEASE_MAX_MS))
        return err_set(err, ERR_INVALID, "%s: lease: is not within %d s to %d s", object,
                       LEASE_MIN_MS / 1000, LEASE_MAX_MS / 1000);
    return 0;
}

static int check_resources(const struct spec *spec, const char *object, struct err *err)
{
    if (resources_are_valid(spec->resources, spec->resources_n))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s: generic resources: at most %d kinds, in order and once each, of 1 to %d",
                   object, RESOURCES_MAX, RESOURCE_COUNT_MAX);
}

/* Printable text without blanks, which cannot end a line of what is asked. */
static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static int check_probe(const struct spec *spec, const char *object, struct err *err)
{
    const struct health_spec *health = &spec->health;
    const char *path = str_or_empty(health->path), *host = str_or_empty(health->host);
    const char *service = str_or_empty(health->service);
    if (health->probe == PROBE_COMMAND)
        return 0;
    if (health->test_n > 0)
        return err_set(err, ERR_INVALID, "%s: has both a healthcheck with a test and a probe",
                       object);
    if (health->port < 1 || health->port > 65535)
        return err_set(err, ERR_INVALID, "%s: probe: port %" PRId64 " is not within 1 to 65535",
                       object, health->port);
    if (strlen(path) > PROBE_PATH_MAX || strlen(host) > PROBE_NAME_MAX ||
        strlen(service) > PROBE_NAME_MAX)
        return err_set(err, ERR_INVALID, "%s: probe: its path, host or service is too long",
                       object);
    if (!is_plain(path) || !is_plain(host) || !is_plain(service) || (*path && *path != '/'))
        return err_set(err, ERR_INVALID,
                       "%s: probe: its path must begin with '/', and path, host and service have "
                       "neither blanks nor control characters",
                       object);
    return 0;
}

/* What is said of the runs of a job, by a job. */
static int check_job(const struct spec *spec, const char *object, struct err *err)
{
    const struct job_spec *job = &spec->job;
    bool any = !record_field_is_empty(&(struct field){.name = "job",
                                                      .kind = FIELD_KIND_RECORD,
                                                      .offset = offsetof(struct spec, job),
                                                      .type = &job_spec_type},
                                      spec);
    if (any && !mode_is_job(spec->mode))
        return err_set(err, ERR_INVALID,
                       "%s: is no job, so that it has no schedule, deadline or parallelism: "
                       "deploy.mode must be replicated-job or global-job",
                       object);
    if (strlen(str_or_empty(job->schedule)) > SCHEDULE_MAX ||
        strlen(str_or_empty(job->time_zone)) > TIME_ZONE_MAX)
        return err_set(err, ERR_INVALID, "%s: its schedule is too long", object);
    struct cron cron;
    if (*str_or_empty(job->schedule) && cron_parse(job->schedule, &cron, err) < 0)
        return err_wrap(err, "%s: schedule", object);
    if (*str_or_empty(job->time_zone) && !zone_name_is_valid(job->time_zone))
        return err_set(err, ERR_INVALID, "%s: '%.64s' is not the name of a time zone", object,
                       job->time_zone);
    return 0;
}

int spec_validate(const struct spec *spec, int level, const char *object, struct err *err)
{
    int (*const checks[])(const struct spec *, const char *, struct err *) = {
        check_strings,   check_numbers,  check_ports,     check_mounts,
        check_networks,  check_contents, check_job,       check_probe,
        check_resources, check_single,   check_addresses,
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        int rv = checks[i](spec, object, err);
        if (rv < 0)
            return rv;
    }
    int rv = check_constraints(spec, level, object, err);
    if (rv < 0)
        return rv;
    rv = options_validate(spec, err);
    return rv < 0 ? err_wrap(err, "%s", object) : 0;
}
