/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api_image.h"

static const struct field image_list_request_fields[] = {
    FIELD_STRING(struct image_list_request, node),
};
const struct record_type image_list_request_type =
    RECORD_TYPE("image_list_request", struct image_list_request, image_list_request_fields);

static const struct field image_request_fields[] = {
    FIELD_STRING(struct image_request, name),
    FIELD_STRING(struct image_request, node),
};
const struct record_type image_request_type =
    RECORD_TYPE("image_request", struct image_request, image_request_fields);

static const struct field image_tag_request_fields[] = {
    FIELD_STRING(struct image_tag_request, image),
    FIELD_STRING(struct image_tag_request, name),
    FIELD_STRING(struct image_tag_request, node),
};
const struct record_type image_tag_request_type =
    RECORD_TYPE("image_tag_request", struct image_tag_request, image_tag_request_fields);

static const struct field image_names_reply_fields[] = {
    FIELD_STRINGS(struct image_names_reply, names),
};
const struct record_type image_names_reply_type =
    RECORD_TYPE("image_names_reply", struct image_names_reply, image_names_reply_fields);

static const struct field image_layer_record_fields[] = {
    FIELD_STRING(struct image_layer_record, digest),
    FIELD_STRING(struct image_layer_record, diff_id),
    FIELD_INT(struct image_layer_record, size_bytes),
    FIELD_INT(struct image_layer_record, unpacked_bytes),
    FIELD_BOOL(struct image_layer_record, damaged),
};
const struct record_type image_layer_record_type =
    RECORD_TYPE("image_layer_record", struct image_layer_record, image_layer_record_fields);

static const struct field image_history_record_fields[] = {
    FIELD_STRING(struct image_history_record, created),
    FIELD_STRING(struct image_history_record, created_by),
    FIELD_STRING(struct image_history_record, comment),
    FIELD_INT(struct image_history_record, layer),
    FIELD_INT(struct image_history_record, size_bytes),
};
const struct record_type image_history_record_type =
    RECORD_TYPE("image_history_record", struct image_history_record, image_history_record_fields);

static const struct field image_record_fields[] = {
    FIELD_STRINGS(struct image_record, names),
    FIELD_STRING(struct image_record, digest),
    FIELD_STRING(struct image_record, config_digest),
    FIELD_STRING(struct image_record, os),
    FIELD_STRING(struct image_record, architecture),
    FIELD_STRING(struct image_record, variant),
    FIELD_STRING(struct image_record, created),
    FIELD_STRING(struct image_record, author),
    FIELD_INT(struct image_record, size_bytes),
    FIELD_INT(struct image_record, unpacked_bytes),
    FIELD_INT(struct image_record, pulled_ms),
    FIELD_INT(struct image_record, used_ms),
    FIELD_STRINGS(struct image_record, containers),
    FIELD_BOOL(struct image_record, kept),
    FIELD_BOOL(struct image_record, damaged),
    FIELD_STRINGS(struct image_record, entrypoint),
    FIELD_STRINGS(struct image_record, cmd),
    FIELD_STRINGS(struct image_record, env),
    FIELD_STRING(struct image_record, user),
    FIELD_STRING(struct image_record, working_dir),
    FIELD_STRING(struct image_record, stop_signal),
    FIELD_STRINGS(struct image_record, volumes),
    FIELD_STRINGS(struct image_record, exposed),
    FIELD_STRINGS(struct image_record, labels),
    FIELD_LIST(struct image_record, layers, image_layer_record_type),
    FIELD_LIST(struct image_record, history, image_history_record_type),
};
const struct record_type image_record_type =
    RECORD_TYPE("image_record", struct image_record, image_record_fields);

static const struct field image_save_request_fields[] = {
    FIELD_STRING(struct image_save_request, id),   FIELD_STRINGS(struct image_save_request, names),
    FIELD_INT(struct image_save_request, offset),  FIELD_BOOL(struct image_save_request, done),
    FIELD_STRING(struct image_save_request, node),
};
const struct record_type image_save_request_type =
    RECORD_TYPE("image_save_request", struct image_save_request, image_save_request_fields);

static const struct field image_save_reply_fields[] = {
    FIELD_STRING(struct image_save_reply, id),
    FIELD_INT(struct image_save_reply, size),
    FIELD_BYTES(struct image_save_reply, data),
};
const struct record_type image_save_reply_type =
    RECORD_TYPE("image_save_reply", struct image_save_reply, image_save_reply_fields);

static const struct field image_prune_request_fields[] = {
    FIELD_BOOL(struct image_prune_request, all),
    FIELD_BOOL(struct image_prune_request, dry_run),
    FIELD_STRING(struct image_prune_request, node),
};
const struct record_type image_prune_request_type =
    RECORD_TYPE("image_prune_request", struct image_prune_request, image_prune_request_fields);

static const struct field image_check_request_fields[] = {
    FIELD_BOOL(struct image_check_request, repair),
    FIELD_STRING(struct image_check_request, node),
};
const struct record_type image_check_request_type =
    RECORD_TYPE("image_check_request", struct image_check_request, image_check_request_fields);

static const struct field image_finding_record_fields[] = {
    FIELD_STRING(struct image_finding_record, image),
    FIELD_STRING(struct image_finding_record, part),
    FIELD_STRING(struct image_finding_record, problem),
    FIELD_STRING(struct image_finding_record, containers),
    FIELD_BOOL(struct image_finding_record, fatal),
    FIELD_BOOL(struct image_finding_record, repaired),
};
const struct record_type image_finding_record_type =
    RECORD_TYPE("image_finding_record", struct image_finding_record, image_finding_record_fields);

static const struct field image_checked_fields[] = {
    FIELD_INT(struct image_checked, images),
    FIELD_INT(struct image_checked, blobs),
    FIELD_INT(struct image_checked, layers),
    FIELD_INT(struct image_checked, bytes),
    FIELD_LIST(struct image_checked, findings, image_finding_record_type),
};
const struct record_type image_checked_type =
    RECORD_TYPE("image_checked", struct image_checked, image_checked_fields);
