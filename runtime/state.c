/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state - how a container is, from what its shim left and holds.
 *
 *     run file of this boot?   exit file of that run?   a lock held?
 *     yes                      yes                      -            EXITED
 *     yes                      no                       yes          RUNNING
 *     yes                      no                       no           SHIM_LOST
 *     no: the durable copy of an exit                                EXITED
 *     no: logs of an earlier boot's runs                             SHIM_LOST
 *     no                                                             CREATED
 *
 * There are two locks: of who starts a run, from before the run file until the shim has answered,
 * and of the shim. The first is looked at first, since the second is taken before it is let go. The
 * shim writes the exit before it lets go of its own, so who finds that free looks for the exit once
 * more.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/freeze.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/shim/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    KILL_WAIT_MS = 10000,
};

#define FILE_STARTING "starting"

static bool is_locked(const struct runtime *rt, const char *id, const char *name)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/%s", dir, name);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool container_has_shim(const struct runtime *rt, const char *id)
{
    return is_locked(rt, id, SHIM_FILE_LOCK);
}

int container_begin_start(const struct runtime *rt, const char *id, struct err *err)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/" FILE_STARTING, dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0)
        return err_errno(err, errno, "open %s", path);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return fd;
    int code = errno == EAGAIN || errno == EACCES
                   ? err_set(err, ERR_BUSY, "container %s is being started already", id)
                   : err_errno(err, errno, "lock %s", path);
    close(fd);
    return code;
}

void container_end_start(int fd)
{
    /* Not by closing it alone: a child that was forked meanwhile has it too, for a moment. */
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_OFD_SETLK, &lock);
    close(fd);
}

bool container_wait_shim(const struct runtime *rt, const char *id, int timeout_ms)
{
    int64_t deadline = clock_boot_ms() + timeout_ms;
    while (container_has_shim(rt, id)) {
        if (clock_boot_ms() > deadline)
            return false;
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
    return true;
}

/* The highest run that has a log file. */
static int64_t last_logged_run(const struct runtime *rt, const char *id)
{
    cleanup_free char *data = container_data_dir(rt, id);
    cleanup_free char *path = str_printf("%s/" SHIM_DIR_LOG, data);
    DIR *dir = opendir(path);
    int64_t last = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        long long run = strtoll(e->d_name, NULL, 10);
        last = run > last ? run : last;
    }
    if (dir)
        closedir(dir);
    return last;
}

/* The run file: "RUN BOOT_ID\n", written before the shim is started. */
static int64_t run_of_this_boot(const struct runtime *rt, const char *id)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/run", dir);
    cleanup_buf struct buf text = BUF_INIT;
    long long run;
    char boot[40];
    if (file_read(path, 256, &text, NULL) < 0 || sscanf(text.data, "%lld %39s", &run, boot) != 2 ||
        strcmp(boot, rt->boot_id) != 0)
        return 0;
    return run;
}

int64_t container_last_run(const struct runtime *rt, const char *id, bool *ret_this_boot)
{
    int64_t run = run_of_this_boot(rt, id);
    *ret_this_boot = run > 0;
    return run > 0 ? run : last_logged_run(rt, id);
}

/* Read an exit file. False if there is none of run @run (0: of any). */
static bool read_exit(const char *dir, int64_t run, struct container_state *state)
{
    cleanup_free char *path = str_printf("%s/" SHIM_FILE_EXIT, dir);
    cleanup_buf struct buf text = BUF_INIT;
    long long exit_run, finished, kills = 0;
    int code, oom;
    /* The last number is missing in what a shim of 0.2.0 wrote. */
    if (file_read(path, 256, &text, NULL) < 0 ||
        sscanf(text.data, "%lld %d %d %lld %lld", &exit_run, &code, &oom, &finished, &kills) < 4 ||
        (run > 0 && exit_run != run))
        return false;
    state->status = CONTAINER_EXITED;
    state->run = exit_run;
    state->exit_code = code;
    state->oom_killed = oom != 0;
    state->oom_kills = kills > oom ? kills : oom;
    state->finished_ms = finished;
    return true;
}

static void read_started(const char *dir, struct container_state *state)
{
    cleanup_free char *path = str_printf("%s/" SHIM_FILE_STARTED, dir);
    cleanup_buf struct buf text = BUF_INIT;
    long long run, started;
    int pid;
    if (file_read(path, 256, &text, NULL) < 0 ||
        sscanf(text.data, "%lld %d %lld", &run, &pid, &started) != 3 || run != state->run)
        return;
    state->pid = (pid_t)pid;
    state->started_ms = started;
}

/* So far, of a run that goes on (memory.txt and cgroup-v2.rst of the kernel: "oom_kill"). */
static int64_t count_oom_kills(const struct runtime *rt, const char *id)
{
    cleanup_free char *group = container_group(rt, id);
    const char *name = rt->cgroup_mode == CGROUP_V2 ? "memory.events" : "memory.oom_control";
    cleanup_free char *path = cgroup_file(rt, "memory", group, name);
    cleanup_buf struct buf text = BUF_INIT;
    if (!path || file_read(path, 4096, &text, NULL) < 0)
        return 0;
    const char *count = strstr(text.data, "oom_kill ");
    return count ? strtoll(count + strlen("oom_kill "), NULL, 10) : 0;
}

