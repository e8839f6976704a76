/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/nft.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

enum {
    FAMILY = NFPROTO_INET,
    MESSAGE_MAX = 65536, /* room for any one message; elements are split to stay well below */
    ELEMENTS_MAX = 256,  /* in one message: at most 40 KiB */
    FIRST_SEQ = 16,      /* of the body; the messages for the table come before */
    ACK_SEQ = 4,
};

struct nft_set {
    const char *name;
    uint32_t id, flags;
    uint32_t key_type, key_len, data_type, data_len;
    struct nftnl_set **parts; /* the elements, ELEMENTS_MAX in each */
    size_t parts_n, elements;
};

void nft_batch_init(struct nft_batch *b, const char *table)
{
    *b = (struct nft_batch){.table = table, .seq = FIRST_SEQ};
}

void nft_batch_release(struct nft_batch *b)
{
    buf_release(&b->body);
}

/* Room for a message at the end of @out. All behind the end is zero, so that padding, which the
 * libraries leave as it was, is the same each time. */
static char *room(struct buf *out)
{
    check(out->len % MNL_ALIGNTO == 0);
    if (out->cap - out->len <= MESSAGE_MAX) {
        buf_reserve(out, out->len + (size_t)4 * MESSAGE_MAX);
        memset(out->data + out->len, 0, out->cap - out->len);
    }
    return out->data + out->len;
}

/* Start a message at the end of @out. */
static struct nlmsghdr *begin(struct buf *out, uint16_t type, uint16_t flags, uint32_t seq)
{
    char *at = room(out);
    return nftnl_nlmsg_build_hdr(at, type, FAMILY, flags, seq);
}

static void end(struct buf *out, const struct nlmsghdr *msg)
{
    check(msg->nlmsg_len % MNL_ALIGNTO == 0 && msg->nlmsg_len < MESSAGE_MAX);
    out->len += msg->nlmsg_len;
}

static void add_chain(struct nft_batch *b, struct nftnl_chain *chain, const char *name)
{
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, b->table);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
    struct nlmsghdr *msg = begin(&b->body, NFT_MSG_NEWCHAIN, NLM_F_CREATE, b->seq++);
    nftnl_chain_nlmsg_build_payload(msg, chain);
    end(&b->body, msg);
    nftnl_chain_free(chain);
    b->chains++;
}

void nft_chain(struct nft_batch *b, const char *name)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();
    check(chain);
    add_chain(b, chain, name);
}

void nft_base_chain(struct nft_batch *b, const char *name, const char *type, uint32_t hook,
                    int32_t priority)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();
    check(chain);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, type);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
    nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
    nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
    add_chain(b, chain, name);
}

uint32_t nft_type_pair(enum nft_type first, enum nft_type second)
{
    return (uint32_t)first << 6 | (uint32_t)second;
}

struct nft_set *nft_set(struct nft_batch *b, const char *name, uint32_t flags, uint32_t key_type,
                        uint32_t key_len)
{
    struct nft_set *set = mem_alloc(1, sizeof(*set));
    *set = (struct nft_set){
        .name = name, .id = ++b->set_id, .flags = flags, .key_type = key_type, .key_len = key_len};
    return set;
}

void nft_set_data(struct nft_set *set, uint32_t type, uint32_t len)
{
    set->flags |= NFT_SET_MAP;
    set->data_type = type;
    set->data_len = len;
}

void nft_set_ranges(struct nft_set *set)
{
    set->flags |= NFT_SET_INTERVAL | NFT_SET_CONCAT;
}

void nft_set_intervals(struct nft_set *set)
{
    check(set->key_len == sizeof(uint32_t));
    set->flags |= NFT_SET_INTERVAL;
}

static struct nftnl_set_elem *add_element(struct nft_set *set, const void *key)
{
    if (set->elements % ELEMENTS_MAX == 0) {
        set->parts = mem_resize(set->parts, set->parts_n + 1, sizeof(struct nftnl_set *));
        set->parts[set->parts_n] = nftnl_set_alloc();
        check(set->parts[set->parts_n]);
        set->parts_n++;
    }
    struct nftnl_set_elem *element = nftnl_set_elem_alloc();
    check(element);
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, set->key_len);
    nftnl_set_elem_add(set->parts[set->parts_n - 1], element);
    set->elements++;
    return element;
}

void nft_set_add(struct nft_set *set, const void *key, const void *end_key, const void *data)
{
    struct nftnl_set_elem *element = add_element(set, key);
    if (end_key && !(set->flags & NFT_SET_CONCAT)) {
        /* Where the range is over: the first key behind it. */
        uint32_t behind;
        memcpy(&behind, end_key, sizeof(behind));
        behind = htonl(ntohl(behind) + 1);
        if (behind == 0)
            return; /* it ends with the last key there is */
        nftnl_set_elem_set_u32(add_element(set, &behind), NFTNL_SET_ELEM_FLAGS,
                               NFT_SET_ELEM_INTERVAL_END);
    } else if (end_key)
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, end_key, set->key_len);
    if (data)
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, data, set->data_len);
}

