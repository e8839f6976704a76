/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolvers - who is asked for names that the cluster does not know.
 *
 * The servers that the asker's service names (dns:), else those of this machine's resolv.conf(5). A
 * container asks us only, so its service's names go on working whichever they are. Loop thread.
 */
#ifndef WHERRY_NODE_RESOLVERS_H
#define WHERRY_NODE_RESOLVERS_H

#include <netinet/in.h>
#include <stddef.h>

struct agent;
struct daemon;

/* Fill @out with at most @max servers for the container that has address @asker, or for any other
 * asker, and return how many. */
size_t resolvers_for(const struct daemon *d, struct in_addr asker, struct sockaddr_in *out,
                     size_t max);

/* The servers that the service of the agent with address @asker names; 0: none. */
size_t resolvers_of_agents(const struct agent *agents, struct in_addr asker,
                           struct sockaddr_in *out, size_t max);

/* The servers of the resolv.conf in @text, which is changed. */
size_t resolvers_of_text(char *text, struct sockaddr_in *out, size_t max);

#endif
