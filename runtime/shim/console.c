/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console - the terminal: the OCI runtime makes it in the container and sends its master over a
 * socket that we listen on (runc, "terminals.md", detached mode).
 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

int shim_console_open(struct shim *shim)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SHIM_CONSOLE};
    unlink(SHIM_CONSOLE);
    shim->console_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (shim->console_fd < 0 ||
        bind(shim->console_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(shim->console_fd, 1) < 0)
        return -errno;
    return 0;
}

/* The descriptor that comes with the first bytes. -1: none. */
static int receive(int fd)
{
    char name[256];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = name, .iov_len = sizeof(name)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) < 0)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    int got = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&got, CMSG_DATA(c), sizeof(got));
    return got;
}

void shim_console_accept(struct shim *shim)
{
    int fd = accept4(shim->console_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    /* Who connects sends at once; an OCI runtime that hangs is killed, and so ends this. */
    int master = receive(fd);
    close(fd);
    if (master < 0 || !isatty(master) || shim->tty_fd >= 0) {
        if (master >= 0)
            close(master);
        return;
    }
    fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK);
    shim->tty_fd = master;
    shim->tty_hold = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    shim->streams[0].fd = master;
    if (shim->has_input)
        shim->input.fd = master;
    if (shim->rows)
        shim_console_resize(shim, shim->rows, shim->columns);
    shim_console_close(shim);
}

void shim_console_close(struct shim *shim)
{
    if (shim->console_fd < 0)
        return;
    close(shim->console_fd);
    unlink(SHIM_CONSOLE);
    shim->console_fd = -1;
}

void shim_console_resize(struct shim *shim, uint16_t rows, uint16_t columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    shim->rows = rows;
    shim->columns = columns;
    if (shim->tty_fd >= 0)
        ioctl(shim->tty_fd, TIOCSWINSZ, &size);
}
