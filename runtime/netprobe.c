/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netprobe.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netname.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PACKET_MAX = 65535,
    IP_HEADER = 20, /* of what is sent, which has no options */
};

/* Behind the header of ICMP. Whoever sees our packets could answer in a member's name; it sees the
 * traffic as well. */
struct body {
    unsigned char secret[8];
    uint32_t peer, kind;
};

struct netprobe {
    int tunnel, plain; /* answers to both are read from the first */
    uint16_t id;
    unsigned char secret[8];
    char packet[PACKET_MAX];
};

static int open_socket(struct in_addr from, uint32_t mark, uint32_t icmp_types, int *ret,
                       struct err *err)
{
    const int one = 1, probe = IP_PMTUDISC_PROBE;
    const struct icmp_filter filter = {.data = ~icmp_types};
    const struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = from};
    *ret = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    if (*ret < 0 || setsockopt(*ret, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0 ||
        setsockopt(*ret, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one)) < 0 ||
        setsockopt(*ret, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe)) < 0 ||
        (mark && setsockopt(*ret, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) ||
        bind(*ret, (const struct sockaddr *)&here, sizeof(here)) < 0)
        return err_errno(err, errno, "a socket to ping other members with");
    return 0;
}

int netprobe_open(uint32_t node_id, struct netprobe **ret, struct err *err)
{
    struct netprobe *probe = mem_alloc(1, sizeof(*probe));
    probe->tunnel = probe->plain = -1;
    random_bytes(probe->secret, sizeof(probe->secret));
    random_bytes(&probe->id, sizeof(probe->id));
    struct in_addr from = netname_peer_hop(node_id);
    int rc = open_socket(from, 0, 1U << ICMP_ECHOREPLY, &probe->tunnel, err);
    if (rc == 0)
        rc = open_socket(from, NETNAME_MARK_PLAIN, 0, &probe->plain, err);
    if (rc < 0) {
        netprobe_close(probe);
        return rc;
    }
    *ret = probe;
    return 0;
}

void netprobe_close(struct netprobe *probe)
{
    if (!probe)
        return;
    if (probe->tunnel >= 0)
        close(probe->tunnel);
    if (probe->plain >= 0)
        close(probe->plain);
    free(probe);
}

int netprobe_fd(const struct netprobe *probe)
{
    return probe->tunnel;
}

/* RFC 1071. */
static uint16_t checksum(const char *data, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i += 2) {
        uint16_t word = 0;
        memcpy(&word, data + i, len - i < 2 ? 1 : 2);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

int netprobe_send(struct netprobe *probe, uint32_t peer, enum netprobe_kind kind, uint16_t number,
                  size_t size)
{
    struct icmphdr header = {.type = ICMP_ECHO,
                             .un.echo = {.id = htons(probe->id), .sequence = htons(number)}};
    struct body body = {.peer = peer, .kind = kind};
    size_t least = sizeof(header) + sizeof(body), len = least;
    if (size > IP_HEADER + least)
        len = size - IP_HEADER;
    if (len > PACKET_MAX)
        return ERR_INVALID;
    memcpy(body.secret, probe->secret, sizeof(body.secret));
    memset(probe->packet, 0, len);
    memcpy(probe->packet, &header, sizeof(header));
    memcpy(probe->packet + sizeof(header), &body, sizeof(body));
    header.checksum = checksum(probe->packet, len);
    memcpy(probe->packet, &header, sizeof(header));
    const struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr = netname_peer_hop(peer)};
    int fd = kind == NETPROBE_PLAIN ? probe->plain : probe->tunnel;
    return sendto(fd, probe->packet, len, 0, (const struct sockaddr *)&there, sizeof(there)) < 0
               ? ERR_IO
               : 0;
}

/* Whether @len bytes with their IPv4 header are an answer to ours. */
static bool read_answer(const struct netprobe *probe, size_t len, struct in_addr from,
                        struct netprobe_answer *ret)
{
    struct iphdr ip;
    struct icmphdr header;
    struct body body;
    if (len < sizeof(ip))
        return false;
    memcpy(&ip, probe->packet, sizeof(ip));
    size_t at = (size_t)ip.ihl * 4;
    if (at < sizeof(ip) || at > len || len - at < sizeof(header) + sizeof(body))
        return false;
    memcpy(&header, probe->packet + at, sizeof(header));
    memcpy(&body, probe->packet + at + sizeof(header), sizeof(body));
    *ret = (struct netprobe_answer){body.peer, body.kind, ntohs(header.un.echo.sequence)};
    return header.type == ICMP_ECHOREPLY && ntohs(header.un.echo.id) == probe->id &&
           memcmp(body.secret, probe->secret, sizeof(body.secret)) == 0 && body.peer != 0 &&
           body.peer <= UINT16_MAX && body.kind < NETPROBE_KINDS &&
           from.s_addr == netname_peer_hop(body.peer).s_addr;
}

bool netprobe_receive(struct netprobe *probe, struct netprobe_answer *ret)
{
    for (;;) {
        struct sockaddr_in from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(probe->tunnel, probe->packet, sizeof(probe->packet), 0,
                             (struct sockaddr *)&from, &from_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (read_answer(probe, (size_t)n, from.sin_addr, ret))
            return true;
    }
}
