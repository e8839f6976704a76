/* SPDX-License-Identifier: Apache-2.0 */
/* loop - the one place where a shim waits. */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DEADLINE_AGAIN_MS = 20,
    DEADLINE_LOOK_MS = 60000,
};

enum slot {
    SLOT_SIGNAL,
    SLOT_OUT,
    SLOT_ERR,
    SLOT_INPUT,
    SLOT_CONSOLE,
    SLOT_LISTEN,
    SLOT_CLIENTS,
    SLOTS = SLOT_CLIENTS + SHIM_CLIENTS_MAX,
};

/* Reap everything but the first process, whose end is told before it may be another's pid. */
static void reap(struct shim *shim)
{
    int status;
    if (shim->oci && waitpid(shim->oci, &status, WNOHANG) == shim->oci) {
        shim->oci = 0;
        shim_on_oci_end(shim, status);
    }
    if (shim->oci)
        return;
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            break;
        if (info.si_pid == shim->pid)
            shim_on_end(shim, info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status);
        waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void on_signal(struct shim *shim)
{
    struct signalfd_siginfo info;
    while (read(shim->signal_fd, &info, sizeof(info)) > 0)
        ;
    reap(shim);
}

static void fill(struct shim *shim, struct pollfd fds[SLOTS])
{
    bool room = !shim->exec || shim_ring_room(&shim->ring) > 0;
    fds[SLOT_SIGNAL] = (struct pollfd){.fd = shim->signal_fd, .events = POLLIN};
    for (int i = 0; i < 2; i++)
        fds[SLOT_OUT + i] =
            (struct pollfd){.fd = room ? shim->streams[i].fd : -1, .events = POLLIN};
    fds[SLOT_INPUT] =
        (struct pollfd){.fd = shim->input.len ? shim->input.fd : -1, .events = POLLOUT};
    fds[SLOT_CONSOLE] = (struct pollfd){.fd = shim->console_fd, .events = POLLIN};
    fds[SLOT_LISTEN] = (struct pollfd){.fd = shim->listen_fd, .events = POLLIN};
    for (int i = 0; i < SHIM_CLIENTS_MAX; i++) {
        struct shim_client *c = &shim->clients[i];
        short events = (short)(POLLIN | (c->blocked ? POLLOUT : 0));
        fds[SLOT_CLIENTS + i] = (struct pollfd){.fd = c->fd, .events = events};
    }
}

static void serve(struct shim *shim, const struct pollfd fds[SLOTS])
{
    if (fds[SLOT_CONSOLE].revents)
        shim_console_accept(shim);
    for (int i = 0; i < 2; i++)
        if (fds[SLOT_OUT + i].revents)
            shim_stream_read(shim, &shim->streams[i]);
    if (fds[SLOT_INPUT].revents) {
        shim_input_flush(&shim->input);
        if (shim->input.len < sizeof(shim->input.bytes) / 2)
            shim_clients_room(shim);
    }
    if (fds[SLOT_LISTEN].revents)
        shim_clients_accept(shim);
    for (int i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (fds[SLOT_CLIENTS + i].revents && shim->clients[i].fd == fds[SLOT_CLIENTS + i].fd)
            shim_client_read(shim, &shim->clients[i]);
    if (fds[SLOT_SIGNAL].revents)
        on_signal(shim);
}

/* Its deadline may have been put off; else the first process is killed, and with it all others of
 * its namespace. Returns how long to wait until it is to be looked at again. */
static int64_t deadline_tick(struct shim *shim)
{
    int64_t now = shim_boot_ms();
    if (now >= shim->deadline_ms) {
        long long later = shim_read_number(shim->state_fd, SHIM_FILE_DEADLINE);
        if (later > now) {
            shim->deadline_ms = later;
        } else {
            if (shim->oci)
                kill(shim->oci, SIGKILL);
            if (shim->pid > 0)
                kill(shim->pid, SIGKILL);
            return DEADLINE_AGAIN_MS;
        }
    }
    int64_t left = shim->deadline_ms - now;
    return left < DEADLINE_LOOK_MS ? left : DEADLINE_LOOK_MS;
}

_Noreturn void shim_loop(struct shim *shim)
{
    int64_t start_by = shim_boot_ms() + SHIM_START_MAX_MS;
    for (;;) {
        struct pollfd fds[SLOTS];
        shim_clients_pump(shim);
        fill(shim, fds);
        int wait_ms = shim->oci || shim->exec ? 1000 : -1;
        if (shim->deadline_ms > 0 && !shim->exec) {
            int64_t left = deadline_tick(shim);
            wait_ms = wait_ms < 0 || left < wait_ms ? (int)left : wait_ms;
        }
        int n = poll(fds, SLOTS, wait_ms);
        if (n < 0 && errno != EINTR)
            abort();
        if (shim->oci && shim_boot_ms() > start_by)
            kill(shim->oci, SIGKILL);
        if (n > 0)
            serve(shim, fds);
        if (shim->exec)
            shim_exec_tick(shim);
    }
}
