/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container_record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/internal.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_MAX = 8 << 20,
    TEXT_MAX = 1 << 20, /* of a file's content, an argument or a variable */
    LIST_MAX = 4096,
    MOUNTS_MAX = 512,
    MEMORY_MIN = 6 << 20,
    CPU_MILLI_MIN = 10,
};

/* The plain text fields, by name. */
static const struct {
    const char *name;
    size_t offset;
} texts[] = {
#define TEXT(field)                                                                                \
    {                                                                                              \
#field, offsetof(struct container_spec, field)                                             \
    }
    TEXT(id),          TEXT(image), TEXT(hostname),    TEXT(user),  TEXT(working_dir),
    TEXT(stop_signal), TEXT(netns), TEXT(resolv_conf), TEXT(hosts),
};

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
#define NUMBER(field)                                                                              \
    {                                                                                              \
#field, offsetof(struct container_spec, field)                                             \
    }
    NUMBER(cpu_milli),
    NUMBER(memory_bytes),
    NUMBER(pids_max),
    NUMBER(log_max_bytes),
};

static const struct {
    const char *name;
    size_t offset;
} lists[] = {
#define LIST(field)                                                                                \
    {                                                                                              \
#field, offsetof(struct container_spec, field)                                             \
    }
    LIST(entrypoint),
    LIST(command),
    LIST(env),
};

static void *field_at(const struct container_spec *spec, size_t offset)
{
    return (char *)(uintptr_t)spec + offset;
}

static const char *text_at(const struct container_spec *spec, size_t i)
{
    return *(const char **)field_at(spec, texts[i].offset);
}

static const char *const *list_at(const struct container_spec *spec, size_t i)
{
    return *(const char *const **)field_at(spec, lists[i].offset);
}

static int64_t number_at(const struct container_spec *spec, size_t i)
{
    return *(int64_t *)field_at(spec, numbers[i].offset);
}

bool container_record_id_ok(const char *id)
{
    return id && *id && strlen(id) <= 32 && id[0] != '-' &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(id);
}

int container_record_signal(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
                 {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
                 {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
                 {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
                 {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
                 {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
                 {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
                 {"PWR", SIGPWR},       {"SYS", SIGSYS}};
    if (str_starts(name, "SIG"))
        name += 3;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i].name) == 0)
            return names[i].number;
    }
    int base = 0;
    if (str_starts(name, "RTMIN")) {
        base = SIGRTMIN;
        name += 5;
        if (!*name)
            return base;
        if (*name++ != '+')
            return 0;
    }
    if (!*name || strlen(name) > 2 || strspn(name, "0123456789") != strlen(name))
        return 0;
    int number = base + atoi(name);
    return number <= SIGRTMAX ? number : 0;
}

/* An absolute path without "." or ".." parts. */
static bool path_ok(const char *path)
{
    if (!path || path[0] != '/' || strlen(path) >= 4096 || strpbrk(path, "\n"))
        return false;
    cleanup_free char *copy = str_copy(path);
    for (char *rest = copy, *part; (part = strsep(&rest, "/"));) {
        if (strcmp(part, "..") == 0 || strcmp(part, ".") == 0)
            return false;
    }
    return true;
}

static int check_lists(const struct container_spec *spec, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const char *const *list = list_at(spec, i);
        for (size_t n = 0; list && list[n]; n++) {
            if (n >= LIST_MAX || strlen(list[n]) > TEXT_MAX)
                return err_set(err, ERR_INVALID, "%s: more than %d entries, or one above 1 MiB",
                               lists[i].name, LIST_MAX);
        }
    }
    for (size_t n = 0; spec->env && spec->env[n]; n++) {
        const char *equals = strchr(spec->env[n], '=');
        if (!equals || equals == spec->env[n])
            return err_set(err, ERR_INVALID, "env: '%.60s' is not NAME=VALUE", spec->env[n]);
    }
    return 0;
}

static int check_mounts(const struct container_spec *spec, struct err *err)
{
    if (spec->mounts_n > MOUNTS_MAX)
        return err_set(err, ERR_INVALID, "mounts: more than %d", MOUNTS_MAX);
    for (size_t i = 0; i < spec->mounts_n; i++) {
        const struct container_mount *m = &spec->mounts[i];
        if (!path_ok(m->source))
            return err_set(err, ERR_INVALID, "mounts: source '%s' is not an absolute plain path",
                           str_or_empty(m->source));
        if (!path_ok(m->target) || strcmp(m->target, "/") == 0)
            return err_set(err, ERR_INVALID, "mounts: target '%s' is not an absolute plain path",
                           str_or_empty(m->target));
    }
    return 0;
}

static int check_numbers(const struct container_spec *spec, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (number_at(spec, i) < 0)
            return err_set(err, ERR_INVALID, "%s: %lld is negative", numbers[i].name,
                           (long long)number_at(spec, i));
    }
    if (spec->memory_bytes > 0 && spec->memory_bytes < MEMORY_MIN)
        return err_set(err, ERR_INVALID, "memory_bytes: %lld is below the least of 6 MiB",
                       (long long)spec->memory_bytes);
    if (spec->cpu_milli > 0 && spec->cpu_milli < CPU_MILLI_MIN)
        return err_set(err, ERR_INVALID, "cpu_milli: %lld is below the least of %d",
                       (long long)spec->cpu_milli, CPU_MILLI_MIN);
    return 0;
}

