/* SPDX-License-Identifier: Apache-2.0 */
/* The verb that helps a member find the others. */
#include "base/mem.h"
#include "cluster/bus.h"
#include "node/addresses.h"
#include "node/api.h"
#include "node/daemon.h"

static void on_connected(void *arg, const struct err *err, int64_t id)
{
    struct api_call *c = arg;
    char name[80];
    if (err->code != 0) {
        api_fail(c, err);
        return;
    }
    daemon_node_name(c->daemon, id, name, sizeof(name));
    api_reply(c, &(struct connect_reply){.node_id = id, .name = name});
}

void api_connect(struct api_call *c, const void *request)
{
    const struct connect_request *r = request;
    bus_connect(c->daemon->bus, str_or_empty(r->address), on_connected, c);
}
