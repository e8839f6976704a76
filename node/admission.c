/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admission.h"

static const struct field admission_fields[] = {
    FIELD_SECRET(struct admission, token), FIELD_RECORD(struct admission, node, node_type),
    FIELD_BOOL(struct admission, replace), FIELD_BOOL(struct admission, ask),
    FIELD_BYTES(struct admission, renew),
};
const struct record_type admission_type =
    RECORD_TYPE("admission", struct admission, admission_fields);
static const struct field welcome_fields[] = {
    FIELD_INT(struct welcome, code),       FIELD_STRING(struct welcome, message),
    FIELD_STRING(struct welcome, cluster), FIELD_INT(struct welcome, node_id),
    FIELD_STRING(struct welcome, ca_cert), FIELD_SECRET(struct welcome, ca_key),
    FIELD_STRING(struct welcome, chain),   FIELD_INT(struct welcome, key_generation),
    FIELD_BYTES(struct welcome, key),      FIELD_BOOL(struct welcome, locked),
    FIELD_INT(struct welcome, raft_id),    FIELD_LIST(struct welcome, nodes, node_type),
};
const struct record_type welcome_type = RECORD_TYPE("welcome", struct welcome, welcome_fields);
