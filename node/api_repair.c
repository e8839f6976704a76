/* SPDX-License-Identifier: Apache-2.0 */
/* The verb about this member's own log. */
#include "node/api.h"
#include "node/daemon.h"
#include "node/repair.h"

void api_node_repair(struct api_call *c, const void *request)
{
    struct daemon *d = c->daemon;
    struct err err;
    (void)request;
    if (repair_force(d, &err) < 0) {
        api_fail(c, &err);
        return;
    }
    api_reply(c, &(struct empty){0});
    if (d->again)
        daemon_stop(d, 0, NULL);
}
