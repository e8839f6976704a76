/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api_standalone.h"

#include "cluster/api.h"

/* clang-format off */
static const struct field container_create_request_fields[] = {
    FIELD_STRING(struct container_create_request, node),
    FIELD_STRING(struct container_create_request, container),
    FIELD_RECORD(struct container_create_request, spec, spec_type),
    FIELD_STRING(struct container_create_request, restart),
    FIELD_INT(struct container_create_request, retries_max),
    FIELD_BOOL(struct container_create_request, auto_remove),
    FIELD_BOOL(struct container_create_request, held),
};
const struct record_type container_create_request_type = RECORD_TYPE(
    "container_create_request", struct container_create_request, container_create_request_fields);

static const struct field container_create_reply_fields[] = {
    FIELD_STRING(struct container_create_reply, id),
    FIELD_STRING(struct container_create_reply, name),
};
const struct record_type container_create_reply_type = RECORD_TYPE(
    "container_create_reply", struct container_create_reply, container_create_reply_fields);

static const struct field container_stop_request_fields[] = {
    FIELD_STRING(struct container_stop_request, node),
    FIELD_STRING(struct container_stop_request, container),
    FIELD_BOOL(struct container_stop_request, has_grace),
    FIELD_INT(struct container_stop_request, grace_ms),
    FIELD_BOOL(struct container_stop_request, restart),
};
const struct record_type container_stop_request_type = RECORD_TYPE(
    "container_stop_request", struct container_stop_request, container_stop_request_fields);

static const struct field container_remove_request_fields[] = {
    FIELD_STRING(struct container_remove_request, node),
    FIELD_STRING(struct container_remove_request, container),
    FIELD_BOOL(struct container_remove_request, force),
};
const struct record_type container_remove_request_type = RECORD_TYPE(
    "container_remove_request", struct container_remove_request, container_remove_request_fields);

static const struct field container_idle_reply_fields[] = {
    FIELD_STRINGS(struct container_idle_reply, ids),
};
const struct record_type container_idle_reply_type = RECORD_TYPE(
    "container_idle_reply", struct container_idle_reply, container_idle_reply_fields);

/* --- volumes ------------------------------------------------------------------------------ */

static const struct field volume_request_fields[] = {
    FIELD_STRING(struct volume_request, node),
    FIELD_STRING(struct volume_request, volume),
    FIELD_LIST(struct volume_request, options, pair_type),
    FIELD_LIST(struct volume_request, labels, pair_type),
};
const struct record_type volume_request_type =
    RECORD_TYPE("volume_request", struct volume_request, volume_request_fields);

static const struct field volume_remove_request_fields[] = {
    FIELD_STRING(struct volume_remove_request, node),
    FIELD_STRING(struct volume_remove_request, volume),
    FIELD_BOOL(struct volume_remove_request, force),
};
const struct record_type volume_remove_request_type = RECORD_TYPE(
    "volume_remove_request", struct volume_remove_request, volume_remove_request_fields);

static const struct field volume_prune_request_fields[] = {
    FIELD_STRING(struct volume_prune_request, node),
    FIELD_BOOL(struct volume_prune_request, all),
    FIELD_BOOL(struct volume_prune_request, dry_run),
};
const struct record_type volume_prune_request_type =
    RECORD_TYPE("volume_prune_request", struct volume_prune_request, volume_prune_request_fields);

static const struct field volume_copy_request_fields[] = {
    FIELD_STRING(struct volume_copy_request, node),
    FIELD_STRING(struct volume_copy_request, container),
    FIELD_STRING(struct volume_copy_request, volume),
    FIELD_STRING(struct volume_copy_request, snapshot),
    FIELD_STRING(struct volume_copy_request, upload),
    FIELD_STRING(struct volume_copy_request, digest),
    FIELD_BOOL(struct volume_copy_request, replace),
};
const struct record_type volume_copy_request_type =
    RECORD_TYPE("volume_copy_request", struct volume_copy_request, volume_copy_request_fields);

static const struct field volume_home_request_fields[] = {
    FIELD_STRING(struct volume_home_request, volume),
    FIELD_STRING(struct volume_home_request, from),
    FIELD_STRING(struct volume_home_request, to),
};
const struct record_type volume_home_request_type =
    RECORD_TYPE("volume_home_request", struct volume_home_request, volume_home_request_fields);

static const struct field volume_info_fields[] = {
    FIELD_STRING(struct volume_info, name),
    FIELD_STRING(struct volume_info, node),
    FIELD_STRING(struct volume_info, path),
    FIELD_INT(struct volume_info, size_bytes),
    FIELD_BOOL(struct volume_info, size_cut),
    FIELD_INT(struct volume_info, limit_bytes),
    FIELD_BOOL(struct volume_info, anonymous),
    FIELD_STRING(struct volume_info, stack),
    FIELD_BOOL(struct volume_info, home),
    FIELD_STRINGS(struct volume_info, users),
    FIELD_STRINGS(struct volume_info, services),
    FIELD_INT(struct volume_info, created_ms),
};
const struct record_type volume_info_type =
    RECORD_TYPE("volume_info", struct volume_info, volume_info_fields);

static const struct field volume_list_reply_fields[] = {
    FIELD_LIST(struct volume_list_reply, volumes, volume_info_type),
};
const struct record_type volume_list_reply_type =
    RECORD_TYPE("volume_list_reply", struct volume_list_reply, volume_list_reply_fields);

static const struct field snapshot_request_fields[] = {
    FIELD_STRING(struct snapshot_request, node),
    FIELD_STRING(struct snapshot_request, volume),
    FIELD_STRING(struct snapshot_request, name),
    FIELD_BOOL(struct snapshot_request, running),
};
const struct record_type snapshot_request_type =
    RECORD_TYPE("snapshot_request", struct snapshot_request, snapshot_request_fields);

static const struct field snapshot_info_fields[] = {
    FIELD_STRING(struct snapshot_info, volume),
    FIELD_STRING(struct snapshot_info, name),
    FIELD_STRING(struct snapshot_info, node),
    FIELD_INT(struct snapshot_info, created_ms),
    FIELD_INT(struct snapshot_info, frozen_ms),
};
const struct record_type snapshot_info_type =
    RECORD_TYPE("snapshot_info", struct snapshot_info, snapshot_info_fields);

static const struct field snapshot_list_reply_fields[] = {
    FIELD_LIST(struct snapshot_list_reply, snapshots, snapshot_info_type),
};
const struct record_type snapshot_list_reply_type =
    RECORD_TYPE("snapshot_list_reply", struct snapshot_list_reply, snapshot_list_reply_fields);
