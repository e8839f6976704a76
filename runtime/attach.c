/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/attach.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/container.h"
#include "runtime/exec.h"
#include "runtime/internal.h"
#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connect to the socket in folder @dir. Returns the descriptor or -errno. */
static int connect_in(const char *dir)
{
    /* Through the folder's descriptor: its path may be longer than an address can be. */
    cleanup_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SHIM_SOCKET, dir_fd);
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int greet(int fd, uint64_t from, int *ret_fd)
{
    struct shim_message hello = {.kind = SHIM_HELLO, .version = SHIM_VERSION, .offset = from};
    if (attach_send(fd, &hello) != 0) {
        close(fd);
        return ERR_UNAVAILABLE;
    }
    *ret_fd = fd;
    return 0;
}

int container_attach(struct runtime *rt, const char *id, uint64_t from, int *ret_fd,
                     struct err *err)
{
    struct container_state state;
    int rv = container_state(rt, id, &state, err);
    if (rv < 0)
        return rv;
    if (state.status != CONTAINER_RUNNING)
        return err_set(err, ERR_NOTFOUND, "container %s does not run", id);
    cleanup_free char *dir = container_state_dir(rt, id);
    int fd = connect_in(dir);
    if (fd == -ENOENT)
        return err_set(err, ERR_UNSUPPORTED,
                       "container %s was started by an earlier version of Wherry, and can be "
                       "attached to once it was started anew",
                       id);
    if (fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "the shim of container %s does not answer", id);
    if (greet(fd, from, ret_fd) < 0)
        return err_set(err, ERR_UNAVAILABLE, "the shim of container %s went away", id);
    return 0;
}

int exec_attach(struct runtime *rt, const char *id, const char *name, uint64_t from, int *ret_fd,
                struct err *err)
{
    if (!exec_name_ok(name))
        return err_set(err, ERR_INVALID, "this is no command's name");
    cleanup_free char *dir = exec_dir(rt, id, name);
    int fd = connect_in(dir);
    if (fd < 0 || greet(fd, from, ret_fd) < 0)
        return err_set(err, ERR_NOTFOUND, "the command in container %s is over", id);
    return 0;
}

int attach_receive(int fd, unsigned char packet[SHIM_MESSAGE_MAX + 1], struct shim_message *ret)
{
    ssize_t n = recv(fd, packet, SHIM_MESSAGE_MAX + 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n > 0 && shim_message_read(packet, (size_t)n, ret) ? 1 : -1;
}

int attach_send(int fd, const struct shim_message *m)
{
    unsigned char header[SHIM_MESSAGE_HEADER];
    shim_message_header(m, header);
    check(m->len <= SHIM_DATA_MAX);
    struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof(header)},
                             {.iov_base = (void *)(uintptr_t)m->data, .iov_len = m->len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = m->len ? 2 : 1};
    if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 0;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 1 : -1;
}
