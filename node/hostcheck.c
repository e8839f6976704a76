/* SPDX-License-Identifier: Apache-2.0 */
#include "node/hostcheck.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/netip.h"
#include "node/node.h"
#include "node/web.h"
#include "runtime/foreign.h"
#include "runtime/listeners.h"
#include "runtime/netlink.h"
#include "runtime/network.h"
#include "store/model.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KERNEL_MAJOR = 5, /* 5.10: openat2(2), and nftables as we use it */
    KERNEL_MINOR = 10,
    DISK_WARN_MB = 2048,
    FILE_MAX = 1 << 16,
};

#define EXAMPLE 0xc0000201u /* 192.0.2.1 (RFC 5737) */

#define POOL "10.192.0.0/10" /* of networks, unless init is told another */

static void say(struct host_checks *checks, const char *what, const char *result, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));
static void say(struct host_checks *checks, const char *what, const char *result, const char *fmt,
                ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    checks->checks = mem_resize(checks->checks, checks->checks_n + 1, sizeof(*checks->checks));
    checks->checks[checks->checks_n++] = (struct host_check){
        .what = str_copy(what), .result = str_copy(result), .text = str_copy(text)};
}

static const char ok[] = "ok", warning[] = "warning", failed[] = "failed";

/* --- the kernel ---------------------------------------------------------------------------- */

static void check_kernel(struct host_checks *checks)
{
    struct utsname name;
    int major = 0, minor = 0;
    uname(&name);
    sscanf(name.release, "%d.%d", &major, &minor);
    if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
        say(checks, "kernel", ok, "Linux %s, %s", name.release, name.machine);
    else
        say(checks, "kernel", failed, "Linux %s: 5.10 or newer is needed", name.release);
}

static bool has_word(const char *path, const char *word)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct err err;
    if (file_read(path, FILE_MAX, &text, &err) < 0)
        return false;
    buf_putc(&text, '\0');
    char *save = NULL;
    for (char *w = strtok_r(text.data, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save))
        if (strcmp(w, word) == 0)
            return true;
    return false;
}

static void check_overlay(struct host_checks *checks)
{
    if (has_word("/proc/filesystems", "overlay") || system("modprobe -q overlay") == 0)
        say(checks, "overlayfs", ok, "there");
    else
        say(checks, "overlayfs", failed,
            "this kernel has none: images cannot be mounted; load the module overlay");
}

static void check_cgroups(struct host_checks *checks)
{
    static const char *const controllers[] = {"cpu", "memory", "pids"};
    static const char all[] = "/sys/fs/cgroup/cgroup.controllers";
    bool two = access(all, F_OK) == 0;
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
        cleanup_free char *one = str_printf("/sys/fs/cgroup/%s", controllers[i]);
        if (two ? has_word(all, controllers[i]) : access(one, F_OK) == 0)
            continue;
        say(checks, "control groups", failed, "the controller %s is missing: %s", controllers[i],
            strcmp(controllers[i], "memory") == 0
                ? "add 'cgroup_enable=memory cgroup_memory=1' to the kernel's command line (on a "
                  "Raspberry Pi: /boot/cmdline.txt) and boot again"
                : "limits would not hold");
        return;
    }
    say(checks, "control groups", ok, "version %d", two ? 2 : 1);
}

/* In a child with a network namespace of its own: the real thing, with one peer that is not there.
 */
static int try_network(struct err *err)
{
    const struct network_peer peer = {.id = 2, .underlay = {htonl(EXAMPLE + 1)}};
    struct network_state state = {.node_id = 1,
                                  .underlay = {htonl(EXAMPLE)},
                                  .vxlan_port = 4789,
                                  .vxlan_id = 7400,
                                  .peers = &peer,
                                  .peers_n = 1};
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP}, given = {.ifr_name = "lo"},
                 mask = {.ifr_name = "lo"};
    struct sockaddr_in *address = (struct sockaddr_in *)(void *)&given.ifr_addr;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = state.underlay};
    /* So that the peer is on no link of it. */
    struct sockaddr_in *alone = (struct sockaddr_in *)(void *)&mask.ifr_netmask;
    *alone = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {INADDR_BROADCAST}};
    if (unshare(CLONE_NEWNET) < 0)
        return err_set(err, ERR_DENIED, "a network namespace cannot be made");
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &up) < 0 || ioctl(fd, SIOCSIFADDR, &given) < 0 ||
        ioctl(fd, SIOCSIFNETMASK, &mask) < 0)
        return err_set(err, ERR_IO, "set up the loopback device");
    check(netprefix_parse(POOL, &state.pool));
    return network_apply(&state, err);
}

static void check_network(struct host_checks *checks)
{
    struct err err = {0};
    int fds[2], status = 1;
    if (pipe(fds) < 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        if (try_network(&err) < 0) {
            ssize_t n = write(fds[1], err.msg, strlen(err.msg));
            _exit(n < 0 ? 2 : 1);
        }
        _exit(0);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], err.msg, sizeof(err.msg) - 1);
    err.msg[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    if (child > 0)
        waitpid(child, &status, 0);
    if (child > 0 && status == 0)
        say(checks, "network", ok, "nftables, VXLAN, routes by rules: tried in a namespace");
    else
        say(checks, "network", failed, "%s: the kernel lacks a part (nf_tables, vxlan)",
            *err.msg ? err.msg : "it was not tried");
}

/* --- programs, disk, time ------------------------------------------------------------------ */

