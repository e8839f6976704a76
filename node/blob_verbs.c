/* SPDX-License-Identifier: Apache-2.0 */
#include "node/blob_verbs.h"

static const struct field blob_have_request_fields[] = {
    FIELD_STRINGS(struct blob_have_request, digests),
    FIELD_BOOL(struct blob_have_request, claims),
};
const struct record_type blob_have_request_type =
    RECORD_TYPE("blob_have_request", struct blob_have_request, blob_have_request_fields);

static const struct field blob_found_fields[] = {
    FIELD_BOOL(struct blob_found, whole),
    FIELD_INT(struct blob_found, size),
    FIELD_INT(struct blob_found, want),
    FIELD_INT(struct blob_found, bytes),
};
const struct record_type blob_found_type =
    RECORD_TYPE("blob_found", struct blob_found, blob_found_fields);

static const struct field blob_have_reply_fields[] = {
    FIELD_LIST(struct blob_have_reply, blobs, blob_found_type),
};
const struct record_type blob_have_reply_type =
    RECORD_TYPE("blob_have_reply", struct blob_have_reply, blob_have_reply_fields);

static const struct field blob_read_request_fields[] = {
    FIELD_STRING(struct blob_read_request, digest),
    FIELD_INT(struct blob_read_request, offset),
    FIELD_INT(struct blob_read_request, len),
};
const struct record_type blob_read_request_type =
    RECORD_TYPE("blob_read_request", struct blob_read_request, blob_read_request_fields);

static const struct field blob_read_reply_fields[] = {
    FIELD_BYTES(struct blob_read_reply, data),
};
const struct record_type blob_read_reply_type =
    RECORD_TYPE("blob_read_reply", struct blob_read_reply, blob_read_reply_fields);

static const struct field image_name_request_fields[] = {
    FIELD_STRING(struct image_name_request, name),
};
const struct record_type image_name_request_type =
    RECORD_TYPE("image_name_request", struct image_name_request, image_name_request_fields);

static const struct field image_name_reply_fields[] = {
    FIELD_STRING(struct image_name_reply, digest),
    FIELD_INT(struct image_name_reply, created_ms),
};
const struct record_type image_name_reply_type =
    RECORD_TYPE("image_name_reply", struct image_name_reply, image_name_reply_fields);
