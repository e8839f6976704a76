/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - start a container: one run of it.
 *
 *     leftovers of the run before go → root mounted, user and folders looked up in it → etc files,
 *     config.json → run file → shim → its answer (state.c says how it is meanwhile)
 *
 * Until the run file is written a failure leaves the container as it was; after that the run has
 * happened and has an exit.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/bundle.h"
#include "runtime/capability.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/device.h"
#include "runtime/exec.h"
#include "runtime/idmap.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/machine.h"
#include "runtime/mount_target.h"
#include "runtime/oci.h"
#include "runtime/process.h"
#include "runtime/rootfs.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_bpf.h"
#include "runtime/shim/protocol.h"
#include "runtime/shim_answer.h"
#include "runtime/snapshot.h"
#include "runtime/userns.h"
#include "runtime/volume_fill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LEFTOVERS_MS = 10000,
    LOG_BYTES_DEFAULT = 10 << 20,
    LOG_BYTES_MIN = 4096,
    LOG_RUNS_KEPT = 5,
    RESOLV_CONF_MAX = 65536,
};

/* One start under way. */
struct start {
    struct runtime *rt;
    const char *id;
    int64_t run;
    const struct oci_runtime *oci;
    struct container_record record;
    struct image image;
    char *data_dir;
    char *state_dir;
    char *rootfs;
    char *group;
    int mount_fd;  /* what the shim attaches at rootfs */
    int root_fd;   /* the container's root: the same, unless it has a user namespace */
    uint32_t base; /* its first id, 0 without one */
};

static void start_release(struct start *s)
{
    container_record_release(&s->record);
    image_release(&s->image);
    free(s->data_dir);
    free(s->state_dir);
    free(s->rootfs);
    free(s->group);
    if (s->root_fd >= 0 && s->root_fd != s->mount_fd)
        close(s->root_fd);
    if (s->mount_fd >= 0)
        close(s->mount_fd);
}

static int check_startable(struct start *s, struct err *err)
{
    struct container_state state;
    int rv = container_state(s->rt, s->id, &state, err);
    if (rv < 0)
        return rv;
    if (state.status == CONTAINER_RUNNING)
        return err_set(err, ERR_BUSY, "container %s already runs", s->id);
    if (s->run <= state.run)
        return err_set(err, ERR_INVALID, "run %lld of container %s: run %lld was before",
                       (long long)s->run, s->id, (long long)state.run);
    if (!container_wait_shim(s->rt, s->id, LEFTOVERS_MS))
        return err_set(err, ERR_BUSY, "the shim of container %s has not ended yet", s->id);
    for (size_t i = 0; i < s->record.spec.mounts_n; i++) {
        if (access(s->record.spec.mounts[i].source, F_OK) < 0)
            return err_errno(err, errno, "mount source %s", s->record.spec.mounts[i].source);
    }
    if (s->record.spec.netns && access(s->record.spec.netns, F_OK) < 0)
        return err_errno(err, errno, "network namespace %s", s->record.spec.netns);
    return 0;
}

static int clear_leftovers(struct start *s, struct err *err)
{
    int rv = cgroup_clear(s->rt, s->group, LEFTOVERS_MS, err);
    if (rv < 0)
        return rv;
    oci_forget(s->rt, s->id);
    exec_sweep(s->rt, s->id);
    if ((rv = file_mkdirs(s->rootfs, 0700, err)) < 0)
        return rv;
    /* Through here the OCI runtime comes as the user namespace's root, and nobody else. */
    if (chmod(s->state_dir, s->record.spec.userns ? 0711 : 0700) < 0)
        return err_errno(err, errno, "set the mode of %s", s->state_dir);
    /* ".pid": runc makes it before it renames it, and fails when a killed one left it. */
    static const char *const stale[] = {SHIM_FILE_PID, "." SHIM_FILE_PID, SHIM_FILE_OCI_LOG,
                                        SHIM_FILE_STARTED};
    for (size_t i = 0; i < ARRAY_SIZE(stale); i++) {
        cleanup_free char *path = str_printf("%s/%s", s->state_dir, stale[i]);
        unlink(path);
    }
    return 0;
}

/* Log files of all but the newest runs go. */
static void prune_logs(struct start *s)
{
    cleanup_free char *path = str_printf("%s/" SHIM_DIR_LOG, s->data_dir);
    int64_t runs[LOG_RUNS_KEPT - 1] = {0}; /* the newest seen, descending */
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        int64_t run = strtoll(e->d_name, NULL, 10);
        for (size_t i = 0; i < ARRAY_SIZE(runs) && run > 0 && run != runs[i]; i++) {
            if (run < runs[i])
                continue;
            memmove(&runs[i + 1], &runs[i], (ARRAY_SIZE(runs) - 1 - i) * sizeof(runs[0]));
            runs[i] = run;
            break;
        }
    }
    rewinddir(dir);
    /* The run that starts now is the last of those kept. */
    for (struct dirent *e; (e = readdir(dir));) {
        int64_t run = strtoll(e->d_name, NULL, 10);
        if (run > 0 && run < runs[ARRAY_SIZE(runs) - 1])
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}

