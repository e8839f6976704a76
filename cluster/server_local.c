/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/server_internal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 128,
    READ_BYTES = 16 << 10,
    GROUPS_MAX = 1024,             /* of a caller */
    KEEP_BYTES = 64 << 10,         /* a larger buffer is freed when it is empty */
    UNREAD_MAX = WIRE_MESSAGE_MAX, /* reply bytes a caller has not read; then we stop reading too */
};

/* A connection. */
struct local {
    struct server *server;
    struct local *next, *prev;
    uv_pipe_t pipe;
    struct buf in;
    size_t calls_n; /* that wait for their reply */
    bool paused;    /* not reading: it has too much under way */
    bool parsing;
    bool ending; /* close when what was written is sent */
    bool closing;
    uint64_t used_at; /* when it last said something */
};

/* --- the end of a connection --------------------------------------------------------------- */

static void on_local_closed(uv_handle_t *handle)
{
    struct local *l = handle->data;
    struct server *server = l->server;
    buf_release(&l->in);
    free(l);
    server_handle_closed(server);
}

static void local_close(struct local *l)
{
    struct server *server = l->server;
    if (l->closing)
        return;
    l->closing = true;
    if (l->prev)
        l->prev->next = l->next;
    else
        server->locals = l->next;
    if (l->next)
        l->next->prev = l->prev;
    server->locals_n--;
    uv_close((uv_handle_t *)&l->pipe, on_local_closed);
    for (struct server_call *call = server->calls, *next; call; call = next) {
        next = call->next;
        if (call->local == l)
            server_call_gone(call);
    }
}

void local_hang_up(struct local *l)
{
    local_close(l);
}

static void send_frame(struct local *l, const struct reply *reply);

/* --- reading ------------------------------------------------------------------------------- */

static void end_with(struct local *l, int code, const char *text)
{
    struct err err;
    struct reply reply = {0};
    err_set(&err, code, "%s", text);
    reply_set_err(&reply, &err);
    l->ending = true;
    send_frame(l, &reply);
    record_release(&reply_type, &reply);
}

