/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <stdio.h>

void plan_print(const struct plan_reply *plan, const char *nothing)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct table table;
    table_init(&table, (const char *[]){"ACTION", "OBJECT", "NODE", "DETAIL", NULL});
    for (size_t i = 0; i < plan->items_n; i++) {
        const struct plan_item *item = &plan->items[i];
        table_add(&table, item->action);
        table_add(&table, item->object);
        table_add(&table, item->node);
        table_add(&table, item->detail);
    }
    if (plan->items_n > 0)
        table_print(&table, &out);
    table_release(&table);
    if (!plan->changes)
        buf_printf(&out, "%s\n", nothing);
    fputs(str_or_empty(out.data), stdout);
}

int plan_foresee(struct cli *cli, const struct dry_run_request *request, struct err *err)
{
    struct plan_reply plan;
    if (cli_call(cli, "service.foresee", request, &plan, err) < 0)
        return err->code;
    if (cli->json)
        cli_print_json(&plan_item_type, plan.items, plan.items_n);
    else
        plan_print(&plan, "Nothing would change.");
    record_release(&plan_reply_type, &plan);
    return 0;
}
