/* SPDX-License-Identifier: Apache-2.0 */
/*
 * habit - what people type who come from other tools, and what does it here.
 */
#ifndef WHERRY_CLI_HABIT_H
#define WHERRY_CLI_HABIT_H

/* What to use for the unknown command @word below @path ("" or "node"), as a phrase; NULL when
 * nothing is known of it. */
const char *habit_find(const char *path, const char *word);

#endif