int container_record_check(const struct container_spec *spec, struct err *err)
{
    if (!container_record_id_ok(spec->id))
        return err_set(err, ERR_INVALID, "id: '%s' is not 1 to 32 of a-z, 0-9 and -",
                       str_or_empty(spec->id));
    if (!spec->image)
        return err_set(err, ERR_INVALID, "image: missing");
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (text_at(spec, i) && strlen(text_at(spec, i)) > TEXT_MAX)
            return err_set(err, ERR_INVALID, "%s: above 1 MiB", texts[i].name);
    }
    if (spec->hostname && (strlen(spec->hostname) > 63 || strpbrk(spec->hostname, " \n/")))
        return err_set(err, ERR_INVALID, "hostname: '%.80s' is none", spec->hostname);
    if (spec->working_dir && !path_ok(spec->working_dir))
        return err_set(err, ERR_INVALID, "working_dir: '%s' is not an absolute plain path",
                       spec->working_dir);
    if (spec->netns && !path_ok(spec->netns))
        return err_set(err, ERR_INVALID, "netns: '%s' is not an absolute plain path", spec->netns);
    if (spec->stop_signal && container_record_signal(spec->stop_signal) == 0)
        return err_set(err, ERR_INVALID, "stop_signal: there is no signal '%s'", spec->stop_signal);
    int rv = check_lists(spec, err);
    if (rv == 0)
        rv = check_mounts(spec, err);
    return rv == 0 ? check_numbers(spec, err) : rv;
}

static json_t *list_json(const char *const *list)
{
    json_t *array = json_array();
    for (; *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

int container_record_save(const char *path, const struct container_spec *spec,
                          const char *image_digest, struct err *err)
{
    json_t *json = json_object();
    json_object_set_new(json, "version", json_integer(1));
    json_object_set_new(json, "image_digest", json_string(image_digest));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *text = text_at(spec, i);
        if (text && json_object_set_new(json, texts[i].name, json_string(text)) < 0) {
            json_decref(json);
            return err_set(err, ERR_INVALID, "%s: not valid UTF-8", texts[i].name);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const char *const *list = list_at(spec, i);
        if (!list)
            continue;
        json_t *array = list_json(list);
        size_t n = 0;
        while (list[n])
            n++;
        json_object_set_new(json, lists[i].name, array);
        if (json_array_size(array) != n) {
            json_decref(json);
            return err_set(err, ERR_INVALID, "%s: not valid UTF-8", lists[i].name);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_object_set_new(json, numbers[i].name, json_integer(number_at(spec, i)));
    json_object_set_new(json, "read_only", json_boolean(spec->read_only));
    json_t *mounts = json_array();
    for (size_t i = 0; i < spec->mounts_n; i++)
        json_array_append_new(mounts, json_pack("{s:s, s:s, s:b}", "source", spec->mounts[i].source,
                                                "target", spec->mounts[i].target, "read_only",
                                                spec->mounts[i].read_only));
    bool mounts_ok = json_array_size(mounts) == spec->mounts_n;
    json_object_set_new(json, "mounts", mounts);
    cleanup_free char *text = json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    if (!mounts_ok || !text)
        return err_set(err, ERR_INVALID, "mounts: not valid UTF-8");
    return file_write(path, text, strlen(text), 0600, err);
}

static const char *const *load_list(json_t *array)
{
    if (!json_is_array(array))
        return NULL;
    size_t n = json_array_size(array);
    const char **list = mem_alloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = str_or_empty(json_string_value(json_array_get(array, i)));
    return list;
}

static void load_mounts(json_t *array, struct container_record *record)
{
    size_t n = json_array_size(array);
    struct container_mount *mounts = mem_alloc(n + 1, sizeof(*mounts));
    for (size_t i = 0; i < n; i++) {
        json_t *m = json_array_get(array, i);
        mounts[i].source = json_string_value(json_object_get(m, "source"));
        mounts[i].target = json_string_value(json_object_get(m, "target"));
        mounts[i].read_only = json_is_true(json_object_get(m, "read_only"));
    }
    record->mounts = mounts;
    record->spec.mounts = mounts;
    record->spec.mounts_n = n;
}

int container_record_load(const struct runtime *rt, const char *id,
                          struct container_record *ret_record, struct err *err)
{
    if (!container_record_id_ok(id))
        return err_set(err, ERR_INVALID, "'%s' is no container id", str_or_empty(id));
    cleanup_free char *path = str_printf("%s/containers/%s/spec.json", rt->data_dir, id);
    if (!file_exists(path))
        return err_set(err, ERR_NOTFOUND, "there is no container %s", id);
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read(path, RECORD_MAX, &text, err);
    if (rv < 0)
        return rv;
    json_t *json = json_loadb(text.data, text.len, 0, NULL);
    struct container_record record = {.json = json};
    record.image_digest = json_string_value(json_object_get(json, "image_digest"));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        *(const char **)field_at(&record.spec, texts[i].offset) =
            json_string_value(json_object_get(json, texts[i].name));
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        *(int64_t *)field_at(&record.spec, numbers[i].offset) =
            json_integer_value(json_object_get(json, numbers[i].name));
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const char *const *list = load_list(json_object_get(json, lists[i].name));
        *(const char *const **)field_at(&record.spec, lists[i].offset) = list;
        record.lists[i] = (void *)(uintptr_t)list;
    }
    record.spec.read_only = json_is_true(json_object_get(json, "read_only"));
    load_mounts(json_object_get(json, "mounts"), &record);
    if (json_integer_value(json_object_get(json, "version")) != 1 || !record.image_digest ||
        !str_equal(record.spec.id, id) || container_record_check(&record.spec, err) < 0) {
        container_record_release(&record);
        return err_set(err, ERR_CORRUPT, "%s is damaged; remove the container", path);
    }
    *ret_record = record;
    return 0;
}

void container_record_release(struct container_record *record)
{
    json_decref(record->json);
    for (size_t i = 0; i < ARRAY_SIZE(record->lists); i++)
        free(record->lists[i]);
    free(record->mounts);
    *record = (struct container_record){0};
}
