/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netdriver - the network room from the command line, for tests with namespaces.
 *
 *     netdriver apply HOST [N] < STATE     network_apply in namespace HOST, N times; says how long
 *     netdriver clear HOST
 *     netdriver address HOST               network_default_address
 *     netdriver create|remove PATH         a namespace
 *     netdriver serve NETNS NAME PORT [ADDRESS]
 *                                          answer TCP and UDP with "NAME address-of-the-client"
 *     netdriver echo NETNS PORT            send back what comes by TCP
 *     netdriver hold NETNS ADDRESS PORT    connect by the first line of stdin, send each, print
 * what comes back, or closed netdriver ask NETNS PROTO ADDRESS PORT [SOURCE-PORT] print the answer,
 * or refused, timeout, unreachable
 *
 * HOST and NETNS are paths. STATE has a line per item:
 *
 *     node ID            underlay ADDRESS      pool PREFIX     vxlan PORT ID
 *     network PREFIX     endpoint ID NETNS ADDRESS@PREFIX...
 *     peer ID ADDRESS [plain|tunnel MTU]
 *     remote ADDRESS ID     publish tcp|udp PORT ADDRESS:PORT...
 *     internal PREFIX    service ADDRESS BACKEND...
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ITEMS_MAX = 20000,
    WORDS_MAX = 64,
    ASK_TIMEOUT_MS = 1500,
};

/* The lists behind a struct network_state. */
struct lists {
    struct network_prefix networks[ITEMS_MAX];
    struct network_endpoint endpoints[ITEMS_MAX];
    struct network_peer peers[ITEMS_MAX];
    struct network_remote remotes[ITEMS_MAX];
    struct network_publish publishes[ITEMS_MAX];
    struct network_service services[ITEMS_MAX];
    struct network_prefix internals[ITEMS_MAX];
};

_Noreturn static void die(const char *what, const char *detail)
{
    fprintf(stderr, "netdriver: %s: %s\n", what, detail);
    exit(2);
}

static void enter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        die(path, strerror(errno));
    close(fd);
}

static struct in6_addr address(const char *text)
{
    struct in6_addr a;
    if (!netip_parse(text, &a))
        die(text, "not an address");
    return a;
}

static struct in_addr address4(const char *text)
{
    struct in_addr a;
    if (inet_pton(AF_INET, text, &a) != 1)
        die(text, "not an address");
    return a;
}

static unsigned long number(const char *text)
{
    return strtoul(text, NULL, 10);
}

/* Cut @text at @at and return what follows. */
static char *cut(char *text, char at)
{
    char *p = strchr(text, at);
    if (!p)
        die(text, "a part is missing");
    *p = 0;
    return p + 1;
}

static struct network_prefix prefix(char *text)
{
    struct network_prefix p;
    if (!netprefix_parse(text, &p))
        die(text, "not a range");
    return p;
}

static void read_endpoint(struct network_endpoint *endpoint, char **words, size_t n)
{
    endpoint->id = str_copy(words[1]);
    endpoint->netns = str_copy(words[2]);
    for (size_t i = 3; i < n; i++) {
        struct network_address *a = &endpoint->addresses[endpoint->addresses_n++];
        char *net = cut(words[i], '@');
        a->address = address(words[i]);
        a->network = prefix(net);
    }
}

