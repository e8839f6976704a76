/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of what is asked and answered about configs and secrets. */
#include "cluster/api.h"

/* clang-format off */
static const struct field content_set_request_fields[] = {
    FIELD_ENUM(struct content_set_request, kind, content_kind_names),
    FIELD_STRING(struct content_set_request, name),
    FIELD_BYTES(struct content_set_request, data, .secret = true),
    FIELD_BOOL(struct content_set_request, update),
    FIELD_LIST(struct content_set_request, labels, pair_type),
};
const struct record_type content_set_request_type =
    RECORD_TYPE("content_set_request", struct content_set_request, content_set_request_fields);

static const struct field content_set_reply_fields[] = {
    FIELD_INT(struct content_set_reply, version),
    FIELD_BOOL(struct content_set_reply, same),
    FIELD_STRINGS(struct content_set_reply, services),
};
const struct record_type content_set_reply_type =
    RECORD_TYPE("content_set_reply", struct content_set_reply, content_set_reply_fields);

static const struct field content_request_fields[] = {
    FIELD_ENUM(struct content_request, kind, content_kind_names),
    FIELD_STRING(struct content_request, name),
};
const struct record_type content_request_type =
    RECORD_TYPE("content_request", struct content_request, content_request_fields);

static const struct field content_info_fields[] = {
    FIELD_STRING(struct content_info, name),
    FIELD_STRING(struct content_info, kind),
    FIELD_INT(struct content_info, version),
    FIELD_INT(struct content_info, versions),
    FIELD_STRING(struct content_info, stack),
    FIELD_INT(struct content_info, size),
    FIELD_STRING(struct content_info, state),
    FIELD_STRINGS(struct content_info, services),
    FIELD_LIST(struct content_info, labels, pair_type),
    FIELD_STRING(struct content_info, data),
    FIELD_INT(struct content_info, created_ms),
};
const struct record_type content_info_type =
    RECORD_TYPE("content_info", struct content_info, content_info_fields);

static const struct field content_list_reply_fields[] = {
    FIELD_LIST(struct content_list_reply, contents, content_info_type),
};
const struct record_type content_list_reply_type =
    RECORD_TYPE("content_list_reply", struct content_list_reply, content_list_reply_fields);
/* clang-format on */