void nft_set_add_goto(struct nft_set *set, const void *key, const char *chain)
{
    struct nftnl_set_elem *element = add_element(set, key);
    nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_GOTO);
    nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_CHAIN, chain);
}

/* Numbers of the machine's own byte order are told to `nft list`, which shows them else reversed.
 */
static void put_byte_order(struct nftnl_set *s, const struct nft_set *set)
{
    enum {
        HOST_ORDER = 1,
        NETWORK_ORDER = 2,
    };
    if (set->key_type != NFT_TYPE_INTEGER && set->data_type != NFT_TYPE_MARK)
        return;
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(64);
    check(data);
    nftnl_udata_put_u32(data, NFTNL_UDATA_SET_KEYBYTEORDER,
                        set->key_type == NFT_TYPE_INTEGER ? HOST_ORDER : NETWORK_ORDER);
    nftnl_udata_put_u32(data, NFTNL_UDATA_SET_DATABYTEORDER,
                        set->data_type == NFT_TYPE_MARK ? HOST_ORDER : NETWORK_ORDER);
    nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data),
                       nftnl_udata_buf_len(data));
    nftnl_udata_buf_free(data);
}

/* The message that makes the set. */
static void put_set(struct nft_batch *b, const struct nft_set *set)
{
    struct nftnl_set *s = nftnl_set_alloc();
    check(s);
    nftnl_set_set_str(s, NFTNL_SET_TABLE, b->table);
    nftnl_set_set_str(s, NFTNL_SET_NAME, set->name);
    nftnl_set_set_u32(s, NFTNL_SET_ID, set->id);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, set->flags);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, set->key_type);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, set->key_len);
    if (set->flags & NFT_SET_MAP)
        nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, set->data_type);
    if (set->data_len)
        nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, set->data_len);
    if (set->flags & NFT_SET_CONCAT) {
        const uint8_t fields[] = {4, 4};
        nftnl_set_set_data(s, NFTNL_SET_DESC_CONCAT, fields, sizeof(fields));
    }
    put_byte_order(s, set);
    struct nlmsghdr *msg = begin(&b->body, NFT_MSG_NEWSET, NLM_F_CREATE, b->seq++);
    nftnl_set_nlmsg_build_payload(msg, s);
    end(&b->body, msg);
    nftnl_set_free(s);
}

uint32_t nft_set_end(struct nft_batch *b, struct nft_set *set)
{
    put_set(b, set);
    for (size_t i = 0; i < set->parts_n; i++) {
        struct nftnl_set *part = set->parts[i];
        nftnl_set_set_str(part, NFTNL_SET_TABLE, b->table);
        nftnl_set_set_str(part, NFTNL_SET_NAME, set->name);
        nftnl_set_set_u32(part, NFTNL_SET_ID, set->id);
        struct nlmsghdr *msg = begin(&b->body, NFT_MSG_NEWSETELEM, NLM_F_CREATE, b->seq++);
        nftnl_set_elems_nlmsg_build_payload(msg, part);
        end(&b->body, msg);
        nftnl_set_free(part);
    }
    if (!(set->flags & NFT_SET_ANONYMOUS)) {
        check(b->sets_n < NFT_SETS_MAX);
        b->sets[b->sets_n++] = set->name;
        b->elements += set->elements;
    }
    uint32_t id = set->id;
    free(set->parts);
    free(set);
    return id;
}

struct nftnl_rule *nft_rule(struct nft_batch *b, const char *chain)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    check(rule);
    nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, FAMILY);
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, b->table);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
    return rule;
}

void nft_rule_end(struct nft_batch *b, struct nftnl_rule *rule)
{
    struct nlmsghdr *msg = begin(&b->body, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, b->seq++);
    nftnl_rule_nlmsg_build_payload(msg, rule);
    end(&b->body, msg);
    nftnl_rule_free(rule);
    b->rules++;
}

/* A message about the table itself. */
static void put_table(struct buf *out, uint16_t type, uint16_t flags, uint32_t seq,
                      const char *name, const char *comment)
{
    struct nftnl_table *table = nftnl_table_alloc();
    check(table);
    nftnl_table_set_str(table, NFTNL_TABLE_NAME, name);
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFTNL_UDATA_COMMENT_MAXLEN + 2);
    check(data);
    if (comment) {
        check(strlen(comment) <= NFT_COMMENT_MAX);
        nftnl_udata_put_strz(data, NFTNL_UDATA_TABLE_COMMENT, comment);
        nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(data),
                             nftnl_udata_buf_len(data));
    }
    struct nlmsghdr *msg = begin(out, type, flags, seq);
    nftnl_table_nlmsg_build_payload(msg, table);
    end(out, msg);
    nftnl_udata_buf_free(data);
    nftnl_table_free(table);
}

static void put_bracket(struct buf *out, bool begins, uint32_t seq)
{
    char *at = room(out);
    end(out, begins ? nftnl_batch_begin(at, seq) : nftnl_batch_end(at, seq));
}