static void read_publish(struct network_publish *publish, char **words, size_t n)
{
    struct network_backend *backends = mem_alloc(n, sizeof(*backends));
    publish->protocol = strcmp(words[1], "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
    publish->port = (uint16_t)number(words[2]);
    for (size_t i = 3; i < n; i++) {
        char *port = strrchr(words[i], ':'); /* addresses may have some, too */
        if (!port)
            die(words[i], "the port is missing");
        *port++ = 0;
        backends[i - 3] = (struct network_backend){address(words[i]), (uint16_t)number(port)};
        publish->has6 |= !netip_is4(&backends[i - 3].address);
    }
    publish->backends = backends;
    publish->backends_n = n - 3;
}

static void read_service(struct network_service *service, char **words, size_t n)
{
    struct in6_addr *backends = mem_alloc(n, sizeof(*backends));
    service->address = address(words[1]);
    for (size_t i = 2; i < n; i++)
        backends[service->backends_n++] = address(words[i]);
    service->backends = backends;
}

static void read_item(struct network_state *state, struct lists *lists, char **w, size_t n)
{
    if (strcmp(w[0], "node") == 0 && n == 2)
        state->node_id = (uint32_t)number(w[1]);
    else if (strcmp(w[0], "underlay") == 0 && n == 2)
        state->underlay = address4(w[1]);
    else if (strcmp(w[0], "pool") == 0 && n == 2)
        state->pool = prefix(w[1]);
    else if (strcmp(w[0], "vxlan") == 0 && n == 3) {
        state->vxlan_port = (uint16_t)number(w[1]);
        state->vxlan_id = (uint32_t)number(w[2]);
    } else if (strcmp(w[0], "network") == 0 && n == 2)
        lists->networks[state->networks_n++] = prefix(w[1]);
    else if (strcmp(w[0], "endpoint") == 0 && n >= 3)
        read_endpoint(&lists->endpoints[state->endpoints_n++], w, n);
    else if (strcmp(w[0], "peer") == 0 && (n == 3 || n == 5))
        lists->peers[state->peers_n++] =
            (struct network_peer){.id = (uint32_t)number(w[1]),
                                  .underlay = address4(w[2]),
                                  .plain = n == 5 && strcmp(w[3], "plain") == 0,
                                  .mtu = (uint16_t)(n == 5 ? number(w[4]) : 0)};
    else if (strcmp(w[0], "remote") == 0 && n == 3)
        lists->remotes[state->remotes_n++] =
            (struct network_remote){address(w[1]), (uint32_t)number(w[2])};
    else if (strcmp(w[0], "publish") == 0 && n >= 3)
        read_publish(&lists->publishes[state->publishes_n++], w, n);
    else if (strcmp(w[0], "service") == 0 && n >= 2)
        read_service(&lists->services[state->services_n++], w, n);
    else if (strcmp(w[0], "internal") == 0 && n == 2)
        lists->internals[state->internals_n++] = prefix(w[1]);
    else
        die(w[0], "not understood");
}

static void read_state(struct network_state *state, struct lists *lists)
{
    char *line = NULL;
    size_t size = 0;
    for (size_t lines = 0; getline(&line, &size, stdin) > 0 && lines < ITEMS_MAX; lines++) {
        char *words[WORDS_MAX], *save = NULL;
        size_t n = 0;
        for (char *w = strtok_r(line, " \t\n", &save); w && n < WORDS_MAX;
             w = strtok_r(NULL, " \t\n", &save))
            words[n++] = w;
        if (n)
            read_item(state, lists, words, n);
    }
    free(line);
    state->networks = lists->networks;
    state->endpoints = lists->endpoints;
    state->peers = lists->peers;
    state->remotes = lists->remotes;
    state->publishes = lists->publishes;
    state->services = lists->services;
    state->internals = lists->internals;
}

static int apply(const char *host, int times)
{
    static struct lists lists;
    static struct network_state state;
    static bool connected[ITEMS_MAX];
    read_state(&state, &lists);
    enter(host);
    int status = 0;
    struct network_memory *memory = network_memory_new();
    for (int i = 0; i < times; i++) {
        struct err err;
        int64_t start = clock_mono_ns();
        if (network_apply_each(memory, &state, connected, &err) < 0) {
            fprintf(stderr, "netdriver: %s: %s\n", err_name(err.code), err.msg);
            status = 1;
        }
        for (size_t k = 0; k < state.endpoints_n; k++)
            if (!connected[k])
                printf("not connected: %s\n", state.endpoints[k].id);
        printf("applied in %.2f ms\n", (double)(clock_mono_ns() - start) / 1e6);
    }
    network_memory_free(memory);
    return status;
}

/* A socket bound to @at, NULL for all addresses, and @port, listening if TCP. */
static int bound(int type, const char *at, int port)
{
    int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (at)
        here.sin6_addr = address(at);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (const struct sockaddr *)&here, sizeof(here)) < 0)
        die("bind", strerror(errno));
    if (type == SOCK_STREAM && listen(fd, 64) < 0)
        die("listen", strerror(errno));
    return fd;
}

static void answer_tcp(int listener, const char *name)
{
    struct sockaddr_in6 from;
    socklen_t len = sizeof(from);
    cleanup_close int fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
    char text[INET6_ADDRSTRLEN];
    if (fd >= 0)
        dprintf(fd, "%s %s\n", name, netip_text(&from.sin6_addr, text));
}

static void answer_udp(int fd, const char *name)
{
    struct sockaddr_in6 from;
    socklen_t len = sizeof(from);
    char in[64], text[INET6_ADDRSTRLEN], out[128];
    if (recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &len) < 0)
        return;
    int n = snprintf(out, sizeof(out), "%s %s\n", name, netip_text(&from.sin6_addr, text));
    (void)sendto(fd, out, (size_t)n, 0, (const struct sockaddr *)&from, len);
}

