/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients - those who attach, over the socket in the state folder (message.h).
 *
 * A client is a place in the ring and little more: nothing is kept for it, so one that does not
 * read costs nothing and holds nobody up. It finds out what it missed by the offsets. Who connects
 * must be root. What it sends is checked, and it is dropped for the first thing that is wrong.
 */
#include "runtime/shim/shim.h"

#include "runtime/shim/message.h"
#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int shim_clients_listen(struct shim *shim)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SHIM_SOCKET};
    for (int i = 0; i < SHIM_CLIENTS_MAX; i++)
        shim->clients[i].fd = -1;
    unlink(SHIM_SOCKET);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    int rv = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
                     listen(fd, SHIM_CLIENTS_MAX) < 0
                 ? -errno
                 : 0;
    umask(mask);
    shim->listen_fd = fd;
    return rv;
}

static void drop(struct shim_client *c)
{
    close(c->fd);
    *c = (struct shim_client){.fd = -1};
}

bool shim_clients_any(const struct shim *shim)
{
    for (int i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (shim->clients[i].fd >= 0 && shim->clients[i].greeted)
            return true;
    return false;
}

void shim_clients_accept(struct shim *shim)
{
    int fd = accept4(shim->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct ucred who;
    socklen_t len = sizeof(who);
    struct shim_client *free_one = NULL;
    for (int i = 0; i < SHIM_CLIENTS_MAX && !free_one; i++)
        if (shim->clients[i].fd < 0)
            free_one = &shim->clients[i];
    if (!free_one || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.uid != 0)
        close(fd);
    else
        *free_one = (struct shim_client){.fd = fd};
}

/* --- what they say ------------------------------------------------------------------------------
 */

static uint64_t *taken_of(struct shim *shim, struct shim_client *c)
{
    return shim->exec ? &shim->taken : &c->taken;
}

static void on_hello(struct shim *shim, struct shim_client *c, const struct shim_message *m)
{
    /* An exec has one client: who comes back takes the place of his lost connection. */
    for (int i = 0; shim->exec && i < SHIM_CLIENTS_MAX; i++)
        if (shim->clients[i].fd >= 0 && &shim->clients[i] != c && shim->clients[i].greeted)
            drop(&shim->clients[i]);
    c->greeted = true;
    c->owes_welcome = true;
    c->place = m->offset == SHIM_FROM_NOW    ? shim->ring.head
               : m->offset == SHIM_FROM_KEPT ? shim->ring.tail
                                             : m->offset;
    if (shim->exec)
        shim_ring_forget(&shim->ring, c->place);
    char nothing;
    shim_ring_read(&shim->ring, &c->place, &nothing, 0);
}

static bool on_input(struct shim *shim, struct shim_client *c, const struct shim_message *m)
{
    uint64_t *taken = taken_of(shim, c);
    if (m->offset > *taken)
        return false;
    uint64_t known = *taken - m->offset;
    size_t fresh = known < m->len ? m->len - (size_t)known : 0;
    size_t n = shim_input_take(&shim->input, m->data + (m->len - fresh), fresh);
    *taken += n;
    c->starved = n < fresh;
    c->owes_taken = !c->starved;
    shim_input_flush(&shim->input);
    if (c->starved && shim->input.len < sizeof(shim->input.bytes) / 2)
        shim_clients_room(shim);
    return true;
}

static bool on_message(struct shim *shim, struct shim_client *c, const struct shim_message *m)
{
    if (!c->greeted && m->kind != SHIM_HELLO)
        return false;
    switch (m->kind) {
    case SHIM_HELLO:
        if (c->greeted || m->version == 0)
            return false;
        on_hello(shim, c, m);
        return true;
    case SHIM_INPUT:
        return on_input(shim, c, m);
    case SHIM_CLOSE_INPUT:
        shim->input.close_wanted = true;
        shim_input_flush(&shim->input);
        return true;
    case SHIM_RESIZE:
        shim_console_resize(shim, m->rows, m->columns);
        return true;
    case SHIM_ACK:
        if (shim->exec)
            shim_ring_forget(&shim->ring, m->offset);
        return true;
    case SHIM_END:
        shim->end_wanted = shim->exec;
        return shim->exec;
    case SHIM_WELCOME:
    case SHIM_OUTPUT:
    case SHIM_TAKEN:
    case SHIM_EXITED:
        break;
    }
    return false;
}

void shim_client_read(struct shim *shim, struct shim_client *c)
{
    static unsigned char packet[SHIM_MESSAGE_MAX + 1];
    ssize_t n = recv(c->fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    struct shim_message m;
    if (n <= 0 || !shim_message_read(packet, (size_t)n, &m) || !on_message(shim, c, &m))
        drop(c);
}

/* --- what they are told -------------------------------------------------------------------------
 */

/* Send one message. False: not now, or the client is gone. */
static bool tell(struct shim_client *c, const struct shim_message *m)
{
    unsigned char header[SHIM_MESSAGE_HEADER];
    shim_message_header(m, header);
    struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof(header)},
                             {.iov_base = (void *)(uintptr_t)m->data, .iov_len = m->len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = m->len ? 2 : 1};
    if (sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        c->blocked = true;
    else
        drop(c);
    return false;
}

static bool tell_welcome(struct shim *shim, struct shim_client *c)
{
    uint8_t flags = (uint8_t)((shim->tty ? SHIM_HAS_TTY : 0) |
                              (shim->has_input && !shim->input.close_wanted ? SHIM_HAS_INPUT : 0));
    struct shim_message m = {.kind = SHIM_WELCOME,
                             .version = SHIM_VERSION,
                             .flags = flags,
                             .offset = c->place,
                             .other = *taken_of(shim, c)};
    c->owes_welcome = !tell(c, &m);
    return !c->owes_welcome;
}

static bool tell_taken(struct shim *shim, struct shim_client *c)
{
    struct shim_message m = {.kind = SHIM_TAKEN, .offset = *taken_of(shim, c)};
    c->owes_taken = !tell(c, &m);
    return !c->owes_taken;
}

/* False when there was none, or it cannot be sent now. */
static bool tell_output(struct shim *shim, struct shim_client *c)
{
    static unsigned char data[SHIM_DATA_MAX];
    uint64_t place = c->place;
    size_t n = shim_ring_read(&shim->ring, &place, data, sizeof(data));
    struct shim_message m = {.kind = SHIM_OUTPUT, .offset = place, .data = data, .len = n};
    if (n == 0 || !tell(c, &m))
        return false;
    c->place = place + n;
    return true;
}

static void pump(struct shim *shim, struct shim_client *c)
{
    c->blocked = false;
    if ((c->owes_welcome && !tell_welcome(shim, c)) || (c->owes_taken && !tell_taken(shim, c)))
        return;
    while (tell_output(shim, c))
        ;
    bool last = shim->ended && shim->streams[0].fd < 0 && shim->streams[1].fd < 0;
    if (c->fd >= 0 && last && !c->told && !c->blocked) {
        struct shim_message m = {.kind = SHIM_EXITED, .code = (uint8_t)shim->code};
        c->told = tell(c, &m);
    }
}

void shim_clients_pump(struct shim *shim)
{
    for (int i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (shim->clients[i].fd >= 0 && shim->clients[i].greeted)
            pump(shim, &shim->clients[i]);
}

void shim_clients_room(struct shim *shim)
{
    for (int i = 0; i < SHIM_CLIENTS_MAX; i++) {
        struct shim_client *c = &shim->clients[i];
        c->owes_taken = c->owes_taken || c->starved;
        c->starved = false;
    }
}
