/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a spec means on a machine. Every field of its options is set by itself, through the record's
 * own table: one that changes nothing of the container_spec would be dropped silently, so it fails.
 */
#include "node/container_of.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))

static struct task task = {.service = (char *)"web", .slot = 2};

/* --- a container_spec as text --------------------------------------------------------------- */

static void put_list(struct buf *out, const char *word, const char *const *list)
{
    for (size_t i = 0; list && list[i]; i++)
        buf_printf(out, "%s %s\n", word, list[i]);
}

static void put_lists(struct buf *out, const struct container_spec *c)
{
    put_list(out, "entrypoint", c->entrypoint);
    put_list(out, "command", c->command);
    put_list(out, "env", c->env);
    put_list(out, "group", c->group_add);
    put_list(out, "cap add", c->cap_add);
    put_list(out, "cap drop", c->cap_drop);
    put_list(out, "rule", c->device_rules);
    put_list(out, "sysctl", c->sysctls);
    put_list(out, "label", c->labels);
    put_list(out, "annotation", c->annotations);
    for (size_t i = 0; i < c->mounts_n; i++)
        buf_printf(out, "mount %s %s %d %s\n", c->mounts[i].source, c->mounts[i].target,
                   c->mounts[i].read_only, str_or_empty(c->mounts[i].propagation));
    for (size_t i = 0; i < c->tmpfs_n; i++) {
        buf_printf(out, "tmpfs %s %lld %llo\n", c->tmpfs[i].target,
                   (long long)c->tmpfs[i].size_bytes, (long long)c->tmpfs[i].mode);
        put_list(out, "tmpfs option", c->tmpfs[i].options);
    }
    for (size_t i = 0; i < c->devices_n; i++)
        buf_printf(out, "device %s %s %s\n", str_or_empty(c->devices[i].source),
                   str_or_empty(c->devices[i].target), str_or_empty(c->devices[i].access));
    for (size_t i = 0; i < c->ulimits_n; i++)
        buf_printf(out, "ulimit %s %lld %lld\n", str_or_empty(c->ulimits[i].name),
                   (long long)c->ulimits[i].soft, (long long)c->ulimits[i].hard);
    for (size_t i = 0; i < c->io_n; i++)
        buf_printf(out, "io %d %s %lld\n", (int)c->io[i].kind, str_or_empty(c->io[i].path),
                   (long long)c->io[i].value);
}

static void put_spec(struct buf *out, const struct container_spec *c)
{
    const struct {
        const char *name;
        const char *text;
    } texts[] = {
        {"id", c->id},
        {"image", c->image},
        {"hostname", c->hostname},
        {"domainname", c->domainname},
        {"user", c->user},
        {"dir", c->working_dir},
        {"signal", c->stop_signal},
        {"netns", c->netns},
        {"resolv.conf", c->resolv_conf},
        {"hosts", c->hosts},
        {"seccomp", c->seccomp},
        {"apparmor", c->apparmor},
        {"cpuset", c->cpuset},
        {"runtime", c->oci_runtime},
    };
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"cpu", c->cpu_milli},
        {"memory", c->memory_bytes},
        {"pids", c->pids_max},
        {"read only", c->read_only},
        {"log bytes", c->log_max_bytes},
        {"log files", c->log_files},
        {"log none", c->log_none},
        {"shm", c->shm_bytes},
        {"privileged", c->privileged},
        {"no new privileges", c->no_new_privileges},
        {"init", c->init},
        {"stdin", c->stdin_open},
        {"tty", c->tty},
        {"pid host", c->pid_host},
        {"ipc host", c->ipc_host},
        {"uts host", c->uts_host},
        {"cgroupns host", c->cgroupns_host},
        {"userns", c->userns},
        {"memswap", c->memswap_bytes},
        {"swappiness", c->swappiness_set},
        {"reserved", c->reserved_bytes},
        {"shares", c->cpu_shares},
        {"io weight", c->io_weight},
        {"oom score", c->oom_score_adj},
        {"oom kill disable", c->oom_kill_disable},
        {"storage", c->storage_bytes},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].text)
            buf_printf(out, "%s %s\n", texts[i].name, texts[i].text);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (numbers[i].value)
            buf_printf(out, "%s %lld\n", numbers[i].name, (long long)numbers[i].value);
    put_lists(out, c);
}

static char *text_of(const struct spec *spec)
{
    struct container_plan plan;
    struct buf out = BUF_INIT;
    cleanup_free char *hostname = container_hostname(spec, &task);
    container_plan_init(&plan, &(struct container_of){.spec = spec,
                                                      .id = "t42",
                                                      .hostname = hostname,
                                                      .address = "10.192.0.5",
                                                      .node_address = "192.0.2.7",
                                                      .netns = "/run/netns/t42"});
    put_spec(&out, &plan.spec);
    container_plan_release(&plan);
    return buf_take(&out);
}

