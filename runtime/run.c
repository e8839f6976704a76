/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - start a container: one run of it.
 *
 *     leftovers of the run before go → root mounted, user and folders looked up in it → etc files,
 *     config.json → run file → shim → its answer
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
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/oci.h"
#include "runtime/process.h"
#include "runtime/rootfs.h"
#include "runtime/shim/protocol.h"
#include "runtime/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 1024,
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
    struct container_record record;
    struct image image;
    char *data_dir;
    char *state_dir;
    char *rootfs;
    char *group;
    int root_fd;
};

static void start_release(struct start *s)
{
    container_record_release(&s->record);
    image_release(&s->image);
    free(s->data_dir);
    free(s->state_dir);
    free(s->rootfs);
    free(s->group);
    if (s->root_fd >= 0)
        close(s->root_fd);
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
    if ((rv = file_mkdirs(s->rootfs, 0700, err)) < 0)
        return rv;
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

static bool has_swap_limit(const struct start *s)
{
    cleanup_free char *v1 =
        cgroup_file(s->rt, "memory", s->rt->cgroup_parent, "memory.memsw.limit_in_bytes");
    cleanup_free char *v2 = cgroup_file(s->rt, "memory", s->rt->cgroup_parent, "memory.swap.max");
    return (v1 && file_exists(v1)) || (v2 && file_exists(v2));
}

static int own_oom_score(void)
{
    cleanup_buf struct buf text = BUF_INIT;
    int own = file_read("/proc/self/oom_score_adj", 32, &text, NULL) == 0 ? atoi(text.data) : 0;
    return own > 0 ? own : 0;
}

static int write_config(struct start *s, const struct rootfs_user *user, struct err *err)
{
    struct rlimit nofile = {0};
    getrlimit(RLIMIT_NOFILE, &nofile);
    cleanup_free char *etc = str_printf("%s/etc", s->data_dir);
    struct bundle bundle = {
        .spec = &s->record.spec,
        .image = &s->image,
        .user = user,
        .rootfs = s->rootfs,
        .etc_dir = etc,
        .cgroup = s->group,
        .cgroup_v2 = s->rt->cgroup_mode == CGROUP_V2,
        .has_memory = cgroup_has(s->rt, "memory"),
        .has_swap = has_swap_limit(s),
        .has_cpu = cgroup_has(s->rt, "cpu"),
        .has_pids = cgroup_has(s->rt, "pids"),
        .nofile_hard = nofile.rlim_max > INT64_MAX ? INT64_MAX : (int64_t)nofile.rlim_max,
        .oom_score_adj = own_oom_score(),
    };
    cleanup_buf struct buf json = BUF_INIT;
    int rv = bundle_write(&bundle, &json, err);
    if (rv < 0)
        return rv;
    cleanup_free char *path = str_printf("%s/config.json", s->state_dir);
    return file_write_fast(path, json.data, json.len, 0600, err);
}

static int prepare(struct start *s, struct err *err)
{
    struct rootfs_user user;
    int rv = snapshot_mount(s->data_dir, (const char *const *)s->image.layer_dirs, s->rootfs,
                            &s->root_fd, err);
    if (rv < 0)
        return rv;
    const char *who = s->record.spec.user ? s->record.spec.user : str_or_empty(s->image.user);
    if ((rv = rootfs_user(s->root_fd, who, &user, err)) < 0 ||
        (rv = rootfs_mkdirs(s->root_fd, bundle_working_dir(&s->record.spec, &s->image), user.uid,
                            user.gid, err)) < 0 ||
        (rv = write_etc(s, err)) < 0 || (rv = write_config(s, &user, err)) < 0)
        return rv;
    prune_logs(s);
    return 0;
}

/* What the shim said, or that it said nothing. */
static int read_answer(struct start *s, int fd, struct err *err)
{
    cleanup_buf struct buf answer = BUF_INIT;
    int64_t deadline = clock_boot_ms() + SHIM_START_MAX_MS + LEFTOVERS_MS;
    for (;;) {
        int64_t left = deadline - clock_boot_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left <= 0)
            return err_set(err, ERR_TIMEOUT, "the shim of container %s does not answer", s->id);
        if (poll(&poll_fd, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, buf_reserve(&answer, 256), 256);
        if (n == 0)
            break;
        if (n > 0 && answer.len < ANSWER_MAX)
            answer.len += (size_t)n;
    }
    buf_append(&answer, "", 0);
    answer.data[strcspn(answer.data, "\n")] = '\0';
    if (answer.data[0] == 'S')
        return 0;
    if (answer.data[0] != 'F')
        return err_set(err, ERR_FAILED, "the shim was killed while it started container %s", s->id);
    if (answer.len > 2 && answer.data[1] == ' ' && answer.data[2])
        return err_set(err, ERR_FAILED, "%s", answer.data + 2);
    cleanup_free char *log = str_printf("%s/" SHIM_FILE_OCI_LOG, s->state_dir);
    return oci_log_error(log, "the OCI runtime failed; the container's log may say why", err);
}

/* The arguments of enum shim_arg and the OCI runtime's. */
static const char **shim_argv(struct start *s, char **oci, char *const owned[6])
{
    size_t n = 0;
    while (oci[n])
        n++;
    const char **argv = mem_alloc(SHIM_ARG_OCI + n + 1, sizeof(*argv));
    argv[SHIM_ARG_PROGRAM] = owned[0];
    argv[SHIM_ARG_ID] = s->id;
    argv[SHIM_ARG_RUN] = owned[1];
    argv[SHIM_ARG_STATE_DIR] = s->state_dir;
    argv[SHIM_ARG_DATA_DIR] = s->data_dir;
    argv[SHIM_ARG_EXITS_DIR] = s->rt->exits_dir;
    argv[SHIM_ARG_LOG_MAX] = owned[2];
    argv[SHIM_ARG_OOM_FILE] = str_or_empty(owned[3]);
    argv[SHIM_ARG_HIDE] = str_or_empty(s->rt->oci_hide);
    argv[SHIM_ARG_JOIN] = str_or_empty(owned[4]);
    memcpy(&argv[SHIM_ARG_OCI], oci, n * sizeof(*argv));
    return argv;
}

static int launch(struct start *s, int status_fd, struct err *err)
{
    int64_t log_max = s->record.spec.log_max_bytes;
    log_max = log_max == 0 ? LOG_BYTES_DEFAULT : log_max < LOG_BYTES_MIN ? LOG_BYTES_MIN : log_max;
    cleanup_free char *program = str_printf("%s/wherry-shim", s->rt->program_dir);
    cleanup_free char *run = str_printf("%lld", (long long)s->run);
    cleanup_free char *log = str_printf("%lld", (long long)log_max);
    const char *oom_name = s->rt->cgroup_mode == CGROUP_V2 ? "memory.events" : "memory.oom_control";
    cleanup_free char *oom = cgroup_file(s->rt, "memory", s->group, oom_name);
    cleanup_free char *join = NULL;
    if (s->rt->oci_hide)
        join = str_printf("%s%s/cgroup.procs", s->rt->oci_hide, s->group);
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
    char **oci = oci_run_argv(s->rt, s->id, s->state_dir);
    const char **argv = shim_argv(s, oci, owned);
    const int keep[] = {status_fd, s->root_fd};
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
    int rv = file_write_fast(path, text, strlen(text), 0600, err);
    if (rv < 0) {
        close(pipes[1]);
        return rv;
    }
    rv = launch(s, pipes[1], err);
    close(pipes[1]);
    if (rv == 0)
        rv = read_answer(s, answer, err);
    if (rv < 0)
        record_failure(s);
    return rv;
}

int container_start(struct runtime *rt, const char *id, int64_t run, struct err *err)
{
    struct start s = {.rt = rt, .id = id, .run = run, .root_fd = -1};
    int rv = container_record_load(rt, id, &s.record, err);
    if (rv < 0)
        return rv;
    s.data_dir = container_data_dir(rt, id);
    s.state_dir = container_state_dir(rt, id);
    s.rootfs = str_printf("%s/" SHIM_DIR_ROOTFS, s.state_dir);
    s.group = container_group(rt, id);
    if ((rv = check_startable(&s, err)) == 0 &&
        (rv = image_find(rt, s.record.image_digest, &s.image, err)) == 0 &&
        (rv = clear_leftovers(&s, err)) == 0 && (rv = prepare(&s, err)) == 0)
        rv = start_run(&s, err);
    if (rv < 0)
        err_wrap(err, "start container %s", id);
    start_release(&s);
    return rv;
}
