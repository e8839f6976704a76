/* SPDX-License-Identifier: Apache-2.0 */
#include "node/portcheck.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/forward.h"
#include "node/job.h"
#include "runtime/listeners.h"

#include <netinet/in.h>
#include <stdlib.h>

enum {
    WAIT_MS = 2000,
    TOLD_MAX = 3, /* of the ports that are held */
};

/* --- here ------------------------------------------------------------------------------------- */

/* A member's own ports are looked at by a job: all processes are. */
struct look {
    struct api_call *call;
    struct network_ports_request request;
    struct network_ports_reply reply;
    struct err err;
};

static void look(void *arg)
{
    struct look *w = arg;
    struct listener *list = NULL;
    size_t n = 0;
    if (listeners_read(&list, &n, &w->err) < 0)
        return;
    w->reply.held = mem_alloc(w->request.ports_n, sizeof(*w->reply.held));
    for (size_t i = 0; i < w->request.ports_n; i++) {
        const struct network_port *p = &w->request.ports[i];
        const struct listener *found =
            listeners_find(list, n, p->udp ? IPPROTO_UDP : IPPROTO_TCP, (uint16_t)p->port, false);
        char holder[LISTENERS_HOLDER];
        if (!found)
            continue;
        listener_holder(found, holder);
        w->reply.held[w->reply.held_n++] =
            (struct network_port){.port = p->port, .udp = p->udp, .holder = str_copy(holder)};
    }
    free(list);
}

static void on_look(void *arg)
{
    struct look *w = arg;
    if (w->err.code != 0)
        api_fail(w->call, &w->err);
    else
        api_reply(w->call, &w->reply);
    record_release(&network_ports_request_type, &w->request);
    record_release(&network_ports_reply_type, &w->reply);
    free(w);
}

void api_network_ports(struct api_call *c, const void *request)
{
    if (!c->daemon->runtime) {
        api_fail_with(c, ERR_UNSUPPORTED, "%s is a witness and publishes no ports",
                      c->daemon->name);
        return;
    }
    struct look *w = mem_alloc(1, sizeof(*w));
    w->call = c;
    record_copy(&network_ports_request_type, request, &w->request);
    jobs_run(c->daemon->jobs, look, on_look, w);
}

/* --- everywhere ------------------------------------------------------------------------------- */

struct check {
    struct daemon *daemon;
    struct network_ports_request request;
    size_t waiting;
    size_t held;
    struct buf told;
    void (*cb)(void *arg, const struct err *err);
    void *arg;
    struct look here; /* without a call */
};

/* One member's question. */
struct question {
    struct check *check;
    char *node;
};

static bool is_published(const struct service *services, size_t n, const char *stack,
                         const struct port_spec *port)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < services[i].spec.ports_n; k++) {
            const struct port_spec *p = &services[i].spec.ports[k];
            if (str_equal(services[i].stack, stack) && p->published == port->published &&
                p->protocol == port->protocol && p->mode == port->mode)
                return true;
        }
    return false;
}

static void find_ports(struct check *check, const struct deploy_request *r)
{
    struct service *services;
    size_t n, most = 0;
    store_list(check->daemon->store, TABLE_SERVICE, BY_NONE, 0, &services, &n);
    for (size_t i = 0; i < r->services_n; i++)
        most += r->services[i].spec.ports_n;
    check->request.ports = mem_alloc(most, sizeof(*check->request.ports));
    for (size_t i = 0; i < r->services_n; i++)
        for (size_t k = 0; k < r->services[i].spec.ports_n; k++) {
            const struct port_spec *p = &r->services[i].spec.ports[k];
            if (p->published && p->mode != PORT_HOST && !is_published(services, n, r->name, p))
                check->request.ports[check->request.ports_n++] =
                    (struct network_port){.port = p->published, .udp = p->protocol == PROTOCOL_UDP};
        }
    record_free_list(&service_type, services, n);
}

static void add_held(struct check *check, const char *node, const struct network_ports_reply *reply)
{
    for (size_t i = 0; i < reply->held_n; i++) {
        const struct network_port *p = &reply->held[i];
        if (check->held++ < TOLD_MAX)
            buf_printf(&check->told, "%sport %lld/%s is held by %s on %s",
                       check->told.len ? "; " : "", (long long)p->port, p->udp ? "udp" : "tcp",
                       str_or_empty(p->holder), node);
    }
}

static void answered(struct check *check)
{
    struct err err = {0};
    if (--check->waiting > 0)
        return;
    if (check->held)
        err_set(&err, ERR_CONFLICT, "%s%s: publish others, or stop those",
                check->told.len ? check->told.data : "",
                check->held > TOLD_MAX ? "; and more" : "");
    check->cb(check->arg, &err);
    buf_release(&check->told);
    record_release(&network_ports_request_type, &check->request);
    free(check);
}

static void on_here(void *arg)
{
    struct check *check = arg;
    if (check->here.err.code == 0)
        add_held(check, check->daemon->name, &check->here.reply);
    record_release(&network_ports_reply_type, &check->here.reply);
    answered(check);
}

static void look_here(void *arg)
{
    struct check *check = arg;
    check->here.request = check->request;
    look(&check->here);
}

static void on_reply(void *arg, const struct err *err, const struct reply *reply)
{
    struct question *q = arg;
    struct network_ports_reply ports = {0};
    struct err remote = {0};
    /* A member that does not answer, or is older, does not hold up a deploy. */
    if (err->code == 0 && reply_get_err(reply, &remote) == 0 &&
        record_decode(&network_ports_reply_type, reply->body.data, reply->body.len, false, &ports,
                      &remote) == 0)
        add_held(q->check, q->node, &ports);
    record_release(&network_ports_reply_type, &ports);
    answered(q->check);
    free(q->node);
    free(q);
}

static void ask(struct check *check, const struct node *node)
{
    cleanup_buf struct buf body = BUF_INIT;
    cleanup_free char *verb = str_copy("network.ports");
    struct question *q = mem_alloc(1, sizeof(*q));
    *q = (struct question){check, str_copy(node->name)};
    record_encode(&network_ports_request_type, &check->request, &body);
    struct call call = {.verb = verb, .body = {(unsigned char *)body.data, body.len}};
    check->waiting++;
    forward_call(check->daemon->forward, node->id, &call, WAIT_MS, on_reply, q);
}

void portcheck(struct daemon *d, const struct deploy_request *request,
               void (*cb)(void *arg, const struct err *err), void *arg)
{
    struct check *check = mem_alloc(1, sizeof(*check));
    *check = (struct check){.daemon = d, .cb = cb, .arg = arg, .waiting = 1};
    find_ports(check, request);
    struct node *nodes;
    size_t n;
    store_list(d->store, TABLE_NODE, BY_NONE, 0, &nodes, &n);
    for (size_t i = 0; i < n && check->request.ports_n > 0; i++)
        if (nodes[i].id != d->id && !nodes[i].witness && nodes[i].status == NODE_UP)
            ask(check, &nodes[i]);
    record_free_list(&node_type, nodes, n);
    if (check->request.ports_n > 0 && d->runtime)
        jobs_run(d->jobs, look_here, on_here, check);
    else
        answered(check);
}
