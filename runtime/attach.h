/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach - connect to a shim: to a container's, for its output and standard input, or to that of a
 * command in it (exec.h). The protocol is in runtime/shim/message.h.
 *
 *     container_attach(rt, id, SHIM_FROM_NOW, &fd, &err)
 *     attach_receive(fd, packet, &message)      WELCOME, OUTPUT…, EXITED
 *     attach_send(fd, &message)                 INPUT, RESIZE, …
 *     close(fd)
 *
 * Several may be attached to a container at once. Nobody who is slow holds it up: output that was
 * not fetched before 64 KiB more came is left out, and the next OUTPUT's offset says so. A
 * command's output is never left out; the command waits instead.
 *
 * Descriptors do not block; any thread, one at a time for each.
 */
#ifndef WHERRY_RUNTIME_ATTACH_H
#define WHERRY_RUNTIME_ATTACH_H

#include "runtime/shim/message.h"

struct err;
struct runtime;

/* Connect to the shim of container @id and say HELLO: @from is a place in its output (of this run),
 * SHIM_FROM_NOW or SHIM_FROM_KEPT. ERR_NOTFOUND when it does not run, ERR_UNSUPPORTED when it was
 * started by a version that did not know of this. */
int container_attach(struct runtime *rt, const char *id, uint64_t from, int *ret_fd,
                     struct err *err);

/* Likewise to command @name of container @id; ERR_NOTFOUND when it is over. */
int exec_attach(struct runtime *rt, const char *id, const char *name, uint64_t from, int *ret_fd,
                struct err *err);

/* Read the next message to @packet, from which it borrows. 1: there is one; 0: not now; -1: the
 * shim is gone, or what it said is no message. */
int attach_receive(int fd, unsigned char packet[SHIM_MESSAGE_MAX + 1], struct shim_message *ret);

/* Send @message. 0: done; 1: not now, the socket is full; -1: the shim is gone. */
int attach_send(int fd, const struct shim_message *message);

#endif
