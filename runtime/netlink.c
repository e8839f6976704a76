/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netlink.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/netip.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

enum {
    BATCH_MAX = 64,        /* requests in one send: their answers must fit the receive buffer */
    RECEIVE_BYTES = 65536, /* a dump's messages come in packets of up to 32 KiB */
    ANSWER_TIMEOUT_S = 10, /* the kernel answers at once or is in deep trouble */
    DUMP_TRIES = 8,
};

struct pending {
    char what[72];
    bool optional;
    bool removes;
};

struct netlink {
    struct mnl_socket *socket;
    int bus;
    uint32_t seq;       /* of the last request */
    uint32_t first_seq; /* of the first request that waits */
    unsigned waiting;
    struct nlmsghdr *last;
    struct err error; /* the first since the last flush; code 0: none */
    struct pending pending[BATCH_MAX];
    _Alignas(struct nlmsghdr) char send[BATCH_MAX * NETLINK_REQUEST_MAX];
    _Alignas(struct nlmsghdr) char receive[RECEIVE_BYTES];
};

static void set_option(int fd, int level, int option, int value)
{
    /* Old kernels lack some; each only makes answers richer or shorter. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

int netlink_open(int bus, struct netlink **ret, struct err *err)
{
    struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
    if (!socket)
        return err_errno(err, errno, "open a netlink socket");
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        int saved = errno;
        mnl_socket_close(socket);
        return err_errno(err, saved, "bind a netlink socket");
    }
    int fd = mnl_socket_get_fd(socket);
    set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20);
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    struct netlink *nl = mem_alloc(1, sizeof(*nl));
    nl->socket = socket;
    nl->bus = bus;
    *ret = nl;
    return 0;
}

void netlink_close(struct netlink *nl)
{
    if (!nl)
        return;
    mnl_socket_close(nl->socket);
    free(nl);
}

void netlink_close_fn(struct netlink **nl)
{
    netlink_close(*nl);
}

/* Netlink's padding. */
static size_t aligned(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

struct attribute_table {
    const struct nlattr **attrs;
    uint16_t max;
};

static int keep_attribute(const struct nlattr *attr, void *arg)
{
    struct attribute_table *table = arg;
    uint16_t type = mnl_attr_get_type(attr);
    if (type <= table->max)
        table->attrs[type] = attr;
    return MNL_CB_OK;
}

void netlink_attributes(const struct nlmsghdr *msg, size_t header_len, const struct nlattr **attrs,
                        uint16_t max)
{
    memset(attrs, 0, (max + 1U) * sizeof(*attrs));
    struct attribute_table table = {attrs, max};
    if (header_len <= mnl_nlmsg_get_payload_len(msg))
        mnl_attr_parse(msg, (unsigned)header_len, keep_attribute, &table);
}

void netlink_nested(const struct nlattr *nest, const struct nlattr **attrs, uint16_t max)
{
    memset(attrs, 0, (max + 1U) * sizeof(*attrs));
    struct attribute_table table = {attrs, max};
    if (nest)
        mnl_attr_parse_nested(nest, keep_attribute, &table);
}

uint32_t netlink_u32(const struct nlattr *attr)
{
    return attr && mnl_attr_get_payload_len(attr) >= 4 ? mnl_attr_get_u32(attr) : 0;
}

bool netlink_bytes(const struct nlattr *attr, void *out, size_t len)
{
    if (!attr || mnl_attr_get_payload_len(attr) != len)
        return false;
    memcpy(out, mnl_attr_get_payload(attr), len);
    return true;
}

/* True when an error says that the thing to delete is gone already. */
static bool is_gone(int error)
{
    return error == ENOENT || error == ESRCH || error == ENODEV || error == EADDRNOTAVAIL ||
           error == ENXIO;
}

static bool is_removal(int bus, uint16_t type)
{
    return bus == NETLINK_ROUTE &&
           (type == RTM_DELLINK || type == RTM_DELADDR || type == RTM_DELROUTE ||
            type == RTM_DELNEIGH || type == RTM_DELRULE);
}

static void note_error(struct netlink *nl, int error, const char *what, const char *detail)
{
    if (nl->error.code)
        return;
    if (detail)
        err_errno(&nl->error, error, "%s: %s", what, detail);
    else
        err_errno(&nl->error, error, "%s", what);
}

/* The kernel's own words in an answer, or NULL. Their end is checked: hostile or not, it is input.
 */
static const char *answer_text(const struct nlmsghdr *answer)
{
    const struct nlmsgerr *body = mnl_nlmsg_get_payload(answer);
    if (!(answer->nlmsg_flags & NLM_F_ACK_TLVS))
        return NULL;
    size_t offset = sizeof(*body);
    if (!(answer->nlmsg_flags & NLM_F_CAPPED))
        offset += aligned(body->msg.nlmsg_len) - sizeof(body->msg);
    const struct nlattr *attrs[NLMSGERR_ATTR_MSG + 1];
    netlink_attributes(answer, offset, attrs, NLMSGERR_ATTR_MSG);
    const struct nlattr *text = attrs[NLMSGERR_ATTR_MSG];
    return text && mnl_attr_validate(text, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(text)
                                                                     : NULL;
}

static void take_answer(struct netlink *nl, const struct nlmsghdr *answer)
{
    const struct nlmsgerr *body = mnl_nlmsg_get_payload(answer);
    const struct pending *p = &nl->pending[answer->nlmsg_seq - nl->first_seq];
    int error = -body->error;
    if (error == 0 || p->optional || (p->removes && is_gone(error)))
        return;
    note_error(nl, error, p->what, answer_text(answer));
}

static void read_answers(struct netlink *nl)
{
    unsigned left = nl->waiting;
    while (left > 0) {
        ssize_t n = mnl_socket_recvfrom(nl->socket, nl->receive, sizeof(nl->receive));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            note_error(nl, errno, "read the kernel's answer", NULL);
            return;
        }
        int rest = (int)n;
        for (const struct nlmsghdr *h = (const void *)nl->receive; mnl_nlmsg_ok(h, rest);
             h = mnl_nlmsg_next(h, &rest)) {
            uint32_t offset = h->nlmsg_seq - nl->first_seq;
            if (h->nlmsg_type != NLMSG_ERROR || offset >= nl->waiting ||
                mnl_nlmsg_get_payload_len(h) < sizeof(struct nlmsgerr))
                continue;
            take_answer(nl, h);
            left--;
        }
    }
}

static void send_waiting(struct netlink *nl)
{
    if (nl->waiting == 0)
        return;
    size_t len = (size_t)((char *)nl->last - nl->send) + aligned(nl->last->nlmsg_len);
    if (mnl_socket_sendto(nl->socket, nl->send, len) < 0)
        note_error(nl, errno, nl->pending[0].what, "cannot send");
    else
        read_answers(nl);
    nl->waiting = 0;
    nl->last = NULL;
}

/* Room for the next message, its headers filled in. */
static struct nlmsghdr *begin(struct netlink *nl, uint16_t type, uint16_t flags, const void *header,
                              size_t header_len)
{
    char *at = nl->send;
    if (nl->last) {
        check(nl->last->nlmsg_len <= NETLINK_REQUEST_MAX);
        at = (char *)nl->last + aligned(nl->last->nlmsg_len);
    }
    memset(at, 0, NETLINK_REQUEST_MAX);
    struct nlmsghdr *msg = mnl_nlmsg_put_header(at);
    msg->nlmsg_type = type;
    msg->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    msg->nlmsg_seq = ++nl->seq;
    memcpy(mnl_nlmsg_put_extra_header(msg, header_len), header, header_len);
    return msg;
}

struct nlmsghdr *netlink_request(struct netlink *nl, uint16_t type, uint16_t flags,
                                 const void *header, size_t header_len, const char *fmt, ...)
{
    if (nl->waiting == BATCH_MAX)
        send_waiting(nl);
    struct nlmsghdr *msg = begin(nl, type, (uint16_t)(NLM_F_ACK | flags), header, header_len);
    if (nl->waiting == 0)
        nl->first_seq = msg->nlmsg_seq;
    struct pending *p = &nl->pending[nl->waiting++];
    p->optional = false;
    p->removes = is_removal(nl->bus, type);
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->what, sizeof(p->what), fmt, args);
    va_end(args);
    nl->last = msg;
    return msg;
}

void netlink_optional(struct netlink *nl)
{
    check(nl->waiting > 0);
    nl->pending[nl->waiting - 1].optional = true;
}

int netlink_flush(struct netlink *nl, struct err *err)
{
    send_waiting(nl);
    if (!nl->error.code)
        return 0;
    int code = err_set(err, nl->error.code, "%s", nl->error.msg);
    nl->error.code = 0;
    return code;
}

struct nlmsghdr *netlink_dump(struct netlink *nl, uint16_t type, const void *header,
                              size_t header_len)
{
    check(nl->waiting == 0);
    nl->last = NULL;
    return begin(nl, type, NLM_F_DUMP, header, header_len);
}

enum dump_result {
    DUMP_MORE,
    DUMP_DONE,
    DUMP_INTERRUPTED,
    DUMP_FAILED, /* errno is set */
};

/* Hand on one packet of a dump. */
static enum dump_result dump_packet(struct netlink *nl, uint32_t seq, int len, bool *interrupted,
                                    netlink_dump_cb cb, void *arg)
{
    for (const struct nlmsghdr *h = (const void *)nl->receive; mnl_nlmsg_ok(h, len);
         h = mnl_nlmsg_next(h, &len)) {
        if (h->nlmsg_seq != seq)
            continue;
        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
            *interrupted = true;
        if (h->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *body = mnl_nlmsg_get_payload(h);
            errno = -body->error;
            return body->error == 0 ? DUMP_DONE : DUMP_FAILED;
        }
        if (h->nlmsg_type == NLMSG_DONE) {
            const int *status = mnl_nlmsg_get_payload(h);
            if (mnl_nlmsg_get_payload_len(h) >= sizeof(*status) && *status < 0) {
                errno = -*status;
                return DUMP_FAILED;
            }
            return *interrupted ? DUMP_INTERRUPTED : DUMP_DONE;
        }
        if (h->nlmsg_type >= NLMSG_MIN_TYPE)
            cb(h, arg);
    }
    return DUMP_MORE;
}

static enum dump_result dump_once(struct netlink *nl, netlink_dump_cb cb, void *arg)
{
    struct nlmsghdr *msg = (void *)nl->send;
    msg->nlmsg_seq = ++nl->seq;
    if (mnl_socket_sendto(nl->socket, msg, msg->nlmsg_len) < 0)
        return DUMP_FAILED;
    bool interrupted = false;
    cb(NULL, arg);
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(nl->socket, nl->receive, sizeof(nl->receive));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return DUMP_FAILED;
        enum dump_result result = dump_packet(nl, msg->nlmsg_seq, (int)n, &interrupted, cb, arg);
        if (result != DUMP_MORE)
            return result;
    }
}

