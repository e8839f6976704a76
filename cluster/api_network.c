/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of what is asked and answered about networks and records of DNS. */
#include "cluster/api.h"

/* clang-format off */
static const struct field network_create_request_fields[] = {
    FIELD_STRING(struct network_create_request, name),
    FIELD_STRING(struct network_create_request, subnet),
    FIELD_STRING(struct network_create_request, ip_range),
    FIELD_BOOL(struct network_create_request, ipv6),
    FIELD_STRING(struct network_create_request, subnet6),
    FIELD_BOOL(struct network_create_request, internal),
    FIELD_RECORD(struct network_create_request, lan, lan_spec_type),
    FIELD_LIST(struct network_create_request, labels, pair_type),
};
const struct record_type network_create_request_type = RECORD_TYPE(
    "network_create_request", struct network_create_request, network_create_request_fields);

static const struct field network_member_fields[] = {
    FIELD_STRING(struct network_member, name),
    FIELD_STRING(struct network_member, address),
    FIELD_STRING(struct network_member, address6),
    FIELD_STRING(struct network_member, node),
};
static const struct record_type network_member_type =
    RECORD_TYPE("network_member", struct network_member, network_member_fields);

static const struct field network_info_fields[] = {
    FIELD_STRING(struct network_info, name),
    FIELD_STRING(struct network_info, stack),
    FIELD_STRING(struct network_info, subnet),
    FIELD_STRING(struct network_info, ip_range),
    FIELD_STRING(struct network_info, subnet6),
    FIELD_BOOL(struct network_info, internal),
    FIELD_BOOL(struct network_info, attachable),
    FIELD_RECORD(struct network_info, lan, lan_spec_type),
    FIELD_INT(struct network_info, addresses),
    FIELD_INT(struct network_info, used),
    FIELD_LIST(struct network_info, members, network_member_type),
    FIELD_LIST(struct network_info, labels, pair_type),
};
const struct record_type network_info_type =
    RECORD_TYPE("network_info", struct network_info, network_info_fields);

static const struct field network_list_reply_fields[] = {
    FIELD_LIST(struct network_list_reply, networks, network_info_type),
};
const struct record_type network_list_reply_type =
    RECORD_TYPE("network_list_reply", struct network_list_reply, network_list_reply_fields);

static const struct field network_status_request_fields[] = {
    FIELD_STRING(struct network_status_request, node),
};
const struct record_type network_status_request_type = RECORD_TYPE(
    "network_status_request", struct network_status_request, network_status_request_fields);

static const struct field network_way_fields[] = {
    FIELD_STRING(struct network_way, from),
    FIELD_STRING(struct network_way, to),
    FIELD_STRING(struct network_way, address),
    FIELD_BOOL(struct network_way, up),
    FIELD_INT(struct network_way, lost_percent),
    FIELD_INT(struct network_way, rtt_us),
    FIELD_BOOL(struct network_way, plain),
    FIELD_INT(struct network_way, plain_lost_percent),
    FIELD_INT(struct network_way, plain_rtt_us),
    FIELD_INT(struct network_way, mtu),
    FIELD_INT(struct network_way, since_ms),
};
const struct record_type network_way_type =
    RECORD_TYPE("network_way", struct network_way, network_way_fields);

static const struct field network_status_reply_fields[] = {
    FIELD_STRING(struct network_status_reply, problem),
    FIELD_LIST(struct network_status_reply, ways, network_way_type),
};
const struct record_type network_status_reply_type = RECORD_TYPE(
    "network_status_reply", struct network_status_reply, network_status_reply_fields);

static const struct field network_port_fields[] = {
    FIELD_INT(struct network_port, port),
    FIELD_BOOL(struct network_port, udp),
    FIELD_STRING(struct network_port, holder),
};
static const struct record_type network_port_type =
    RECORD_TYPE("network_port", struct network_port, network_port_fields);

static const struct field network_ports_request_fields[] = {
    FIELD_LIST(struct network_ports_request, ports, network_port_type),
};
const struct record_type network_ports_request_type = RECORD_TYPE(
    "network_ports_request", struct network_ports_request, network_ports_request_fields);

static const struct field network_ports_reply_fields[] = {
    FIELD_LIST(struct network_ports_reply, held, network_port_type),
};
const struct record_type network_ports_reply_type =
    RECORD_TYPE("network_ports_reply", struct network_ports_reply, network_ports_reply_fields);

static const struct field dns_request_fields[] = {
    FIELD_STRING(struct dns_request, name),
    FIELD_STRING(struct dns_request, type),
    FIELD_STRING(struct dns_request, value),
    FIELD_INT(struct dns_request, ttl),
};
const struct record_type dns_request_type =
    RECORD_TYPE("dns_request", struct dns_request, dns_request_fields);

static const struct field dns_info_fields[] = {
    FIELD_STRING(struct dns_info, name),
    FIELD_STRING(struct dns_info, type),
    FIELD_STRING(struct dns_info, value),
    FIELD_INT(struct dns_info, ttl),
    FIELD_INT(struct dns_info, created_ms),
};
const struct record_type dns_info_type = RECORD_TYPE("dns_info", struct dns_info, dns_info_fields);

static const struct field dns_list_reply_fields[] = {
    FIELD_LIST(struct dns_list_reply, records, dns_info_type),
};
const struct record_type dns_list_reply_type =
    RECORD_TYPE("dns_list_reply", struct dns_list_reply, dns_list_reply_fields);
/* clang-format on */
