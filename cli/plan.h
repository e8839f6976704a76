/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan - show what a change would do.
 */
#ifndef WHERRY_CLI_PLAN_H
#define WHERRY_CLI_PLAN_H

#include "cluster/api.h"

struct cli;
struct err;

/* Print @plan as a table, or @nothing when it changes nothing. */
void plan_print(const struct plan_reply *plan, const char *nothing);

/* Ask what a change would do (service.foresee), and print it; as JSON if that is asked for. */
int plan_foresee(struct cli *cli, const struct dry_run_request *request, struct err *err);

#endif
