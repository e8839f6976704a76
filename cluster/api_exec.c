/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api_exec.h"

#include "cluster/api.h"

/* clang-format off */
static const struct field exec_request_fields[] = {
    FIELD_INT(struct exec_request, task_id),
    FIELD_STRING(struct exec_request, container),
    FIELD_STRING(struct exec_request, node),
    FIELD_STRING(struct exec_request, name),
    FIELD_STRINGS(struct exec_request, argv),
    FIELD_STRINGS(struct exec_request, environment),
    FIELD_STRING(struct exec_request, user),
    FIELD_STRING(struct exec_request, working_dir),
    FIELD_BOOL(struct exec_request, tty),
    FIELD_BOOL(struct exec_request, stdin_open),
    FIELD_BOOL(struct exec_request, privileged),
    FIELD_INT(struct exec_request, rows),
    FIELD_INT(struct exec_request, columns),
};
const struct record_type exec_request_type =
    RECORD_TYPE("exec_request", struct exec_request, exec_request_fields);

static const struct field attach_request_fields[] = {
    FIELD_INT(struct attach_request, task_id),
    FIELD_STRING(struct attach_request, container),
    FIELD_STRING(struct attach_request, node),
    FIELD_INT(struct attach_request, place),
    FIELD_INT(struct attach_request, run),
};
const struct record_type attach_request_type =
    RECORD_TYPE("attach_request", struct attach_request, attach_request_fields);

static const struct field session_started_fields[] = {
    FIELD_INT(struct session_started, node_id),
    FIELD_STRING(struct session_started, session),
    FIELD_INT(struct session_started, run),
    FIELD_INT(struct session_started, place),
    FIELD_BOOL(struct session_started, tty),
    FIELD_BOOL(struct session_started, has_input),
};
const struct record_type session_started_type =
    RECORD_TYPE("session_started", struct session_started, session_started_fields);

static const struct field session_read_request_fields[] = {
    FIELD_INT(struct session_read_request, node_id),
    FIELD_STRING(struct session_read_request, session),
    FIELD_INT(struct session_read_request, place),
    FIELD_INT(struct session_read_request, wait_ms),
};
const struct record_type session_read_request_type =
    RECORD_TYPE("session_read_request", struct session_read_request, session_read_request_fields);

static const struct field session_read_reply_fields[] = {
    FIELD_BYTES(struct session_read_reply, output),
    FIELD_INT(struct session_read_reply, place),
    FIELD_BOOL(struct session_read_reply, ended),
    FIELD_BOOL(struct session_read_reply, has_code),
    FIELD_INT(struct session_read_reply, code),
};
const struct record_type session_read_reply_type =
    RECORD_TYPE("session_read_reply", struct session_read_reply, session_read_reply_fields);

static const struct field session_write_request_fields[] = {
    FIELD_INT(struct session_write_request, node_id),
    FIELD_STRING(struct session_write_request, session),
    FIELD_INT(struct session_write_request, place),
    FIELD_BYTES(struct session_write_request, input),
    FIELD_BOOL(struct session_write_request, close),
    FIELD_INT(struct session_write_request, rows),
    FIELD_INT(struct session_write_request, columns),
    FIELD_INT(struct session_write_request, wait_ms),
};
const struct record_type session_write_request_type =
    RECORD_TYPE("session_write_request", struct session_write_request, session_write_request_fields);

static const struct field session_write_reply_fields[] = {
    FIELD_INT(struct session_write_reply, taken),
    FIELD_BOOL(struct session_write_reply, ended),
};
const struct record_type session_write_reply_type =
    RECORD_TYPE("session_write_reply", struct session_write_reply, session_write_reply_fields);

static const struct field session_request_fields[] = {
    FIELD_INT(struct session_request, node_id),
    FIELD_STRING(struct session_request, session),
};
const struct record_type session_request_type =
    RECORD_TYPE("session_request", struct session_request, session_request_fields);
/* clang-format on */
