/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/why.h"

#include "scheduler/filter.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"

#include <inttypes.h>

enum {
    MIB = 1 << 20,
};

static const char *home_name(const struct view *view, int64_t home)
{
    for (size_t i = 0; i < view->nodes_n; i++)
        if (view->nodes[i].id == home)
            return str_or_empty(view->nodes[i].name);
    return "elsewhere";
}

/* The first constraint of @spec that @node does not meet. */
static void say_constraint(const struct spec *spec, const struct node *node, struct buf *out)
{
    for (size_t i = 0; i < spec->constraints_n; i++) {
        const struct constraint *c = &spec->constraints[i];
        if (constraint_matches(c, node))
            continue;
        buf_printf(out, "not %.100s %s %.100s", str_or_empty(c->key),
                   c->negated ? "!=" : "==", str_or_empty(c->value));
        return;
    }
}

/* The first resource of which too few are left. */
static void say_resource(const struct spec *spec, const struct node_ledger *page, struct buf *out)
{
    for (size_t i = 0; i < spec->resources_n; i++) {
        const char *name = str_or_empty(spec->resources[i].name);
        int64_t left = ledger_resource_left(page, name);
        if (left >= spec->resources[i].count)
            continue;
        buf_printf(out, "%" PRId64 " of %.63s left, %" PRId64 " are asked for", left, name,
                   spec->resources[i].count);
        return;
    }
}

static int64_t at_least_zero(int64_t n)
{
    return n > 0 ? n : 0;
}

static void say(const struct view *view, const struct demand *demand,
                const struct node_ledger *page, enum refusal refusal, struct buf *out)
{
    const struct resources *asked = &demand->spec->reservations;
    switch (refusal) {
    case REFUSED_WITNESS:
    case REFUSED_DOWN:
    case REFUSED_PAUSED:
    case REFUSED_DRAINING:
        buf_puts(out, refusal_text(refusal));
        break;
    case REFUSED_PLATFORM:
        buf_printf(out, "is %s/%s, not %s", str_or_empty(page->node->os),
                   str_or_empty(page->node->arch), str_or_empty(demand->spec->platform));
        break;
    case REFUSED_CONSTRAINT:
        say_constraint(demand->spec, page->node, out);
        break;
    case REFUSED_VOLUME:
        if (demand->home == HOME_NONE)
            buf_puts(out, "its volumes have different homes");
        else
            buf_printf(out, "the home of its volume is %s", home_name(view, demand->home));
        break;
    case REFUSED_CPU:
        buf_printf(out, "%" PRId64 " thousandths of CPU unreserved, %" PRId64 " are asked for",
                   at_least_zero(page->cpu_left), asked->cpu_milli);
        break;
    case REFUSED_MEMORY:
        buf_printf(out, "%" PRId64 " MiB of memory unreserved, %" PRId64 " are asked for",
                   at_least_zero(page->memory_left) / MIB, (asked->memory_bytes + MIB - 1) / MIB);
        break;
    case REFUSED_RESOURCE:
        say_resource(demand->spec, page, out);
        break;
    case REFUSED_MAX_PER_NODE:
        buf_printf(out, "has %" PRId64 " of at most %" PRId64 " of its tasks", page->own,
                   demand->max_per_node);
        break;
    case REFUSED_MAX:
        buf_puts(out, "has room");
        break;
    }
}

void scheduler_why(const struct view *view, const struct service *service, const struct node *node,
                   struct buf *out)
{
    struct lookup lookup;
    struct ledger ledger;
    struct demand demand;
    size_t place;
    lookup_init(&lookup, view);
    ledger_init(&ledger, &lookup);
    for (size_t i = 0; i < view->services_n; i++)
        if (view->services[i].id == service->id)
            ledger_focus(&ledger, &lookup, &lookup.services[i]);
    demand_init(&demand, &lookup, service);
    if (lookup_node(&lookup, node->id, &place)) {
        const struct node_ledger *page = &ledger.nodes[place];
        say(view, &demand, page, filter_node(&demand, page), out);
    }
    ledger_release(&ledger);
    lookup_release(&lookup);
}