int nft_install(struct netlink *nl, const struct nft_batch *b, const char *comment, struct err *err)
{
    cleanup_buf struct buf all = BUF_INIT;
    put_bracket(&all, true, 1);
    /* Deleting a table that is not there fails, so it is made first. */
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_CREATE, 2, b->table, NULL);
    put_table(&all, NFT_MSG_DELTABLE, 0, 3, b->table, NULL);
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, ACK_SEQ, b->table, comment);
    buf_append(&all, b->body.data, b->body.len);
    put_bracket(&all, false, b->seq);
    return netlink_batch(nl, all.data, all.len, ACK_SEQ, err);
}

int nft_remove(struct netlink *nl, const char *table, struct err *err)
{
    cleanup_buf struct buf all = BUF_INIT;
    put_bracket(&all, true, 1);
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_CREATE, 2, table, NULL);
    put_table(&all, NFT_MSG_DELTABLE, NLM_F_ACK, ACK_SEQ, table, NULL);
    put_bracket(&all, false, ACK_SEQ + 1);
    return netlink_batch(nl, all.data, all.len, ACK_SEQ, err);
}

struct probe {
    const char *table;
    struct nft_found found;
    size_t elements; /* of the set that is read */
};

static const struct nlattr *attribute(const struct nlmsghdr *msg, uint16_t type)
{
    const struct nlattr *attrs[16];
    check(type < ARRAY_SIZE(attrs));
    netlink_attributes(msg, sizeof(struct nfgenmsg), attrs, ARRAY_SIZE(attrs) - 1);
    return attrs[type];
}

static bool is_named(const struct nlattr *attr, const char *name)
{
    return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 &&
           strcmp(mnl_attr_get_str(attr), name) == 0;
}

/* The comment is one entry of a list of type, length and text. */
static void read_comment(const struct nlattr *attr, char out[NFT_COMMENT_MAX + 1])
{
    size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;
    const unsigned char *p = len ? mnl_attr_get_payload(attr) : NULL;
    if (len < 3 || p[0] != NFTNL_UDATA_TABLE_COMMENT || p[1] != len - 2 || p[len - 1] != 0)
        return;
    str_fill(out, NFT_COMMENT_MAX + 1, (const char *)p + 2);
}

static void on_table(const struct nlmsghdr *msg, void *arg)
{
    struct probe *probe = arg;
    if (!msg) {
        probe->found = (struct nft_found){0};
        return;
    }
    if (!is_named(attribute(msg, NFTA_TABLE_NAME), probe->table))
        return;
    probe->found.exists = true;
    read_comment(attribute(msg, NFTA_TABLE_USERDATA), probe->found.comment);
}

static void on_chain(const struct nlmsghdr *msg, void *arg)
{
    struct probe *probe = arg;
    if (!msg)
        probe->found.chains = 0;
    else
        probe->found.chains += is_named(attribute(msg, NFTA_CHAIN_TABLE), probe->table);
}

static void on_rule(const struct nlmsghdr *msg, void *arg)
{
    struct probe *probe = arg;
    if (!msg)
        probe->found.rules = 0;
    else
        probe->found.rules += is_named(attribute(msg, NFTA_RULE_TABLE), probe->table);
}

static int count_attribute(const struct nlattr *attr, void *arg)
{
    (void)attr;
    ++*(size_t *)arg;
    return MNL_CB_OK;
}

static void on_elements(const struct nlmsghdr *msg, void *arg)
{
    struct probe *probe = arg;
    if (!msg) {
        probe->elements = 0;
        return;
    }
    const struct nlattr *list = attribute(msg, NFTA_SET_ELEM_LIST_ELEMENTS);
    if (list)
        mnl_attr_parse_nested(list, count_attribute, &probe->elements);
}

static struct nlmsghdr *dump(struct netlink *nl, uint16_t type)
{
    const struct nfgenmsg info = {.nfgen_family = FAMILY, .version = NFNETLINK_V0};
    return netlink_dump(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), &info, sizeof(info));
}

int nft_probe(struct netlink *nl, const struct nft_batch *b, struct nft_found *ret, struct err *err)
{
    struct probe probe = {.table = b->table};
    dump(nl, NFT_MSG_GETTABLE);
    int rc = netlink_dump_run(nl, on_table, &probe, err);
    if (rc == 0 && probe.found.exists) {
        dump(nl, NFT_MSG_GETCHAIN);
        rc = netlink_dump_run(nl, on_chain, &probe, err);
    }
    if (rc == 0 && probe.found.exists) {
        mnl_attr_put_strz(dump(nl, NFT_MSG_GETRULE), NFTA_RULE_TABLE, b->table);
        rc = netlink_dump_run(nl, on_rule, &probe, err);
    }
    for (size_t i = 0; rc == 0 && probe.found.exists && i < b->sets_n; i++) {
        struct nlmsghdr *msg = dump(nl, NFT_MSG_GETSETELEM);
        mnl_attr_put_strz(msg, NFTA_SET_ELEM_LIST_TABLE, b->table);
        mnl_attr_put_strz(msg, NFTA_SET_ELEM_LIST_SET, b->sets[i]);
        struct err missing;
        if (netlink_dump_run(nl, on_elements, &probe, &missing) == 0)
            probe.found.elements += probe.elements;
    }
    if (rc == 0)
        *ret = probe.found;
    return rc;
}