/* The frame at @at is complete: its length, 0 when it is not, or the connection ends. */
static size_t whole_frame(struct local *l, size_t at)
{
    if (l->in.len - at < WIRE_HEADER)
        return 0;
    size_t len = wire_frame_len(l->in.data + at);
    if (len > WIRE_MESSAGE_MAX) {
        end_with(l, ERR_TOOBIG, "a call has at most 4 MiB");
        return 0;
    }
    return l->in.len - at - WIRE_HEADER >= len ? WIRE_HEADER + len : 0;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct local *l = handle->data;
    *buf = uv_buf_init(buf_reserve(&l->in, READ_BYTES), READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static bool is_busy(const struct local *l)
{
    return l->calls_n >= LOCAL_CALLS_MAX ||
           uv_stream_get_write_queue_size((const uv_stream_t *)&l->pipe) > UNREAD_MAX;
}

/* Pass on the calls that are complete; stop reading while too many are under way. */
static void parse(struct local *l)
{
    size_t at = 0;
    size_t size;
    l->parsing = true;
    while (!l->closing && !l->ending && !is_busy(l) && (size = whole_frame(l, at)) > 0) {
        const char *message = l->in.data + at + WIRE_HEADER;
        at += size;
        l->calls_n++;
        if (!server_dispatch(l->server, l, NULL, message, size - WIRE_HEADER))
            l->ending = true;
    }
    l->parsing = false;
    buf_consume(&l->in, at);
    if (l->in.len == 0 && l->in.cap > KEEP_BYTES)
        buf_release(&l->in);
    if (l->closing)
        return;
    if (l->ending && uv_stream_get_write_queue_size((uv_stream_t *)&l->pipe) == 0) {
        local_close(l);
        return;
    }
    bool pause = l->ending || is_busy(l);
    if (pause && !l->paused)
        uv_read_stop((uv_stream_t *)&l->pipe);
    else if (!pause && l->paused)
        uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read);
    l->paused = pause;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct local *l = stream->data;
    if (n < 0) {
        local_close(l);
        return;
    }
    l->in.len += (size_t)n;
    l->used_at = uv_now(l->server->config.loop);
    parse(l);
}

/* --- replying ------------------------------------------------------------------------------ */

struct writing {
    uv_write_t request;
    struct local *local;
    struct buf frame;
};

static void on_written(uv_write_t *request, int status)
{
    struct writing *w = (struct writing *)request;
    struct local *l = w->local;
    buf_release(&w->frame);
    free(w);
    if (l->closing)
        return;
    if (status < 0)
        local_close(l);
    else if (!l->parsing && (l->paused || l->ending))
        parse(l);
}

static void send_frame(struct local *l, const struct reply *reply)
{
    struct writing *w = mem_alloc(1, sizeof(*w));
    w->local = l;
    if (wire_put_frame(&reply_type, reply, &w->frame) > WIRE_MESSAGE_MAX) {
        struct err err;
        struct reply instead = {.id = reply->id};
        err_set(&err, ERR_TOOBIG, "the answer has more than 4 MiB; ask for less");
        reply_set_err(&instead, &err);
        buf_reset(&w->frame);
        wire_put_frame(&reply_type, &instead, &w->frame);
        record_release(&reply_type, &instead);
    }
    uv_buf_t buf = uv_buf_init(w->frame.data, (unsigned)w->frame.len);
    int rv = uv_write(&w->request, (uv_stream_t *)&l->pipe, &buf, 1, on_written);
    if (rv < 0) {
        buf_release(&w->frame);
        free(w);
        local_close(l);
    }
}

void local_reply(struct local *l, const struct reply *reply)
{
    check(l->calls_n > 0);
    l->calls_n--;
    /* A paused connection goes on in on_written(). */
    send_frame(l, reply);
}

/* --- accepting ----------------------------------------------------------------------------- */

/* Make room: of those with no call under way the one that was silent longest goes. */
static bool make_room(struct server *server)
{
    struct local *oldest = NULL;
    for (struct local *l = server->locals; l; l = l->next)
        if (l->calls_n == 0 && (!oldest || l->used_at <= oldest->used_at))
            oldest = l;
    if (!oldest)
        return false;
    local_close(oldest);
    return true;
}

static const char group_name[] = "wherry";

static bool wherry_group(gid_t *ret)
{
    struct group group;
    struct group *found = NULL;
    char text[4096];
    if (getgrnam_r(group_name, &group, text, sizeof(text), &found) != 0 || !found)
        return false;
    *ret = found->gr_gid;
    return true;
}

static bool is_in_group(int fd, gid_t primary, gid_t gid)
{
    gid_t groups[GROUPS_MAX];
    socklen_t len = sizeof(groups);
    if (primary == gid)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof(gid_t); i++)
        if (groups[i] == gid)
            return true;
    return false;
}

/* Who connected, as the kernel knows it: whatever happened to the mode of the socket's file or of
 * its folder, others get no further. */
static bool peer_may_call(const struct local *l, struct err *err)
{
    uv_os_fd_t fd;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    gid_t gid;
    if (uv_fileno((const uv_handle_t *)&l->pipe, &fd) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
        err_set(err, ERR_DENIED, "the kernel does not say who calls");
        return false;
    }
    if (peer.uid == 0 || peer.uid == geteuid() ||
        (wherry_group(&gid) && is_in_group(fd, peer.gid, gid)))
        return true;
    err_set(err, ERR_DENIED,
            "this socket is for root and the group %s: use sudo, or have an administrator put you "
            "into it (it is as good as root)",
            group_name);
    return false;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct err err;
    if (status < 0 || server->stopping)
        return;
    bool room = server->locals_n < LOCAL_MAX || make_room(server);
    struct local *l = mem_alloc(1, sizeof(*l));
    l->server = server;
    check(uv_pipe_init(server->config.loop, &l->pipe, 0) == 0);
    l->pipe.data = l;
    l->used_at = uv_now(server->config.loop);
    l->next = server->locals;
    if (l->next)
        l->next->prev = l;
    server->locals = l;
    server->locals_n++;
    server->handles++;
    if (uv_accept(listener, (uv_stream_t *)&l->pipe) < 0 ||
        uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read) < 0)
        local_close(l);
    else if (!peer_may_call(l, &err))
        end_with(l, err.code, err.msg);
    else if (!room)
        end_with(l, ERR_BUSY, "too many calls at once on the socket; try again");
}

