/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of what is asked and answered about registries. */
#include "cluster/api.h"

/* clang-format off */
static const struct field registry_set_request_fields[] = {
    FIELD_STRING(struct registry_set_request, name),
    FIELD_BOOL(struct registry_set_request, set_login),
    FIELD_STRING(struct registry_set_request, username),
    FIELD_SECRET(struct registry_set_request, password),
    FIELD_BOOL(struct registry_set_request, check),
    FIELD_BOOL(struct registry_set_request, set_mirrors),
    FIELD_STRINGS(struct registry_set_request, mirrors),
    FIELD_BOOL(struct registry_set_request, set_plain_http),
    FIELD_BOOL(struct registry_set_request, plain_http),
    FIELD_BOOL(struct registry_set_request, set_ca),
    FIELD_STRING(struct registry_set_request, ca),
};
const struct record_type registry_set_request_type = RECORD_TYPE(
    "registry_set_request", struct registry_set_request, registry_set_request_fields);

static const struct field registry_info_fields[] = {
    FIELD_STRING(struct registry_info, name),
    FIELD_STRING(struct registry_info, username),
    FIELD_STRING(struct registry_info, login),
    FIELD_STRINGS(struct registry_info, mirrors),
    FIELD_BOOL(struct registry_info, plain_http),
    FIELD_STRING(struct registry_info, ca),
    FIELD_INT(struct registry_info, created_ms),
    FIELD_INT(struct registry_info, modified_ms),
};
const struct record_type registry_info_type =
    RECORD_TYPE("registry_info", struct registry_info, registry_info_fields);

static const struct field registry_list_reply_fields[] = {
    FIELD_LIST(struct registry_list_reply, registries, registry_info_type),
};
const struct record_type registry_list_reply_type =
    RECORD_TYPE("registry_list_reply", struct registry_list_reply, registry_list_reply_fields);
/* clang-format on */
