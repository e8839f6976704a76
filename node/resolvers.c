/* SPDX-License-Identifier: Apache-2.0 */
#include "node/resolvers.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "node/agent.h"
#include "node/daemon.h"
#include "node/reconcile.h"
#include "runtime/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum {
    RESOLV_CONF_MAX = 65536,
    PORT_DNS = 53,
};

/* A server, but never ourselves. */
static bool add(const char *address, struct sockaddr_in *out)
{
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT_DNS)};
    return inet_pton(AF_INET, address, &out->sin_addr) == 1 &&
           strcmp(address, NETWORK_GATEWAY) != 0;
}

static bool has_address(const struct agent *a, const char *address)
{
    for (size_t i = 0; i < a->task.addresses_n; i++)
        if (str_equal(a->task.addresses[i].address, address))
            return true;
    return false;
}

size_t resolvers_of_agents(const struct agent *agents, struct in_addr asker,
                           struct sockaddr_in *out, size_t max)
{
    char address[INET_ADDRSTRLEN];
    size_t n = 0;
    inet_ntop(AF_INET, &asker, address, sizeof(address));
    for (const struct agent *a = agents; a; a = a->next) {
        const struct container_options *o = &a->spec.options;
        if (o->dns_n == 0 || !has_address(a, address))
            continue;
        for (size_t i = 0; i < o->dns_n && n < max; i++)
            n += add(str_or_empty(o->dns[i]), &out[n]);
        break;
    }
    return n;
}

size_t resolvers_of_text(char *text, struct sockaddr_in *out, size_t max)
{
    size_t n = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line && n < max;
         line = strtok_r(NULL, "\n", &save)) {
        char address[64];
        if (sscanf(line, " nameserver %63s", address) == 1)
            n += add(address, &out[n]);
    }
    return n;
}

size_t resolvers_for(const struct daemon *d, struct in_addr asker, struct sockaddr_in *out,
                     size_t max)
{
    cleanup_buf struct buf text = BUF_INIT;
    size_t n =
        d->reconcile ? resolvers_of_agents(reconcile_agents(d->reconcile), asker, out, max) : 0;
    if (n > 0 || file_read("/etc/resolv.conf", RESOLV_CONF_MAX, &text, NULL) < 0 || !text.data)
        return n;
    return resolvers_of_text(text.data, out, max);
}
