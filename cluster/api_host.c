/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api_host.h"

static const struct field host_check_fields[] = {
    FIELD_STRING(struct host_check, what),
    FIELD_STRING(struct host_check, result),
    FIELD_STRING(struct host_check, text),
};
const struct record_type host_check_type =
    RECORD_TYPE("host_check", struct host_check, host_check_fields);

static const struct field host_checks_fields[] = {
    FIELD_LIST(struct host_checks, checks, host_check_type),
};
const struct record_type host_checks_type =
    RECORD_TYPE("host_checks", struct host_checks, host_checks_fields);
