/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/container_record.h"
#include "runtime/exec_process.h"
#include "runtime/image.h"
#include "runtime/internal.h"
#include "runtime/oci.h"
#include "runtime/process.h"
#include "runtime/shim/protocol.h"
#include "runtime/shim_answer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OWNER_FILE   "owner"
#define PROCESS_FILE "process.json"

bool exec_name_ok(const char *name)
{
    return name && strlen(name) == EXEC_NAME_LEN &&
           strspn(name, "0123456789abcdef") == EXEC_NAME_LEN;
}

char *exec_dir(const struct runtime *rt, const char *id, const char *name)
{
    cleanup_free char *dir = container_state_dir(rt, id);
    return str_printf("%s/" SHIM_DIR_EXEC "/%s", dir, name);
}

char *exec_owner(const struct runtime *rt, const char *id, const char *name)
{
    if (!container_record_id_ok(id) || !exec_name_ok(name))
        return NULL;
    cleanup_free char *dir = exec_dir(rt, id, name);
    cleanup_free char *path = str_printf("%s/" OWNER_FILE, dir);
    cleanup_buf struct buf text = BUF_INIT;
    if (file_read(path, 256, &text, NULL) < 0)
        return NULL;
    return buf_take(&text);
}

/* --- leftovers ---------------------------------------------------------------------------------
 */

static bool has_shim(const char *dir)
{
    cleanup_free char *path = str_printf("%s/" SHIM_FILE_LOCK, dir);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* A command whose shim was killed has nobody to read what it writes. The number in its file may be
 * another's by now: what is not in the container's group, or in the session of its first process,
 * is left alone. */
static void end_orphan(struct runtime *rt, const char *id, const char *dir)
{
    cleanup_free char *path = str_printf("%s/" SHIM_FILE_PID, dir);
    cleanup_free char *group = container_group(rt, id);
    cleanup_buf struct buf text = BUF_INIT;
    struct container_state state;
    if (file_read(path, 64, &text, NULL) < 0 || container_state(rt, id, &state, NULL) < 0)
        return;
    pid_t pid = (pid_t)atoi(text.data);
    pid_t session = pid > 0 ? getsid(pid) : -1;
    if (session > 0 && (state.pid == 0 || session != getsid(state.pid)))
        cgroup_kill(rt, group, session);
}

/* A folder that is being made has no shim yet: it is left alone for a while. */
static bool is_young(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && time(NULL) - st.st_mtime < 2 * SHIM_START_MAX_MS / 1000;
}

/* Removes what is left over; returns how many are alive. */
static int sweep(struct runtime *rt, const char *id)
{
    cleanup_free char *state = container_state_dir(rt, id);
    cleanup_free char *path = str_printf("%s/" SHIM_DIR_EXEC, state);
    DIR *dir = opendir(path);
    int alive = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (!exec_name_ok(e->d_name))
            continue;
        cleanup_free char *one = exec_dir(rt, id, e->d_name);
        cleanup_free char *started = str_printf("%s/" SHIM_FILE_PID, one);
        if (has_shim(one) || (!file_exists(started) && is_young(one))) {
            alive++;
            continue;
        }
        end_orphan(rt, id, one);
        file_remove_tree(one, NULL);
    }
    if (dir)
        closedir(dir);
    return alive;
}

void exec_sweep(struct runtime *rt, const char *id)
{
    if (container_record_id_ok(id))
        sweep(rt, id);
}

/* --- the start ---------------------------------------------------------------------------------
 */

static int make_dir(const struct runtime *rt, const char *id, const char *name, char **ret_dir,
                    struct err *err)
{
    cleanup_free char *dir = exec_dir(rt, id, name);
    cleanup_free char *parent = str_copy(dir);
    *strrchr(parent, '/') = '\0';
    if (mkdir(parent, 0700) < 0 && errno != EEXIST)
        return err_errno(err, errno, "make folder %s", parent);
    if (mkdir(dir, 0700) < 0)
        return err_errno(err, errno, "make folder %s", dir);
    *ret_dir = steal(&dir);
    return 0;
}

static void insert(char ***argv, size_t at, const char *word)
{
    size_t n = 0;
    while ((*argv)[n])
        n++;
    *argv = mem_resize(*argv, n + 2, sizeof(char *));
    memmove(&(*argv)[at + 1], &(*argv)[at], (n - at + 1) * sizeof(char *));
    (*argv)[at] = str_copy(word);
}

/* The OCI runtime's command line: as for a health check, but the process is in a file, and it is
 * left to the shim. */
