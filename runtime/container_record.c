/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container_record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container_check.h"
#include "runtime/internal.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_MAX = 8 << 20,
    VERSION = 1,
};

#define AT(field) .name = #field, .offset = offsetof(struct STRUCT, field)
#define TEXT(field)                                                                                \
    {                                                                                              \
        AT(field), .kind = FIELD_TEXT                                                              \
    }
#define NUMBER(field)                                                                              \
    {                                                                                              \
        AT(field), .kind = FIELD_NUMBER                                                            \
    }
#define SIGNED(field)                                                                              \
    {                                                                                              \
        AT(field), .kind = FIELD_NUMBER, .least = INT64_MIN                                        \
    }
#define FLAG(field)                                                                                \
    {                                                                                              \
        AT(field), .kind = FIELD_FLAG                                                              \
    }
#define LIST(field)                                                                                \
    {                                                                                              \
        AT(field), .kind = FIELD_LIST                                                              \
    }
#define ROWS(field, table)                                                                         \
    {                                                                                              \
        AT(field), .kind = FIELD_ROWS, .fields = (table),                                          \
                   .row_bytes = sizeof(*((struct STRUCT *)0)->field),                              \
                   .n_offset = offsetof(struct STRUCT, field##_n)                                  \
    }

#define STRUCT container_mount
static const struct field mount_fields[] = {TEXT(source),      TEXT(target), FLAG(read_only),
                                            TEXT(propagation), FLAG(fill),   {0}};
#undef STRUCT
#define STRUCT container_tmpfs
static const struct field tmpfs_fields[] = {
    TEXT(target), NUMBER(size_bytes), NUMBER(mode), LIST(options), {0}};
#undef STRUCT
#define STRUCT container_device
static const struct field device_fields[] = {TEXT(source), TEXT(target), TEXT(access), {0}};
#undef STRUCT
#define STRUCT container_ulimit
static const struct field ulimit_fields[] = {TEXT(name), SIGNED(soft), SIGNED(hard), {0}};
#undef STRUCT
#define STRUCT container_io
static const char *const io_kinds[] = {"weight",    "read_bps",   "write_bps",
                                       "read_iops", "write_iops", NULL};
static const struct field io_fields[] = {
    {AT(kind), .kind = FIELD_CHOICE, .words = io_kinds}, TEXT(path), NUMBER(value), {0}};
#undef STRUCT

/* struct container_spec, in its order. Names never change: they are in files. */
#define STRUCT container_spec
static const struct field spec_fields[] = {
    TEXT(id),
    TEXT(image),
    LIST(entrypoint),
    LIST(command),
    LIST(env),
    TEXT(hostname),
    TEXT(user),
    TEXT(working_dir),
    TEXT(stop_signal),
    ROWS(mounts, mount_fields),
    TEXT(netns),
    TEXT(resolv_conf),
    TEXT(hosts),
    NUMBER(cpu_milli),
    NUMBER(memory_bytes),
    NUMBER(pids_max),
    FLAG(read_only),
    NUMBER(log_max_bytes),
    NUMBER(log_files),
    FLAG(log_none),
    TEXT(domainname),
    LIST(group_add),
    ROWS(tmpfs, tmpfs_fields),
    NUMBER(shm_bytes),
    LIST(cap_add),
    LIST(cap_drop),
    FLAG(privileged),
    ROWS(devices, device_fields),
    LIST(device_rules),
    FLAG(no_new_privileges),
    TEXT(seccomp),
    TEXT(apparmor),
    LIST(sysctls),
    ROWS(ulimits, ulimit_fields),
    FLAG(init),
    FLAG(stdin_open),
    FLAG(tty),
    FLAG(pid_host),
    FLAG(ipc_host),
    FLAG(uts_host),
    FLAG(cgroupns_host),
    FLAG(userns),
    SIGNED(memswap_bytes),
    NUMBER(swappiness_set),
    NUMBER(reserved_bytes),
    TEXT(cpuset),
    NUMBER(cpu_shares),
    NUMBER(io_weight),
    ROWS(io, io_fields),
    SIGNED(oom_score_adj),
    FLAG(oom_kill_disable),
    TEXT(oci_runtime),
    NUMBER(storage_bytes),
    LIST(labels),
    LIST(annotations),
    {0},
};

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

int container_record_check(const struct container_spec *spec, struct err *err)
{
    int rv = fields_check(spec_fields, spec, err);
    return rv == 0 ? container_check(spec, err) : rv;
}

int container_record_save(const char *path, const struct container_spec *spec,
                          const char *image_digest, struct err *err)
{
    json_t *json = json_pack("{s:i, s:s}", "version", VERSION, "image_digest", image_digest);
    int rv = fields_save(spec_fields, spec, json, err);
    cleanup_free char *text = rv == 0 ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    return rv == 0 ? file_write(path, text, strlen(text), 0600, err) : rv;
}

int container_record_fields(json_t *json, struct container_spec *spec, struct owned *owned,
                            struct err *err)
{
    return fields_load(spec_fields, json, spec, owned, err);
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
    struct err why = {0};
    rv = container_record_fields(json, &record.spec, &record.owned, &why);
    if (rv == 0)
        rv = container_record_check(&record.spec, &why);
    if (rv == 0 && (json_integer_value(json_object_get(json, "version")) != VERSION ||
                    !record.image_digest || !str_equal(record.spec.id, id)))
        rv = err_set(&why, ERR_CORRUPT, "it is not that of container %s", id);
    if (rv < 0) {
        container_record_release(&record);
        return err_set(err, ERR_CORRUPT, "%s is damaged (%.120s); remove the container", path,
                       why.msg);
    }
    *ret_record = record;
    return 0;
}

void container_record_release(struct container_record *record)
{
    json_decref(record->json);
    owned_release(&record->owned);
    *record = (struct container_record){0};
}
