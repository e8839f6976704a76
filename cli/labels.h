/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels - KEY=VALUE as options have them.
 */
#ifndef WHERRY_CLI_LABELS_H
#define WHERRY_CLI_LABELS_H

#include "cli/args.h"
#include "store/model.h"

struct err;

/* Parse labels into a new list, sorted by key; of one that is there twice the last counts. Free
 * with record_free_list(&pair_type). ERR_INVALID, and nothing to free. */
int labels_read(const struct arg_texts *texts, struct pair **ret, size_t *ret_n, struct err *err);

#endif
