/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/api.h"

static const struct field event_request_fields[] = {
    FIELD_INT(struct event_request, after),   FIELD_INT(struct event_request, since_ms),
    FIELD_INT(struct event_request, wait_ms), FIELD_INT(struct event_request, max),
    FIELD_STRING(struct event_request, name), FIELD_STRINGS(struct event_request, kinds),
};
const struct record_type event_request_type =
    RECORD_TYPE("event_request", struct event_request, event_request_fields);

static const struct field event_info_fields[] = {
    FIELD_INT(struct event_info, id),      FIELD_INT(struct event_info, at_ms),
    FIELD_STRING(struct event_info, kind), FIELD_STRING(struct event_info, object),
    FIELD_STRING(struct event_info, text),
};
const struct record_type event_info_type =
    RECORD_TYPE("event_info", struct event_info, event_info_fields);

static const struct field event_reply_fields[] = {
    FIELD_LIST(struct event_reply, events, event_info_type),
    FIELD_INT(struct event_reply, last),
    FIELD_BOOL(struct event_reply, lost),
    FIELD_BOOL(struct event_reply, more),
};
const struct record_type event_reply_type =
    RECORD_TYPE("event_reply", struct event_reply, event_reply_fields);