int netlink_dump_run(struct netlink *nl, netlink_dump_cb cb, void *arg, struct err *err)
{
    for (int i = 0; i < DUMP_TRIES; i++) {
        switch (dump_once(nl, cb, arg)) {
        case DUMP_DONE:
            return 0;
        case DUMP_FAILED:
            return err_errno(err, errno, "read the kernel's network state");
        case DUMP_INTERRUPTED:
        case DUMP_MORE:
            break;
        }
    }
    return err_set(err, ERR_BUSY,
                   "the kernel's network state changes faster than it can be read; trying later");
}

int netlink_batch(struct netlink *nl, const void *data, size_t len, uint32_t ack_seq,
                  struct err *err)
{
    int fd = mnl_socket_get_fd(nl->socket);
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)(len + 65536));
    if (mnl_socket_sendto(nl->socket, data, len) < 0)
        return err_errno(err, errno, "send a batch of %zu bytes to nftables", len);
    /* A batch is worked off inside the send: all answers are there now. */
    bool acked = false;
    int error = 0;
    for (;;) {
        ssize_t n = recv(fd, nl->receive, sizeof(nl->receive), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        int rest = (int)n;
        for (const struct nlmsghdr *h = (const void *)nl->receive; mnl_nlmsg_ok(h, rest);
             h = mnl_nlmsg_next(h, &rest)) {
            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            const struct nlmsgerr *body = mnl_nlmsg_get_payload(h);
            if (body->error && !error)
                error = -body->error;
            acked |= !body->error && h->nlmsg_seq == ack_seq;
        }
    }
    if (error)
        return err_errno(err, error, "nftables refused the rules");
    if (!acked)
        return err_set(err, ERR_IO, "nftables did not acknowledge the rules");
    return 0;
}

bool netlink_address(const struct nlattr *attr, struct in6_addr *out)
{
    struct in_addr four;
    if (!netlink_bytes(attr, &four, sizeof(four)))
        return netlink_bytes(attr, out, sizeof(*out));
    *out = netip_from4(four);
    return true;
}

void netlink_put_address(struct nlmsghdr *msg, uint16_t type, const struct in6_addr *address)
{
    size_t len;
    const void *bytes = netip_bytes(address, &len);
    mnl_attr_put(msg, type, len, bytes);
}