_Noreturn static void serve(const char *netns, const char *name, int port, const char *at)
{
    enter(netns);
    signal(SIGPIPE, SIG_IGN);
    struct pollfd fds[] = {{.fd = bound(SOCK_STREAM, at, port), .events = POLLIN},
                           {.fd = bound(SOCK_DGRAM, at, port), .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            answer_tcp(fds[0].fd, name);
        if (fds[1].revents)
            answer_udp(fds[1].fd, name);
    }
}

static const char *failure(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
        return "refused";
    case EAGAIN:
    case EINPROGRESS:
    case ETIMEDOUT:
        return "timeout";
    default:
        return "unreachable";
    }
}

static int ask(const char *netns, const char *protocol, const char *host, int port, int source)
{
    enter(netns);
    bool udp = strcmp(protocol, "udp") == 0;
    cleanup_close int fd = socket(AF_INET6, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = ASK_TIMEOUT_MS / 1000,
                              .tv_usec = ASK_TIMEOUT_MS % 1000 * 1000};
    struct sockaddr_in6 there = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)source)};
    there.sin6_addr = address(host);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
        bind(fd, (const struct sockaddr *)&here, sizeof(here)) < 0)
        die("socket", strerror(errno));
    char text[256] = "";
    ssize_t n = -1;
    if (connect(fd, (const struct sockaddr *)&there, sizeof(there)) == 0 &&
        (!udp || send(fd, "?", 1, 0) == 1))
        n = recv(fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        printf("%s\n", failure(n < 0 ? errno : ECONNRESET));
    else
        printf("%s", text);
    return 0;
}

_Noreturn static void echo(const char *netns, int port)
{
    enter(netns);
    signal(SIGPIPE, SIG_IGN);
    int listener = bound(SOCK_STREAM, NULL, port);
    for (;;) {
        cleanup_close int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        char text[256];
        for (ssize_t n; fd >= 0 && (n = read(fd, text, sizeof(text))) > 0;)
            if (fd_write_all(fd, text, (size_t)n) < 0)
                break;
    }
}

static int hold(const char *netns, const char *host, int port)
{
    char *line = NULL;
    size_t size = 0;
    int fd = -1;
    enter(netns);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sockaddr_in6 there = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    there.sin6_addr = address(host);
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
        char text[256];
        if (fd < 0) {
            fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (fd < 0 || connect(fd, (const struct sockaddr *)&there, sizeof(there)) < 0)
                die("connect", strerror(errno));
        }
        ssize_t got = fd_write_all(fd, line, (size_t)n) < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        text[got > 0 ? got : 0] = 0;
        printf("%s", got > 0 ? text : "closed\n");
    }
    free(line);
    return 0;
}

static int finish(int rc, const struct err *err)
{
    if (rc < 0)
        fprintf(stderr, "netdriver: %s: %s\n", err_name(err->code), err->msg);
    return rc < 0;
}

static int print_address(const char *host)
{
    struct err err;
    struct in_addr a;
    char text[INET_ADDRSTRLEN];
    enter(host);
    int rc = network_default_address(&a, &err);
    if (rc == 0)
        puts(inet_ntop(AF_INET, &a, text, sizeof(text)));
    return finish(rc, &err);
}

static int clear(const char *host)
{
    struct err err;
    enter(host);
    return finish(network_clear(&err), &err);
}

int main(int argc, char **argv)
{
    struct err err;
    const char *verb = argc > 2 ? argv[1] : "";
    if (strcmp(verb, "apply") == 0)
        return apply(argv[2], argc > 3 ? (int)number(argv[3]) : 1);
    if (strcmp(verb, "clear") == 0)
        return clear(argv[2]);
    if (strcmp(verb, "address") == 0)
        return print_address(argv[2]);
    if (strcmp(verb, "create") == 0)
        return finish(network_netns_create(argv[2], &err), &err);
    if (strcmp(verb, "remove") == 0)
        return finish(network_netns_remove(argv[2], &err), &err);
    if (strcmp(verb, "serve") == 0 && argc >= 5)
        serve(argv[2], argv[3], (int)number(argv[4]), argc > 5 ? argv[5] : NULL);
    if (strcmp(verb, "echo") == 0 && argc == 4)
        echo(argv[2], (int)number(argv[3]));
    if (strcmp(verb, "hold") == 0 && argc == 5)
        return hold(argv[2], argv[3], (int)number(argv[4]));
    if (strcmp(verb, "ask") == 0 && argc >= 6)
        return ask(argv[2], argv[3], argv[4], (int)number(argv[5]),
                   argc > 6 ? (int)number(argv[6]) : 0);
    die("usage", "see the top of the source");
}
