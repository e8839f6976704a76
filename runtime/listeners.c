/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/listeners.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/netlink.h"
#include "runtime/netname.h"

#include <dirent.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATE_CLOSE = 7, /* of a UDP socket that is connected to nobody */
    STATE_LISTEN = 10,
    TABLE_MAX = 16 << 20,
};

/* The sockets of one protocol and family. */
struct table {
    const char *name; /* in /proc/net */
    uint8_t family, protocol;
    unsigned state;
};

static const struct table tables[] = {
    {"tcp", AF_INET, IPPROTO_TCP, STATE_LISTEN},
    {"tcp6", AF_INET6, IPPROTO_TCP, STATE_LISTEN},
    {"udp", AF_INET, IPPROTO_UDP, STATE_CLOSE},
    {"udp6", AF_INET6, IPPROTO_UDP, STATE_CLOSE},
};

struct found {
    struct listener *list;
    size_t n;
    unsigned first, last; /* ports that the kernel gives out */
};

/* @address of 4 or 16 bytes; *@ret_six: it stands for IPv6 alone. */
static bool is_ours(uint8_t family, const void *address, bool *ret_six)
{
    struct in6_addr six;
    struct in_addr four;
    *ret_six = false;
    if (family == AF_INET) {
        memcpy(&four, address, sizeof(four));
        return four.s_addr != netname_gateway().s_addr;
    }
    memcpy(&six, address, sizeof(six));
    if (IN6_IS_ADDR_UNSPECIFIED(&six))
        return true;
    *ret_six = !IN6_IS_ADDR_V4MAPPED(&six);
    if (*ret_six)
        return !IN6_IS_ADDR_LOOPBACK(&six);
    memcpy(&four, &six.s6_addr[12], sizeof(four));
    return IN6_IS_ADDR_V4MAPPED(&six) && four.s_addr != netname_gateway().s_addr;
}

static void add(struct found *found, const struct table *table, const void *address, unsigned port,
                uint64_t inode)
{
    bool six;
    if (port == 0 || !is_ours(table->family, address, &six) ||
        (table->protocol == IPPROTO_UDP && port >= found->first && port <= found->last))
        return;
    if ((found->n & (found->n - 1)) == 0)
        found->list = mem_resize(found->list, found->n ? found->n * 2 : 1, sizeof(*found->list));
    found->list[found->n++] = (struct listener){table->protocol, (uint16_t)port, six, inode};
}

/* --- by netlink, which finds those that listen among many that do not (sock_diag(7)) ---------- */

struct dump {
    struct found *found;
    const struct table *table;
    size_t before; /* what was found when it began */
};

static void on_socket(const struct nlmsghdr *msg, void *arg)
{
    const struct dump *dump = arg;
    struct inet_diag_msg info;
    if (!msg) {
        dump->found->n = dump->before;
        return;
    }
    if (mnl_nlmsg_get_payload_len(msg) < sizeof(info))
        return;
    memcpy(&info, mnl_nlmsg_get_payload(msg), sizeof(info));
    if (info.idiag_family == dump->table->family && info.idiag_state == dump->table->state)
        add(dump->found, dump->table, info.id.idiag_src, ntohs(info.id.idiag_sport),
            info.idiag_inode);
}

/* False where the kernel cannot: it has no such module. */
static bool ask_kernel(struct found *found, const struct table *table)
{
    cleanup_netlink struct netlink *nl = NULL;
    struct dump dump = {found, table, found->n};
    struct err err;
    const struct inet_diag_req_v2 request = {.sdiag_family = table->family,
                                             .sdiag_protocol = table->protocol,
                                             .idiag_states = 1U << table->state};
    if (netlink_open(NETLINK_SOCK_DIAG, &nl, &err) < 0)
        return false;
    netlink_dump(nl, SOCK_DIAG_BY_FAMILY, &request, sizeof(request));
    if (netlink_dump_run(nl, on_socket, &dump, &err) == 0)
        return true;
    found->n = dump.before;
    return false;
}

/* --- by the tables of /proc/net, of all sockets (proc_net(5)) ----------------------------------
 */

/* The words of an address, each in the machine's byte order, as 8 digits. */
static bool read_address(const char *text, uint8_t family, uint32_t words[4])
{
    size_t len = strlen(text);
    if (len != (family == AF_INET ? 8U : 32U))
        return false;
    for (size_t i = 0; i < len / 8; i++) {
        char word[9] = {0};
        memcpy(word, text + 8 * i, 8);
        words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    return true;
}

static void read_line(struct found *found, const struct table *table, const char *line)
{
    char address[33];
    uint32_t words[4];
    unsigned port, state;
    uint64_t inode;
    if (sscanf(line,
               " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*x %2x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
               address, &port, &state, &inode) == 4 &&
        state == table->state && read_address(address, table->family, words))
        add(found, table, words, port, inode);
}

static int read_table(struct found *found, const struct table *table, struct err *err)
{
    char path[64];
    cleanup_buf struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/thread-self/net/%s", table->name);
    if (access(path, F_OK) < 0)
        return 0; /* a machine without IPv6 */
    int rc = file_read(path, TABLE_MAX, &text, err);
    char *save = NULL;
    if (rc < 0 || text.len == 0)
        return rc;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        read_line(found, table, line);
    return 0;
}

int listeners_read(struct listener **ret, size_t *ret_n, struct err *err)
{
    struct found found = {0};
    cleanup_buf struct buf range = BUF_INIT;
    int rc = file_read("/proc/sys/net/ipv4/ip_local_port_range", 64, &range, err);
    if (rc == 0 && sscanf(range.len ? range.data : "", "%u %u", &found.first, &found.last) != 2)
        rc = err_set(err, ERR_IO, "ip_local_port_range: not two numbers");
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(tables); i++)
        if (!ask_kernel(&found, &tables[i]))
            rc = read_table(&found, &tables[i], err);
    if (rc < 0) {
        free(found.list);
        return rc;
    }
    *ret = found.list;
    *ret_n = found.n;
    return 0;
}

const struct listener *listeners_find(const struct listener *list, size_t n, uint8_t protocol,
                                      uint16_t port, bool six)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].protocol == protocol && list[i].port == port && list[i].six == six)
            return &list[i];
    return NULL;
}

/* True when the process has a descriptor that leads to @target. */
static bool has_socket(const char *pid, const char *target)
{
    char path[300], link[64];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *e; dir && !found && (e = readdir(dir));) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, target) == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

void listener_holder(const struct listener *listener, char out[LISTENERS_HOLDER])
{
    char target[40];
    DIR *dir = opendir("/proc");
    snprintf(target, sizeof(target), "socket:[%" PRIu64 "]", listener->inode);
    str_fill(out, LISTENERS_HOLDER, "a process");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[300];
        struct err err;
        cleanup_buf struct buf name = BUF_INIT;
        if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_socket(e->d_name, target))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
        if (file_read(path, 64, &name, &err) == 0 && name.len > 0)
            snprintf(out, LISTENERS_HOLDER, "%.16s (pid %.10s)", strtok(name.data, "\n"),
                     e->d_name);
        break;
    }
    if (dir)
        closedir(dir);
}