/* --- the socket ---------------------------------------------------------------------------- */

/* Is a daemon listening on @sa? */
static bool is_alive(const struct sockaddr_un *sa)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ||
                       errno == EAGAIN || errno == EINPROGRESS);
}

/* What is at @path must be nothing, or the socket of a daemon that is dead. */
static int check_place(const char *path, const struct sockaddr_un *sa, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, ERR_EXISTS,
                       "%s is not a socket; remove it or name another --run folder", path);
    if (is_alive(sa))
        return err_set(err, ERR_BUSY, "a daemon listens on %s already", path);
    return 0;
}

/* Root and the group "wherry", where there is one, may call: as the file's mode says, and as
 * peer_may_call() looks at each caller. */
static int give_to_group(const char *path, struct err *err)
{
    gid_t gid;
    bool given = wherry_group(&gid) && chown(path, (uid_t)-1, gid) == 0;
    if (wherry_group(&gid) && !given)
        log_warn("server", "cannot give %s to the group %s: %s", path, group_name, strerror(errno));
    if (chmod(path, given ? 0660 : 0600) < 0)
        return err_errno(err, errno, "set the mode of %s", path);
    return 0;
}

/* A socket bound at @temp, with its mode set before anybody can connect: it does not listen yet. */
static int bind_at(const char *temp, struct err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    check(str_fill(sa.sun_path, sizeof(sa.sun_path), temp));
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "make a socket");
    unlink(temp);
    if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
        return err_errno(err, errno, "bind %s", temp);
    int rv = give_to_group(temp, err);
    if (rv < 0) {
        unlink(temp);
        return rv;
    }
    return steal_fd(&fd);
}

int local_listen(struct server *server, struct err *err)
{
    const char *path = server->config.socket_path;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    cleanup_free char *temp = str_printf("%s.new", path);
    if (strlen(temp) >= sizeof(sa.sun_path))
        return err_set(err, ERR_INVALID,
                       "the socket's path %s is too long: at most %zu bytes; use a shorter --run "
                       "folder",
                       path, sizeof(sa.sun_path) - sizeof(".new"));
    str_fill(sa.sun_path, sizeof(sa.sun_path), path);
    int rv = check_place(path, &sa, err);
    if (rv < 0)
        return rv;
    int fd = bind_at(temp, err);
    if (fd < 0)
        return fd;
    rv = uv_pipe_open(&server->listener, fd);
    if (rv < 0)
        close(fd);
    else
        rv = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    if (rv == 0 && rename(temp, path) < 0)
        rv = -errno;
    struct stat st;
    if (rv == 0 && lstat(path, &st) == 0)
        server->inode = st.st_ino;
    if (rv < 0) {
        unlink(temp);
        return err_set(err, ERR_IO, "cannot listen on %s: %s", path, uv_strerror(rv));
    }
    return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    server_handle_closed(handle->data);
}

void local_stop(struct server *server)
{
    /* A newer daemon may have put its own there. */
    struct stat st;
    if (server->inode && lstat(server->config.socket_path, &st) == 0 && st.st_ino == server->inode)
        unlink(server->config.socket_path);
    while (server->locals)
        local_close(server->locals);
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}
