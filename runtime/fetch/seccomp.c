/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp - the system calls that wherry-image is refused once it is confined.
 *
 * A list of what an intruder would want, not of what libc may need: the first holds for years, the
 * second breaks with the next libc. Refused calls give EPERM; clone3 gives ENOSYS, so that libc
 * falls back to clone, whose flags can be looked at.
 */
#include "runtime/fetch/confine.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "seccomp.c: name this processor's audit architecture"
#endif

static const unsigned refused[] = {
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_execve,
    SYS_execveat,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_personality,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_fanotify_init,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_syslog,
    SYS_memfd_secret,
    SYS_lookup_dcookie,
};

#define NAMESPACE_FLAGS                                                                            \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

enum {
    PROGRAM_MAX = 256,
};

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short len;
};

static void emit(struct program *p, unsigned short code, unsigned k, unsigned char yes,
                 unsigned char no)
{
    check(p->len < PROGRAM_MAX);
    p->code[p->len++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}

static void load(struct program *p, size_t offset)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0);
}

static void give(struct program *p, unsigned action)
{
    emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* With the call's number loaded: @action if it is @number. */
static void give_if(struct program *p, long number, unsigned action)
{
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
    give(p, action);
}

/* socket(): the internet's families, and netlink, by which libc sorts addresses. */
static void judge_socket(struct program *p, bool network, unsigned deny)
{
    if (!network) {
        give_if(p, SYS_socket, deny);
        give_if(p, SYS_socketpair, deny);
        return;
    }
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 6);
    load(p, offsetof(struct seccomp_data, args[0]));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 3, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 2, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0);
    give(p, deny);
    give(p, SECCOMP_RET_ALLOW);
}

int confine_system_calls(bool network, struct err *err)
{
    const unsigned deny = SECCOMP_RET_ERRNO | EPERM;
    struct program p = {0};
    load(&p, offsetof(struct seccomp_data, arch));
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
    give(&p, SECCOMP_RET_KILL_PROCESS);
    load(&p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__) /* the x32 numbers are a second door to the same calls */
    emit(&p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1);
    give(&p, deny);
#endif
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        give_if(&p, (long)refused[i], deny);
    give_if(&p, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
    load(&p, offsetof(struct seccomp_data, args[0]));
    emit(&p, BPF_JMP | BPF_JSET | BPF_K, NAMESPACE_FLAGS, 0, 1);
    give(&p, deny);
    give(&p, SECCOMP_RET_ALLOW);
    judge_socket(&p, network, deny);
    give(&p, SECCOMP_RET_ALLOW);
    struct sock_fprog prog = {.len = p.len, .filter = p.code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
        return err_errno(err, errno, "refuse system calls");
    return 0;
}