static char **oci_argv(struct runtime *rt, const char *id, const char *dir, bool tty)
{
    static const char *const none[] = {NULL};
    cleanup_free char *pid_file = str_printf("%s/" SHIM_FILE_PID, dir);
    cleanup_free char *process = str_printf("%s/" PROCESS_FILE, dir);
    cleanup_free char *log = str_printf("%s/" SHIM_FILE_OCI_LOG, dir);
    char **argv = oci_exec_argv(rt, id, pid_file, none);
    size_t at = 0;
    while (argv[at] && strcmp(argv[at], "exec") != 0)
        at++;
    check(argv[at]);
    const char *const before[] = {"--log", log, "--log-format", "json"};
    const char *const after[] = {"--detach", "--process", process, "--console-socket",
                                 SHIM_CONSOLE};
    for (size_t i = 0; i < ARRAY_SIZE(before); i++)
        insert(&argv, at++, before[i]);
    for (size_t i = 0; i < (tty ? ARRAY_SIZE(after) : 3); i++)
        insert(&argv, ++at, after[i]);
    return argv;
}

static const char **shim_argv(char *const head[SHIM_EXEC_OCI], char **oci)
{
    size_t n = 0;
    while (oci[n])
        n++;
    const char **argv = mem_alloc(SHIM_EXEC_OCI + n + 1, sizeof(*argv));
    memcpy(argv, head, SHIM_EXEC_OCI * sizeof(*argv));
    memcpy(&argv[SHIM_EXEC_OCI], oci, n * sizeof(*argv));
    return argv;
}

static int launch(struct runtime *rt, const char *id, const char *dir, const struct exec_spec *spec,
                  int status_fd, struct err *err)
{
    const struct oci_runtime *runs = oci_of(rt, id);
    cleanup_free char *program = str_printf("%s/wherry-shim", rt->program_dir);
    cleanup_free char *shims = str_printf("%s/shim", rt->cgroup_parent);
    cleanup_free char *group = container_group(rt, id);
    cleanup_free char *join =
        runs->hide ? str_printf("%s%s/cgroup.procs", runs->hide, group) : str_copy("");
    char flags[] = {'-', spec->tty ? SHIM_FLAG_TTY : '-', spec->stdin_open ? SHIM_FLAG_INPUT : '-',
                    '\0'};
    cleanup_free char *hide = str_copy(str_or_empty(runs->hide));
    char *const head[SHIM_EXEC_OCI] = {
        program, (char[]){SHIM_MODE_EXEC}, (char[]){"--"}, (char *)(uintptr_t)dir, flags, hide,
        join};
    int join_fds[CGROUP_MOUNTS_MAX];
    size_t join_n = cgroup_open_procs(rt, shims, join_fds);
    char **oci = oci_argv(rt, id, dir, spec->tty);
    const char **argv = shim_argv(head, oci);
    struct process p = {.argv = argv,
                        .out_fd = -1,
                        .keep_fds = &status_fd,
                        .keep_n = 1,
                        .join_fds = join_fds,
                        .join_n = join_n};
    int rv = process_start(&p, 1, err);
    for (size_t i = 0; i < join_n; i++)
        close(join_fds[i]);
    free(argv);
    image_strings_free(oci);
    return rv;
}

static int start_shim(struct runtime *rt, const char *id, const char *dir,
                      const struct exec_spec *spec, struct err *err)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return err_errno(err, errno, "make a pipe");
    cleanup_close int answer = pipes[0];
    int rv = launch(rt, id, dir, spec, pipes[1], err);
    close(pipes[1]);
    cleanup_free char *log = str_printf("%s/" SHIM_FILE_OCI_LOG, dir);
    return rv < 0 ? rv : shim_answer_read(answer, log, err);
}

/* "crun: executable file `foo` not found in $PATH: No such file or directory" and the like. */
int exec_start(struct runtime *rt, const char *id, const char *name, const struct exec_spec *spec,
               struct err *err)
{
    struct container_state state;
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    if (!spec->argv || !spec->argv[0] || !*spec->argv[0])
        return err_set(err, ERR_INVALID, "no command was given");
    if (state.status != CONTAINER_RUNNING || state.pid == 0)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    if (state.paused)
        return err_set(err, ERR_BUSY, "container %s is paused: resume it first", id);
    check(exec_name_ok(name));
    if (sweep(rt, id) >= EXECS_MAX)
        return err_set(err, ERR_BUSY, "%d commands run in container %s already", EXECS_MAX, id);
    cleanup_free char *state_dir = container_state_dir(rt, id);
    cleanup_free char *config = str_printf("%s/config.json", state_dir);
    cleanup_buf struct buf json = BUF_INIT;
    if ((rv = exec_process_json(config, spec, state.pid, &json, err)) < 0)
        return rv;
    cleanup_free char *dir = NULL;
    if ((rv = make_dir(rt, id, name, &dir, err)) < 0)
        return rv;
    cleanup_free char *process = str_printf("%s/" PROCESS_FILE, dir);
    cleanup_free char *owner = str_printf("%s/" OWNER_FILE, dir);
    const char *who = str_or_empty(spec->owner);
    if ((rv = file_write_fast(process, json.data, json.len, 0600, err)) == 0 &&
        (rv = file_write_fast(owner, who, strlen(who), 0600, err)) == 0)
        rv = start_shim(rt, id, dir, spec, err);
    if (rv < 0)
        file_remove_tree(dir, NULL);
    return rv;
}