/* --- every field --------------------------------------------------------------------------------
 */

/* What a field takes, where "x" or 7 is not among what it can be. */
static const struct {
    const char *path;
    const char *text;
} samples[] = {
    {"pid", "host"},
    {"ipc", "host"},
    {"uts", "host"},
    {"cgroup", "host"},
    {"userns", "auto"},
    {"extra_hosts", "db 10.0.0.1"},
    {"logging.driver", "none"},
    {"logging.options.key", "max-file"},
    {"logging.options.value", "3"},
};

static const char *sample_of(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
        if (strcmp(samples[i].path, path) == 0)
            return samples[i].text;
    return "x";
}

/* A field that means something together with others only: these are set in both. */
static void set_companions(struct spec *spec, const char *path)
{
    if (strcmp(path, "dns") == 0)
        spec->options.network_host = true; /* else node/dns.c asks them */
    if (str_starts(path, "logging.options.") && spec->options.logging.options_n > 0) {
        struct pair *option = &spec->options.logging.options[0];
        free(option->key);
        free(option->value);
        option->key = str_copy("max-file");
        option->value = str_copy(strcmp(path, "logging.options.value") == 0 ? "5" : "3");
    }
}

static size_t tried;

static void set_field(const struct field *f, void *record, const char *path)
{
    char *at = (char *)record + f->offset;
    switch (f->kind) {
    case FIELD_KIND_STRING:
        free(*(char **)(void *)at);
        *(char **)(void *)at = str_copy(sample_of(path));
        return;
    case FIELD_KIND_INT:
        *(int64_t *)(void *)at = 7;
        return;
    case FIELD_KIND_BOOL:
        *(bool *)at = true;
        return;
    case FIELD_KIND_ENUM:
        *(int *)(void *)at = 1;
        return;
    case FIELD_KIND_STRINGS: {
        char **list = mem_alloc(1, sizeof(*list));
        list[0] = str_copy(sample_of(path));
        *(char ***)(void *)at = list;
        *(size_t *)(void *)((char *)record + f->count_offset) = 1;
        return;
    }
    case FIELD_KIND_BYTES:
    case FIELD_KIND_RECORD:
    case FIELD_KIND_LIST:
        break;
    }
    fail_msg("%s: a kind of field this test does not know", path);
}

/* An element of a list, so that its fields can be set. */
static void *add_element(const struct field *f, void *record)
{
    char *at = (char *)record + f->offset;
    void *element = mem_alloc(1, f->type->size);
    *(void **)(void *)at = element;
    *(size_t *)(void *)((char *)record + f->count_offset) = 1;
    return element;
}

/* Where the walk is: the records on the way to a field. */
struct way {
    const struct field *fields[4];
    size_t n;
};

/* The record of @spec that holds the last field of @way; lists on the way get an element. */
static void *descend(struct spec *spec, const struct way *way)
{
    void *record = &spec->options;
    for (size_t i = 0; i + 1 < way->n; i++) {
        const struct field *f = way->fields[i];
        record = f->kind == FIELD_KIND_LIST ? add_element(f, record) : (char *)record + f->offset;
    }
    return record;
}

static void try_field(const struct way *way, const char *path)
{
    struct spec without = {.image = str_copy("img")}, with = {.image = str_copy("img")};
    const struct field *f = way->fields[way->n - 1];
    descend(&without, way);
    void *record = descend(&with, way);
    set_companions(&without, path);
    set_companions(&with, path);
    if (strcmp(path, "logging.options.key") == 0) { /* a key that means nothing to compare with */
        free(without.options.logging.options[0].key);
        without.options.logging.options[0].key = str_copy("x");
    }
    set_field(f, record, path);
    cleanup_free char *a = text_of(&without);
    cleanup_free char *b = text_of(&with);
    if (strcmp(a, b) == 0)
        fail_msg("options.%s has no effect on the container", path);
    record_release(&spec_type, &without);
    record_release(&spec_type, &with);
    tried++;
}

static void walk(const struct record_type *type, struct way *way, const char *path)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *f = &type->fields[i];
        cleanup_free char *inner = str_printf("%s%s%s", path, *path ? "." : "", f->name);
        way->fields[way->n++] = f;
        if (f->kind == FIELD_KIND_RECORD || f->kind == FIELD_KIND_LIST)
            walk(f->type, way, inner);
        else
            try_field(way, inner);
        way->n--;
    }
}

static void every_option_has_an_effect(void **state)
{
    (void)state;
    struct way way = {.n = 0};
    tried = 0;
    walk(&container_options_type, &way, "");
    assert_true(tried >= 60);
}

/* --- the rest ----------------------------------------------------------------------------------
 */

static void check_line(const struct spec *spec, const char *line)
{
    cleanup_free char *text = text_of(spec);
    if (!strstr(text, line))
        fail_msg("no \"%s\" in\n%s", line, text);
}

