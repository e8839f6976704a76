/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fetch/confine.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_FREE_FD = 4, /* 0 answers, 1 report, 2 stderr, 3 input */
    RESOLVER_FILE_MAX = 1 << 20,
    OPEN_FILES_MAX = 1024,
};

#define MEMORY_MAX (1ULL << 30)

/* What getaddrinfo reads. */
static const char *const resolver_files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
                                             "/etc/gai.conf"};

static pid_t confined_child;

static void on_terminate(int signal_number)
{
    (void)signal_number;
    kill(confined_child, SIGKILL);
}

/* Wait for the confined child and end as it did; SIGTERM ends it. */
static _Noreturn void end_like(pid_t child)
{
    int status;
    if (chdir("/") < 0) /* keep no mount of the old root busy */
        _exit(1);
    confined_child = child;
    signal(SIGTERM, on_terminate);
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            _exit(1);
    }
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        kill(getpid(), WTERMSIG(status));
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static int enter_namespaces(bool network, struct err *err)
{
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    if (!network)
        flags |= CLONE_NEWNET;
    if (unshare(flags) < 0)
        return err_errno(err, errno, "make namespaces for wherry-image");
    pid_t child = fork();
    if (child < 0)
        return err_errno(err, errno, "fork wherry-image");
    if (child > 0)
        end_like(child);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return err_errno(err, errno, "tie wherry-image to its parent");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, errno, "make mounts private");
    return 0;
}

/* The current folder becomes the root and everything else goes. */
static int pivot_here(struct err *err)
{
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return err_errno(err, errno, "change the root");
    if (umount2(".", MNT_DETACH) < 0)
        return err_errno(err, errno, "leave the old root");
    if (chdir("/") < 0)
        return err_errno(err, errno, "enter the new root");
    return 0;
}

static int root_is_folder(const char *folder, struct err *err)
{
    unsigned long flags = MS_NODEV | MS_NOSUID | MS_NOEXEC;
    if (mount(folder, folder, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, folder, NULL, MS_BIND | MS_REMOUNT | flags, NULL) < 0)
        return err_errno(err, errno, "bind %s", folder);
    if (chdir(folder) < 0)
        return err_errno(err, errno, "enter %s", folder);
    return pivot_here(err);
}

/* Copy the resolver's files below the current folder. */
static int copy_resolver_files(struct err *err)
{
    if (mkdir("etc", 0755) < 0)
        return err_errno(err, errno, "make /etc");
    for (size_t i = 0; i < ARRAY_SIZE(resolver_files); i++) {
        cleanup_buf struct buf content = BUF_INIT;
        struct err ignored;
        if (file_read(resolver_files[i], RESOLVER_FILE_MAX, &content, &ignored) < 0)
            continue; /* the resolver has defaults */
        int rv = file_write_fast(resolver_files[i] + 1, content.data, content.len, 0644, err);
        if (rv < 0)
            return rv;
    }
    return 0;
}

/* A small read-only root with the resolver's files and @folder as /ingest. */
static int root_with_resolver(const char *folder, bool read_only, struct err *err)
{
    cleanup_close int tree = open_tree(AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return err_errno(err, errno, "open %s", folder);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
    if (read_only)
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_errno(err, errno, "restrict %s", folder);
    unsigned long flags = MS_NODEV | MS_NOSUID | MS_NOEXEC;
    if (mount("wherry", folder, "tmpfs", flags, "size=8m,mode=0755") < 0 || chdir(folder) < 0)
        return err_errno(err, errno, "mount a root for wherry-image");
    int rv = copy_resolver_files(err);
    if (rv < 0)
        return rv;
    if (mkdir("ingest", 0700) < 0 ||
        move_mount(tree, "", AT_FDCWD, "ingest", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_errno(err, errno, "mount %s", folder);
    if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
        return err_errno(err, errno, "make the root read-only");
    return pivot_here(err);
}

static int set_limit(int resource, uint64_t value, struct err *err)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return err_errno(err, errno, "read a resource limit");
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return err_errno(err, errno, "set a resource limit");
    return 0;
}

static int set_limits(int64_t max_file_bytes, struct err *err)
{
    int rv = set_limit(RLIMIT_CORE, 0, err);
    if (rv == 0)
        rv = set_limit(RLIMIT_NOFILE, OPEN_FILES_MAX, err);
    if (rv == 0)
        rv = set_limit(RLIMIT_FSIZE, (uint64_t)max_file_bytes, err);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* shadows take terabytes */
    if (rv == 0)
        rv = set_limit(RLIMIT_AS, MEMORY_MAX, err);
#endif
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    return rv;
}

static int drop_capabilities(uint64_t keep, struct err *err)
{
    for (int cap = 0; cap < 64; cap++) {
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return err_errno(err, errno, "drop capability %d", cap);
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted = (uint32_t)(keep >> (32 * i));
    if (syscall(SYS_capset, &header, data) < 0)
        return err_errno(err, errno, "drop capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(err, errno, "set no_new_privs");
    return 0;
}

int confine_enter(const struct confine *c, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return err_errno(err, errno, "tie wherry-image to its parent");
    if (close_range(FIRST_FREE_FD + c->keep_fds, ~0U, 0) < 0)
        return err_errno(err, errno, "close files");
    int rv = enter_namespaces(c->network, err);
    if (rv < 0)
        return rv;
    rv = c->network ? root_with_resolver(c->folder, c->read_only, err)
                    : root_is_folder(c->folder, err);
    if (rv < 0 || (rv = set_limits(c->max_file_bytes, err)) < 0 ||
        (rv = drop_capabilities(c->capabilities, err)) < 0)
        return rv;
    umask(0);
    return confine_system_calls(c->network, err);
}
