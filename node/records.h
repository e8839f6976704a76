/* SPDX-License-Identifier: Apache-2.0 */
/*
 * records - the users' own records of DNS: what they may say, and as messages have them.
 *
 * Values are written as in a zone file (RFC 1035, section 5.1): "10.0.0.5", "web.example.",
 * "10 mail.example", "\"some text\"". Names in them are taken as they stand, with or without a dot
 * at the end. Pure functions; any thread.
 */
#ifndef WHERRY_NODE_RECORDS_H
#define WHERRY_NODE_RECORDS_H

#include "store/model.h"

struct err;

/* Check a record and write name, type and value as the state has them to new strings; those that
 * are NULL are not wanted. ERR_INVALID says what is wrong, and how it should look. */
int record_check(const char *name, const char *type, const char *value, char **ret_name,
                 char **ret_type, char **ret_value, struct err *err);

/* Check a name and write it in lower case, without the last dot, to a new string. */
int record_check_name(const char *name, char **ret_name, struct err *err);

/* @type in upper case, as a new string. */
char *record_type_name(const char *type);

#endif
