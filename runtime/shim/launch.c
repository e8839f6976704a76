/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

/* Enter the cgroup2 group whose cgroup.procs is @path, so that what the OCI runtime starts is born
 * there even if the runtime itself only manages the version 1 hierarchies. */
static int join_group(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rv = write(fd, "0", 1) < 0 ? -errno : 0;
    close(fd);
    return rv;
}

/* A private view of the mounts: a run's root is attached in it, and gone from it with the OCI
 * runtime. Only the container's own namespace keeps it, so nothing is left to unmount. */
static int private_mounts(const struct shim *shim, const char **ret_what)
{
    *ret_what = "make a mount namespace";
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return -errno;
    *ret_what = "unmount the cgroup2 hierarchy";
    if (*shim->hide && umount2(shim->hide, MNT_DETACH) < 0 && errno != EINVAL)
        return -errno;
    if (shim->exec)
        return 0;
    *ret_what = "attach the root file system";
    char rootfs[SHIM_PATH_MAX];
    /* By its path: a descriptor would lead to the mounts of the namespace we came from. */
    snprintf(rootfs, sizeof(rootfs), "%s/" SHIM_DIR_ROOTFS, shim->argv[SHIM_ARG_STATE_DIR]);
    if (syscall(SYS_move_mount, SHIM_FD_ROOTFS, "", AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

static void reset_signals(void)
{
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_oci(struct shim *shim, int in_fd, int out_fd, int err_fd)
{
    /* An OCI runtime whose shim was killed must not go on and make an orphan. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* A command and what it starts are a process group by which they can be ended. */
    if (shim->exec)
        setsid();
    const char *what = "enter the cgroup2 group";
    int rv = *shim->join ? join_group(shim->join) : 0;
    if (rv == 0)
        rv = private_mounts(shim, &what);
    if (rv == 0) {
        what = "set up stdio";
        if (dup2(in_fd, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
            dup2(err_fd, STDERR_FILENO) < 0)
            rv = -errno;
    }
    if (rv == 0) {
        reset_signals();
        what = shim->oci_argv[0];
        execv(shim->oci_argv[0], shim->oci_argv);
        rv = -errno;
    }
    shim_say_failed(shim, what, -rv);
    _exit(SHIM_EXIT_START_FAILED);
}

int shim_launch(struct shim *shim, int in_fd, int out_fd, int err_fd)
{
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        run_oci(shim, in_fd, out_fd, err_fd);
    shim->oci = pid;
    return 0;
}
