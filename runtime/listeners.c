/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/listeners.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/netname.h"

#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATE_CLOSE = 7, /* of a UDP socket that is connected to nobody */
    STATE_LISTEN = 10,
    TABLE_MAX = 16 << 20,
};

struct table {
    const char *name;
    uint8_t protocol;
    unsigned state;
};

static const struct table tables[] = {
    {"tcp", IPPROTO_TCP, STATE_LISTEN},
    {"tcp6", IPPROTO_TCP, STATE_LISTEN},
    {"udp", IPPROTO_UDP, STATE_CLOSE},
    {"udp6", IPPROTO_UDP, STATE_CLOSE},
};

struct found {
    struct listener *list;
    size_t n;
    unsigned first, last; /* ports that the kernel gives out */
};

/* An address in the form of /proc/net: words of 8 digits, each in the machine's byte order. One of
 * IPv6 counts when it stands for IPv4 as well. */
static bool is_ours(const char *address)
{
    static const char mapped[] = "0000000000000000FFFF0000";
    size_t len = strlen(address);
    if (len == 32 && strspn(address, "0") == 32)
        return true;
    if (len == 32 && strncmp(address, mapped, sizeof(mapped) - 1) != 0)
        return false;
    uint32_t word = (uint32_t)strtoul(len == 32 ? address + 24 : address, NULL, 16);
    return (len == 8 || len == 32) && word != netname_gateway().s_addr;
}

static void read_line(struct found *found, const struct table *table, const char *line)
{
    char address[33];
    unsigned port, state;
    uint64_t inode;
    if (sscanf(line,
               " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*x %2x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
               address, &port, &state, &inode) != 4 ||
        state != table->state || port == 0 || !is_ours(address))
        return;
    if (table->protocol == IPPROTO_UDP && port >= found->first && port <= found->last)
        return;
    if ((found->n & (found->n - 1)) == 0)
        found->list = mem_resize(found->list, found->n ? found->n * 2 : 1, sizeof(*found->list));
    found->list[found->n++] = (struct listener){table->protocol, (uint16_t)port, inode};
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
                                      uint16_t port)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].protocol == protocol && list[i].port == port)
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
