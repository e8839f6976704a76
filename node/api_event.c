/* SPDX-License-Identifier: Apache-2.0 */
/* event.list: what happened, page by page, and as it happens. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "node/api.h"
#include "node/daemon.h"
#include "node/waiters.h"

#include <stdlib.h>
#include <string.h>

struct listing {
    struct api_call *call;
    struct event_request request;
    struct event_reply reply;
};

/* True when @object is @name, or below it: "shop.web.2" of "shop". */
static bool is_below(const char *object, const char *name)
{
    size_t n = strlen(name);
    return n == 0 || (strncmp(object, name, n) == 0 && (object[n] == '\0' || object[n] == '.'));
}

static bool is_of_kinds(const struct event_request *request, const char *kind)
{
    for (size_t i = 0; i < request->kinds_n; i++)
        if (str_equal(request->kinds[i], kind))
            return true;
    return request->kinds_n == 0;
}

/* A token for some stacks sees what happens to them, and to the machines they are on. */
static bool is_seen(const struct caller *caller, const struct event *e)
{
    static const char *const of_stacks[] = {"stack", "service", "task", "job"};
    if (caller->token.stacks_n == 0 || str_equal(e->kind, "node"))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(of_stacks); i++) {
        if (!str_equal(e->kind, of_stacks[i]))
            continue;
        char *stack = str_copy(str_or_empty(e->object));
        stack[strcspn(stack, ".")] = '\0';
        bool sees = caller_sees(caller, stack);
        free(stack);
        return sees;
    }
    return false;
}

static bool is_wanted(const struct listing *l, const struct event *e)
{
    return e->at_ms >= l->request.since_ms && is_of_kinds(&l->request, str_or_empty(e->kind)) &&
           is_below(str_or_empty(e->object), str_or_empty(l->request.name)) &&
           is_seen(&l->call->caller, e);
}

/* Take those that are there; what is not wanted moves the cursor on. */
static void take(struct listing *l, size_t max)
{
    struct event_reply *reply = &l->reply;
    struct event *events;
    size_t n = EVENT_PAGE;
    while (n == EVENT_PAGE && reply->events_n < max) {
        bool lost;
        store_events(l->call->daemon->store, reply->last, EVENT_PAGE, &events, &n, &lost);
        reply->lost |= lost && reply->last > 0;
        size_t i = 0;
        for (; i < n && reply->events_n < max; i++) {
            reply->last = events[i].id;
            if (!is_wanted(l, &events[i]))
                continue;
            reply->events = mem_resize(reply->events, reply->events_n + 1, sizeof(*reply->events));
            reply->events[reply->events_n++] =
                (struct event_info){.id = events[i].id,
                                    .at_ms = events[i].at_ms,
                                    .kind = steal(&events[i].kind),
                                    .object = steal(&events[i].object),
                                    .text = steal(&events[i].text)};
        }
        reply->more = i < n || n == EVENT_PAGE;
        record_free_list(&event_type, events, n);
    }
}

static bool poll_events(void *arg, bool last)
{
    struct listing *l = arg;
    int64_t max = l->request.max;
    take(l, max > 0 && max < EVENT_PAGE ? (size_t)max : EVENT_PAGE);
    if (l->reply.events_n == 0 && !last)
        return false;
    api_reply(l->call, &l->reply);
    record_release(&event_reply_type, &l->reply);
    record_release(&event_request_type, &l->request);
    free(l);
    return true;
}

void api_event_list(struct api_call *c, const void *request)
{
    const struct event_request *r = request;
    struct listing *l = mem_alloc(1, sizeof(*l));
    l->call = c;
    record_copy(&event_request_type, r, &l->request);
    l->reply.last = r->after > 0 ? r->after : 0;
    waiters_add(c->daemon->waiters, r->wait_ms, poll_events, l);
}
