/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portcheck - are the ports that a deploy publishes free on the members?
 *
 * Ports that the stack publishes already are not looked at, nor those of a machine's own (`mode:
 * host`): where their tasks will be is not known. Members that do not answer soon are left out; a
 * member does not take a port from a process of its own anyway (netstate.h). Loop thread.
 */
#ifndef WHERRY_NODE_PORTCHECK_H
#define WHERRY_NODE_PORTCHECK_H

struct api_call;
struct daemon;
struct deploy_request;
struct err;
struct network_ports_reply;

/* Ask all members. @cb comes later, exactly once; ERR_CONFLICT names who holds which port where. */
void portcheck(struct daemon *d, const struct deploy_request *request,
               void (*cb)(void *arg, const struct err *err), void *arg);

#endif