static void fields_of_the_spec_arrive(void **state)
{
    (void)state;
    char *words[] = {S("a"), S("b")};
    struct pair labels[] = {{S("k"), S("v")}};
    struct mount_spec mounts[] = {
        {.kind = MOUNT_BIND, .source = S("/s"), .target = S("/t"), .propagation = S("rslave")}};
    const struct spec spec = {
        .image = S("img"),
        .entrypoint = words,
        .entrypoint_n = 1,
        .entrypoint_set = true,
        .command = words,
        .command_n = 2,
        .command_set = true,
        .environment = words,
        .environment_n = 1,
        .labels = labels,
        .labels_n = 1,
        .user = S("u"),
        .working_dir = S("/w"),
        .stop_signal = S("INT"),
        .read_only = true,
        .mounts = mounts,
        .mounts_n = 1,
        .limits = {.cpu_milli = 1, .memory_bytes = 2, .pids = 3},
        .reservations = {.memory_bytes = 4},
    };
    static const char *const lines[] = {
        "id t42\n",
        "image img\n",
        "hostname web-2\n",
        "netns /run/netns/t42\n",
        "entrypoint a\n",
        "command a\n",
        "command b\n",
        "env a\n",
        "label k=v\n",
        "user u\n",
        "dir /w\n",
        "signal INT\n",
        "read only 1\n",
        "cpu 1\n",
        "memory 2\n",
        "pids 3\n",
        "reserved 4\n",
        "mount /s /t 0 rslave\n",
        "10.192.0.5\tweb-2\n",
        "resolv.conf nameserver 169.254.1.1\noptions ndots:0\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        check_line(&spec, lines[i]);
}

static void a_digest_is_what_runs(void **state)
{
    (void)state;
    const struct spec spec = {.image = S("img:1"), .image_digest = S("img@sha256:1234")};
    check_line(&spec, "image img@sha256:1234\n");
}

static void names_are_what_is_given(void **state)
{
    (void)state;
    char *dns[] = {S("10.0.0.53")}, *search[] = {S("a.example"), S("b.example")};
    char *opt[] = {S("ndots:2"), S("timeout:1")};
    char *extra[] = {S("db 10.0.0.1"), S("six 2001:db8::1"), S("node host-gateway")};
    struct spec spec = {.image = S("img"),
                        .hostname = S("box"),
                        .options = {.domainname = S("corp.example"),
                                    .dns = dns,
                                    .dns_n = 1,
                                    .dns_search = search,
                                    .dns_search_n = 2,
                                    .dns_opt = opt,
                                    .dns_opt_n = 2,
                                    .extra_hosts = extra,
                                    .extra_hosts_n = 3}};
    check_line(&spec, "resolv.conf nameserver 169.254.1.1\nsearch a.example b.example\n"
                      "options ndots:2 timeout:1\n\n");
    check_line(&spec, "10.192.0.5\tbox.corp.example box\n10.0.0.1\tdb\n2001:db8::1\tsix\n"
                      "192.0.2.7\tnode\n");
    /* On the machine's own network there is no resolver of ours. */
    spec.options.network_host = true;
    check_line(&spec, "resolv.conf nameserver 10.0.0.53\nsearch a.example b.example\n"
                      "options ndots:2 timeout:1\n\n");
    spec.options = (struct container_options){.network_host = true};
    cleanup_free char *text = text_of(&spec);
    assert_null(strstr(text, "resolv.conf"));
    assert_null(strstr(text, "netns"));
}

static void volumes_are_where_this_machine_has_them(void **state)
{
    (void)state;
    struct mount_spec mounts[] = {
        {.kind = MOUNT_VOLUME, .source = S("app_data"), .target = S("/d")},
        {.kind = MOUNT_BIND, .source = S("/srv"), .target = S("/b")}};
    struct spec spec = {.image = S("img"), .mounts = mounts, .mounts_n = 2};
    char *sources[] = {S("/var/lib/v"), NULL};
    struct container_plan plan;
    container_plan_init(&plan,
                        &(struct container_of){
                            .spec = &spec, .id = "t1", .hostname = "h", .mount_sources = sources});
    assert_string_equal(plan.spec.mounts[0].source, "/var/lib/v");
    assert_string_equal(plan.spec.mounts[1].source, "/srv");
    assert_null(plan.spec.cap_add);
    assert_null(plan.spec.entrypoint);
    container_plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_has_an_effect),
        cmocka_unit_test(fields_of_the_spec_arrive),
        cmocka_unit_test(a_digest_is_what_runs),
        cmocka_unit_test(names_are_what_is_given),
        cmocka_unit_test(volumes_are_where_this_machine_has_them),
    };
    return cmocka_run_group_tests_name("container_of", tests, NULL, NULL);
}