static int write_etc(struct start *s, struct err *err)
{
    const struct container_spec *spec = &s->record.spec;
    cleanup_free char *hostname_path = str_printf("%s/etc/hostname", s->data_dir);
    cleanup_free char *hosts_path = str_printf("%s/etc/hosts", s->data_dir);
    cleanup_free char *resolv_path = str_printf("%s/etc/resolv.conf", s->data_dir);
    cleanup_buf struct buf text = BUF_INIT;
    buf_printf(&text, "%s\n", spec->hostname ? spec->hostname : "localhost");
    int rv = file_write_fast(hostname_path, text.data, text.len, 0644, err);
    buf_reset(&text);
    if (spec->hosts)
        buf_puts(&text, spec->hosts);
    else
        buf_printf(&text, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
    if (!spec->hosts && spec->hostname)
        buf_printf(&text, "127.0.1.1\t%s\n", spec->hostname);
    if (rv == 0)
        rv = file_write_fast(hosts_path, str_or_empty(text.data), text.len, 0644, err);
    buf_reset(&text);
    if (spec->resolv_conf)
        buf_puts(&text, spec->resolv_conf);
    else if (file_read("/etc/resolv.conf", RESOLV_CONF_MAX, &text, NULL) < 0)
        buf_reset(&text);
    if (rv == 0)
        rv = file_write_fast(resolv_path, str_or_empty(text.data), text.len, 0644, err);
    return rv;
}

/* The filter of its system calls, NULL for none, and where it is known already its program. */
static int make_seccomp(const struct start *s, const struct machine *machine, struct bundle *bundle,
                        struct err *err)
{
    const struct container_spec *spec = &s->record.spec;
    uint64_t capabilities;
    struct seccomp_profile *own = NULL;
    if (str_equal(spec->seccomp, "unconfined") || (spec->privileged && !spec->seccomp))
        return 0;
    int rv = capability_set(spec, machine->capabilities, &capabilities, err);
    if (rv == 0 && spec->seccomp)
        rv = seccomp_profile_parse(spec->seccomp, strlen(spec->seccomp), &own, err);
    if (rv < 0)
        return rv;
    const struct seccomp_profile *profile = own              ? own
                                            : s->rt->seccomp ? s->rt->seccomp
                                                             : seccomp_default();
    bundle->seccomp = seccomp_json(profile, capabilities, seccomp_kernel());
    if (!own && str_starts(s->oci->version, "crun "))
        bundle->seccomp_program =
            seccomp_program(s->rt->seccomp_cache, profile, capabilities, seccomp_kernel());
    seccomp_profile_free(own);
    return 0;
}

static int write_config(struct start *s, const struct rootfs_user *user, struct err *err)
{
    struct machine machine;
    struct device_set devices = {0};
    machine_read(s->rt, &machine);
    int rv = device_find(&s->record.spec, &devices, err);
    if (rv < 0)
        return rv;
    cleanup_free char *etc = str_printf("%s/etc", s->data_dir);
    cleanup_free char *init = str_printf("%s/wherry-shim", s->rt->program_dir);
    struct bundle bundle = {
        .spec = &s->record.spec,
        .image = &s->image,
        .user = user,
        .machine = &machine,
        .devices = &devices,
        .rootfs = s->rootfs,
        .etc_dir = etc,
        .init = init,
        .userns_base = s->base,
        .cgroup = s->group,
    };
    cleanup_buf struct buf json = BUF_INIT;
    rv = make_seccomp(s, &machine, &bundle, err);
    if (rv == 0)
        rv = bundle_write(&bundle, &json, err);
    device_set_release(&devices);
    json_decref(bundle.seccomp);
    if (rv < 0)
        return rv;
    cleanup_free char *path = str_printf("%s/config.json", s->state_dir);
    return file_write_fast(path, json.data, json.len, 0600, err);
}

static int mount_root(struct start *s, struct err *err)
{
    const char *const *layers = (const char *const *)s->image.layer_dirs;
    if (!s->record.spec.userns) {
        int rv = snapshot_mount(s->data_dir, layers, s->rootfs, &s->mount_fd, err);
        s->root_fd = s->mount_fd;
        return rv;
    }
    cleanup_free char *init = str_printf("%s/wherry-shim", s->rt->program_dir);
    /* runc, which is not in the shim's namespace for an exec, wants to see the folder. */
    cleanup_free char *root = str_printf("%s/root", s->rootfs);
    int rv = file_mkdirs(root, 0700, err);
    if (rv == 0)
        rv = idmap_base(s->rt, s->id, &s->base, err);
    if (rv == 0 && s->record.spec.netns)
        rv = userns_set_network(&s->record.spec, err);
    struct userns_tree tree = {.spec = &s->record.spec,
                               .data_dir = s->data_dir,
                               .layer_dirs = layers,
                               .init = init,
                               .scratch = s->rootfs,
                               .base = s->base};
    return rv == 0 ? userns_mount(&tree, &s->mount_fd, &s->root_fd, err) : rv;
}

/* In a user namespace the image's owners are others than on the disk. */
static int fill_volumes(struct start *s, struct err *err)
{
    const struct container_spec *spec = &s->record.spec;
    int rv = 0;
    for (size_t i = 0; i < spec->mounts_n && rv == 0 && !spec->userns; i++)
        if (spec->mounts[i].fill)
            rv = volume_fill(s->root_fd, spec->mounts[i].target, spec->mounts[i].source, err);
    return rv;
}

static int prepare(struct start *s, struct err *err)
{
    struct rootfs_user user;
    /* A user namespace's tree has these files in it. */
    int rv = write_etc(s, err);
    if (rv == 0)
        rv = mount_root(s, err);
    if (rv == 0)
        rv = mount_target_check(&s->record.spec, s->root_fd, err);
    if (rv == 0)
        rv = fill_volumes(s, err);
    if (rv < 0)
        return rv;
    const char *who = s->record.spec.user ? s->record.spec.user : str_or_empty(s->image.user);
    if ((rv = rootfs_user(s->root_fd, who, &user, err)) < 0 ||
        (rv = rootfs_groups(s->root_fd, s->record.spec.group_add, &user, err)) < 0 ||
        (rv = rootfs_mkdirs(s->root_fd, bundle_working_dir(&s->record.spec, &s->image), user.uid,
                            user.gid, s->base, err)) < 0 ||
        (rv = write_config(s, &user, err)) < 0 || (rv = oci_note(s->rt, s->id, s->oci, err)) < 0)
        return rv;
    prune_logs(s);
    return 0;
}

/* The arguments of enum shim_arg and the OCI runtime's; the last of those is the container's id. */
static const char **shim_argv(struct start *s, char **oci, char *const owned[6])
{
    size_t n = 0;
    while (oci[n])
        n++;
    const char **argv = mem_alloc(SHIM_ARG_OCI + n + 3, sizeof(*argv));
    argv[SHIM_ARG_PROGRAM] = owned[0];
    argv[SHIM_ARG_ID] = s->id;
    argv[SHIM_ARG_RUN] = owned[1];
    argv[SHIM_ARG_STATE_DIR] = s->state_dir;
    argv[SHIM_ARG_DATA_DIR] = s->data_dir;
    argv[SHIM_ARG_EXITS_DIR] = s->rt->exits_dir;
    argv[SHIM_ARG_LOG] = owned[2];
    argv[SHIM_ARG_OOM_FILE] = str_or_empty(owned[3]);
    argv[SHIM_ARG_HIDE] = str_or_empty(s->oci->hide);
    argv[SHIM_ARG_JOIN] = str_or_empty(owned[4]);
    memcpy(&argv[SHIM_ARG_OCI], oci, n * sizeof(*argv));
    if (s->record.spec.tty) {
        argv[SHIM_ARG_OCI + n - 1] = "--console-socket";
        argv[SHIM_ARG_OCI + n] = SHIM_CONSOLE; /* in the bundle, where both work */
        argv[SHIM_ARG_OCI + n + 1] = oci[n - 1];
    }
    return argv;
}

/* SHIM_ARG_LOG */
static char *log_argument(const struct container_spec *spec)
{
    int64_t bytes = spec->log_max_bytes, files = spec->log_files;
    bytes = bytes <= 0 ? LOG_BYTES_DEFAULT : bytes < LOG_BYTES_MIN ? LOG_BYTES_MIN : bytes;
    files = files <= 0 ? SHIM_LOG_FILES : files > SHIM_LOG_FILES_MAX ? SHIM_LOG_FILES_MAX : files;
    return str_printf("%lld %lld -%s%s%s", (long long)bytes, (long long)files, spec->tty ? "t" : "",
                      spec->stdin_open ? "i" : "", spec->log_none ? "n" : "");
}

static int launch(struct start *s, int status_fd, struct err *err)
{
    cleanup_free char *program = str_printf("%s/wherry-shim", s->rt->program_dir);
    cleanup_free char *run = str_printf("%lld", (long long)s->run);
    cleanup_free char *log = log_argument(&s->record.spec);
    const char *oom_name = s->rt->cgroup_mode == CGROUP_V2 ? "memory.events" : "memory.oom_control";
    cleanup_free char *oom = cgroup_file(s->rt, "memory", s->group, oom_name);
    cleanup_free char *join = NULL;
    if (s->oci->hide)
        join = str_printf("%s%s/cgroup.procs", s->oci->hide, s->group);
    char *const owned[6] = {program, run, log, oom, join};
    cleanup_free char *shims = str_printf("%s/shim", s->rt->cgroup_parent);
    cleanup_free char *groups =
        join ? str_copy(s->group) : str_printf("%s/container", s->rt->cgroup_parent);
    int rv = cgroup_make(s->rt, shims, err);
    if (rv == 0)
        rv = cgroup_make(s->rt, groups, err);
    if (rv < 0)
        return rv;
    int join_fds[CGROUP_MOUNTS_MAX];
    size_t join_n = cgroup_open_procs(s->rt, shims, join_fds);
    char **oci = s->oci->ops->run_argv(s->rt, s->oci, s->id, s->state_dir);
    const char **argv = shim_argv(s, oci, owned);
    const int keep[] = {status_fd, s->mount_fd};
    struct process p = {.argv = argv,
                        .out_fd = -1,
                        .keep_fds = keep,
                        .keep_n = ARRAY_SIZE(keep),
                        .join_fds = join_fds,
                        .join_n = join_n};
    rv = process_start(&p, 1, err);
    for (size_t i = 0; i < join_n; i++)
        close(join_fds[i]);
    free(argv);
    image_strings_free(oci);
    return rv;
}

/* A run whose shim could not say so itself has ended too. */
static void record_failure(struct start *s)
{
    struct container_state state;
    if (container_state(s->rt, s->id, &state, NULL) == 0 && state.run == s->run &&
        state.status == CONTAINER_SHIM_LOST) {
        cleanup_free char *path = str_printf("%s/" SHIM_FILE_EXIT, s->state_dir);
        cleanup_free char *text =
            str_printf("%lld %d 0 %lld\n", (long long)s->run, (int)SHIM_EXIT_START_FAILED,
                       (long long)clock_wall_ms());
        file_write_fast(path, text, strlen(text), 0600, NULL);
    }
    cgroup_clear(s->rt, s->group, LEFTOVERS_MS, NULL);
    oci_forget(s->rt, s->id);
}

static int start_run(struct start *s, struct err *err)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_errno(err, errno, "make a pipe");
    cleanup_close int answer = pipes[0];
    cleanup_free char *path = str_printf("%s/run", s->state_dir);
    cleanup_free char *text = str_printf("%lld %s\n", (long long)s->run, s->rt->boot_id);
    int starting = container_begin_start(s->rt, s->id, err);
    int rv = starting < 0 ? starting : file_write_fast(path, text, strlen(text), 0600, err);
    if (rv < 0) {
        if (starting >= 0)
            container_end_start(starting);
        close(pipes[1]);
        return rv;
    }
    rv = launch(s, pipes[1], err);
    close(pipes[1]);
    cleanup_free char *log = str_printf("%s/" SHIM_FILE_OCI_LOG, s->state_dir);
    if (rv == 0)
        rv = shim_answer_read(answer, log, err);
    container_end_start(starting);
    if (rv < 0)
        record_failure(s);
    return rv;
}