static void state_of_earlier_boot(const char *data, int64_t run, struct container_state *state)
{
    if (read_exit(data, 0, state) && state->run >= run)
        return;
    *state = (struct container_state){.status = run > 0 ? CONTAINER_SHIM_LOST : CONTAINER_CREATED,
                                      .run = run};
}

static struct container_state read_state(struct runtime *rt, const char *id)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    cleanup_free char *data = container_data_dir(rt, id);
    struct container_state state = {0};
    bool this_boot;
    int64_t run = container_last_run(rt, id, &this_boot);
    if (!this_boot) {
        state_of_earlier_boot(data, run, &state);
        return state;
    }
    state.run = run;
    bool starting = is_locked(rt, id, FILE_STARTING);
    read_started(dir, &state);
    if (read_exit(dir, run, &state))
        state.pid = 0;
    else if (container_has_shim(rt, id) || starting)
        state.status = CONTAINER_RUNNING;
    else if (!read_exit(dir, run, &state))
        state.status = CONTAINER_SHIM_LOST;
    if (state.status == CONTAINER_RUNNING)
        state.oom_kills = count_oom_kills(rt, id);
    else
        state.pid = 0;
    cleanup_free char *group = container_group(rt, id);
    state.paused = state.status == CONTAINER_RUNNING && freeze_is_on(rt, group);
    return state;
}

static int check_exists(struct runtime *rt, const char *id, struct err *err)
{
    if (!container_record_id_ok(id))
        return err_set(err, ERR_INVALID, "'%s' is no container id", str_or_empty(id));
    cleanup_free char *dir = container_data_dir(rt, id);
    return file_exists(dir) ? 0 : err_set(err, ERR_NOTFOUND, "there is no container %s", id);
}

int container_state(struct runtime *rt, const char *id, struct container_state *ret_state,
                    struct err *err)
{
    int rv = check_exists(rt, id, err);
    if (rv < 0)
        return rv;
    struct container_state state = read_state(rt, id);
    if (state.status == CONTAINER_SHIM_LOST) {
        /* Without its shim a run has no log and no exit status: it must not go on. */
        cleanup_free char *group = container_group(rt, id);
        cgroup_kill(rt, group, 0);
    }
    *ret_state = state;
    return 0;
}

/* The signal that stops it, by its spec, its image, or SIGTERM. */
static int stop_signal(struct runtime *rt, const char *id, int *ret_signal, struct err *err)
{
    cleanup_record struct container_record record = {0};
    int rv = container_record_load(rt, id, &record, err);
    if (rv < 0)
        return rv;
    int number = record.spec.stop_signal ? container_record_signal(record.spec.stop_signal) : 0;
    struct image image = {0};
    if (number == 0 && image_find(rt, record.image_digest, &image, NULL) == 0) {
        number = image.stop_signal && *image.stop_signal
                     ? container_record_signal(image.stop_signal)
                     : 0;
        image_release(&image);
    }
    *ret_signal = number ? number : SIGTERM;
    return 0;
}

int container_signal(struct runtime *rt, const char *id, int number, struct err *err)
{
    int rv = check_exists(rt, id, err);
    bool ends = number == 0 || number == SIGTERM || number == SIGKILL;
    if (rv == 0 && number == 0)
        rv = stop_signal(rt, id, &number, err);
    if (rv < 0)
        return rv;
    struct container_state state = read_state(rt, id);
    if (state.status != CONTAINER_RUNNING || state.pid <= 0)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    /* The shim reaps its process after the exit is written: while the state says running, the
     * number is still the process's own. */
    cleanup_close int fd = (int)syscall(SYS_pidfd_open, state.pid, 0);
    if (fd < 0 || read_state(rt, id).pid != state.pid ||
        syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) < 0) {
        if (fd < 0 || errno == ESRCH || read_state(rt, id).pid != state.pid)
            return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
        return err_errno(err, errno, "signal container %s", id);
    }
    cleanup_free char *group = container_group(rt, id);
    if (ends && state.paused)
        freeze_thaw(rt, group);
    return 0;
}

int container_kill(struct runtime *rt, const char *id, struct err *err)
{
    if (!container_record_id_ok(id))
        return err_set(err, ERR_INVALID, "'%s' is no container id", str_or_empty(id));
    cleanup_free char *group = container_group(rt, id);
    int64_t deadline = clock_boot_ms() + KILL_WAIT_MS;
    for (;;) {
        size_t left = cgroup_kill(rt, group, 0);
        /* On version 1 what is frozen dies only once it is thawed. */
        if (left > 0 && freeze_is_on(rt, group))
            freeze_thaw(rt, group);
        if (left == 0 && read_state(rt, id).status != CONTAINER_RUNNING)
            return 0;
        if (clock_boot_ms() > deadline)
            return err_set(err, ERR_TIMEOUT,
                           "container %s does not end although killed; it may hang in a device or "
                           "network file system",
                           id);
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
}