static bool find_program(const char *name, char *out, size_t size)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin",        "/sbin",          "/bin"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        snprintf(out, size, "%s/%s", folders[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

static void check_runtimes(struct host_checks *checks)
{
    char path[64];
    if (find_program("crun", path, sizeof(path)) || find_program("runc", path, sizeof(path)))
        say(checks, "OCI runtime", ok, "%s", path);
    else
        say(checks, "OCI runtime", failed,
            "neither crun nor runc is there: install one ('apt install crun')");
}

static void check_disk(struct host_checks *checks, const char *data_dir)
{
    cleanup_free char *path = str_copy(data_dir);
    struct statvfs disk;
    while (statvfs(path, &disk) < 0 && strrchr(path, '/') && path[1])
        *(strrchr(path, '/') == path ? path + 1 : strrchr(path, '/')) = '\0';
    unsigned long mb = (unsigned long)(disk.f_bavail * disk.f_frsize >> 20);
    if (mb < DISK_WARN_MB)
        say(checks, "disk", warning, "%lu MiB are free at %s: images and logs take some GiB", mb,
            path);
    else
        say(checks, "disk", ok, "%lu GiB are free at %s", mb >> 10, path);
}

static void check_time(struct host_checks *checks)
{
    struct timex t = {0};
    if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
        say(checks, "time", warning,
            "the clock is not kept by anything: certificates and schedules go by it ('apt install "
            "chrony', or systemd-timesyncd)");
    else
        say(checks, "time", ok, "the clock is kept");
}

/* --- this machine among others ------------------------------------------------------------- */

static void check_name(struct host_checks *checks)
{
    char name[256] = "";
    gethostname(name, sizeof(name) - 1);
    if (node_name_is_valid(name) && strcmp(name, "localhost") != 0)
        say(checks, "name", ok, "%s", name);
    else
        say(checks, "name", warning, "'%.100s' is no name for a member: 'wherry node --name NAME'",
            name);
}

static void check_address(struct host_checks *checks)
{
    struct in_addr address;
    struct network_prefix pool;
    struct ifaddrs *list = NULL;
    char text[INET_ADDRSTRLEN];
    struct err err;
    if (network_default_address(&address, &err) < 0)
        say(checks, "address", failed, "%s", err.msg);
    else
        say(checks, "address", ok, "%s", inet_ntop(AF_INET, &address, text, sizeof(text)));
    check(netprefix_parse(POOL, &pool));
    if (getifaddrs(&list) < 0)
        return;
    for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET)
            continue;
        const struct in_addr four =
            ((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
        const struct in6_addr mapped = netip_from4(four);
        if (!netprefix_contains(&pool, &mapped))
            continue;
        say(checks, "addresses of containers", warning,
            "%s has %s, which is in " POOL ": found the cluster with 'wherry init --pool RANGE'",
            a->ifa_name, inet_ntop(AF_INET, &four, text, sizeof(text)));
    }
    freeifaddrs(list);
}

static void check_ports(struct host_checks *checks)
{
    static const struct {
        uint8_t protocol;
        uint16_t port;
        const char *what;
        bool needed;
    } ports[] = {
        {IPPROTO_TCP, 7400, "7400/tcp, for the other members", true},
        {IPPROTO_TCP, 7401, "7401/tcp, for command lines elsewhere", true},
        {IPPROTO_UDP, 4789, "4789/udp, for VXLAN", true},
        {IPPROTO_TCP, 7480, "7480/tcp, for the HTTP API", false},
    };
    struct listener *list = NULL;
    size_t n = 0, free_n = 0;
    struct err err;
    if (listeners_read(&list, &n, &err) < 0) {
        say(checks, "ports", warning, "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        const struct listener *held =
            listeners_find(list, n, ports[i].protocol, ports[i].port, false);
        char holder[LISTENERS_HOLDER] = "";
        if (held)
            listener_holder(held, holder);
        if (!held || strstr(holder, "wherry"))
            free_n++;
        else
            say(checks, "ports", ports[i].needed ? failed : warning, "%s, is held by %s",
                ports[i].what, holder);
    }
    if (free_n == ARRAY_SIZE(ports))
        say(checks, "ports", ok, "7400, 7401, 7480 and 4789/udp are free, or the daemon's");
    free(list);
}

static void check_firewall(struct host_checks *checks)
{
    cleanup_netlink struct netlink *nl = NULL;
    struct foreign foreign;
    struct err err;
    char advice[300] = "";
    if (netlink_open(NETLINK_NETFILTER, &nl, &err) < 0 ||
        foreign_look(nl, true, &foreign, &err) < 0) {
        say(checks, "firewall", warning, "its rules cannot be read: %s", err.msg);
        return;
    }
    foreign_advice(&foreign, advice, sizeof(advice));
    if (*advice)
        say(checks, "firewall", warning, "%s", advice);
    else
        say(checks, "firewall", ok, "nothing drops what containers send%s",
            foreign.four.docker ? "; Docker's rules leave room for it" : "");
}

void hostcheck(const char *data_dir, struct host_checks *ret)
{
    *ret = (struct host_checks){0};
    check_kernel(ret);
    if (geteuid() != 0) {
        say(ret, "rights", failed, "the daemon runs as root, and so does this: sudo");
        return;
    }
    check_overlay(ret);
    check_cgroups(ret);
    check_network(ret);
    check_runtimes(ret);
    check_disk(ret, data_dir ? data_dir : NODE_DATA_DIR);
    check_time(ret);
    check_name(ret);
    check_address(ret);
    check_ports(ret);
    check_firewall(ret);
}