int container_start(struct runtime *rt, const char *id, int64_t run, struct err *err)
{
    struct start s = {.rt = rt, .id = id, .run = run, .mount_fd = -1, .root_fd = -1};
    int rv = container_record_load(rt, id, &s.record, err);
    if (rv < 0)
        return rv;
    s.data_dir = container_data_dir(rt, id);
    s.state_dir = container_state_dir(rt, id);
    s.rootfs = str_printf("%s/" SHIM_DIR_ROOTFS, s.state_dir);
    s.group = container_group(rt, id);
    if ((rv = check_startable(&s, err)) == 0 &&
        (rv = image_find(rt, s.record.image_digest, &s.image, err)) == 0 &&
        (rv = oci_find(rt, s.record.spec.oci_runtime, &s.oci, err)) == 0 &&
        (rv = clear_leftovers(&s, err)) == 0 && (rv = prepare(&s, err)) == 0)
        rv = start_run(&s, err);
    if (rv < 0)
        err_wrap(err, "start container %s", id);
    start_release(&s);
    return rv;
}

int container_set_deadline(struct runtime *rt, const char *id, int64_t boot_ms, struct err *err)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/" SHIM_FILE_DEADLINE, dir);
    char text[24];
    if (boot_ms == 0) {
        if (unlink(path) < 0 && errno != ENOENT)
            return err_errno(err, errno, "remove %s", path);
        return 0;
    }
    int rv = file_mkdirs(dir, 0700, err);
    if (rv < 0)
        return rv;
    int len = snprintf(text, sizeof(text), "%lld\n", (long long)boot_ms);
    return file_write_fast(path, text, (size_t)len, 0600, err);
}
