/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_network - what is asked and answered about networks and records of DNS. Included by api.h.
 */
#ifndef WHERRY_CLUSTER_API_NETWORK_H
#define WHERRY_CLUSTER_API_NETWORK_H

#include "store/model.h"

/* A network of no stack. */
struct network_create_request {
    char *name;
    char *subnet;   /* "": one of the cluster's pool */
    char *ip_range; /* "": all of the subnet */
    bool ipv6;      /* it has IPv6 too */
    char *subnet6;  /* "": made by the cluster */
    bool internal;
    struct lan_spec lan;
    struct pair *labels; /* sorted by key */
    size_t labels_n;
};

struct network_info {
    char *name;
    char *stack; /* "": made by hand */
    char *subnet;
    char *ip_range;
    char *subnet6; /* "": no IPv6 */
    bool internal;
    bool attachable;
    struct lan_spec lan;
    int64_t addresses; /* that can be given out */
    int64_t used;      /* … and are */
    struct network_member {
        char *name; /* "app.web" of a service's address, "app.web.2" of a task's */
        char *address;
        char *address6; /* "": none */
        char *node;     /* of a task */
    } * members;        /* when one was asked for */
    size_t members_n;
    struct pair *labels;
    size_t labels_n;
};

struct network_list_reply {
    struct network_info *networks;
    size_t networks_n;
};

struct network_status_request {
    char *node; /* whose ways to the others; "": of the member that is called */
};

struct network_status_reply {
    char *problem; /* why its network is not as it should be; "": it is */
    struct network_way {
        char *from, *to; /* members' names */
        char *address;   /* of the latter, as it is reached */
        bool up;         /* by the tunnel */
        int64_t lost_percent;
        int64_t rtt_us; /* of the last answer */
        bool plain;     /* plain routes are taken */
        int64_t plain_lost_percent;
        int64_t plain_rtt_us;
        int64_t mtu;      /* the largest packet of a container that gets there by the tunnel */
        int64_t since_ms; /* that up and plain are so */
    } * ways;
    size_t ways_n;
};

/* Which of these ports do processes of the member hold? */
struct network_ports_request {
    struct network_port {
        int64_t port;
        bool udp;     /* else TCP */
        char *holder; /* in a reply: "sshd (pid 812)" */
    } * ports;
    size_t ports_n;
};

struct network_ports_reply {
    struct network_port *held;
    size_t held_n;
};

struct dns_request {
    char *name;
    char *type;  /* "A", "AAAA", "CNAME", "TXT", "SRV", "MX"; to remove: "" for all */
    char *value; /* as in a zone file; to remove: "" for all */
    int64_t ttl; /* seconds; 0: DNS_TTL_DEFAULT */
};

struct dns_info {
    char *name;
    char *type;
    char *value;
    int64_t ttl;
    int64_t created_ms;
};

struct dns_list_reply {
    struct dns_info *records;
    size_t records_n;
};

extern const struct record_type network_info_type, network_way_type, dns_info_type;

#endif
