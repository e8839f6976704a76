/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/nft_table.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netdiff.h"
#include "runtime/netlink.h"
#include "runtime/nft_message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

enum {
    ACK_SEQ = 4,
};

/* --- messages --- */

static void put_table(struct buf *out, uint16_t type, uint16_t flags, uint32_t seq,
                      const char *name)
{
    struct nftnl_table *table = nftnl_table_alloc();
    check(table);
    nftnl_table_set_str(table, NFTNL_TABLE_NAME, name);
    struct nlmsghdr *msg = nft_message(out, type, flags, seq);
    nftnl_table_nlmsg_build_payload(msg, table);
    nft_message_end(out, msg);
    nftnl_table_free(table);
}

static void put_element(struct nftnl_set *set, const struct nft_named *named,
                        const struct nft_part *part, bool remove)
{
    struct nftnl_set_elem *element = nftnl_set_elem_alloc();
    check(element);
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, part->key, named->key_len);
    if (named->data_type == NFT_DATA_VERDICT && !remove) {
        nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_GOTO);
        nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_CHAIN, part->data);
    } else if (named->data_len && !remove) {
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, part->data, named->data_len);
    }
    nftnl_set_elem_add(set, element);
}

/* Messages for the elements among @parts, which are sorted. */
static void put_elements(struct buf *out, const struct nft_batch *b,
                         const struct nft_part *const *parts, size_t n, bool remove, uint32_t *seq)
{
    for (size_t i = 0; i < n;) {
        if (parts[i]->set == NFT_PART_CHAIN) {
            i++;
            continue;
        }
        const struct nft_named *named = &b->sets[parts[i]->set];
        struct nftnl_set *set = nftnl_set_alloc();
        check(set);
        nftnl_set_set_str(set, NFTNL_SET_TABLE, b->table);
        nftnl_set_set_str(set, NFTNL_SET_NAME, named->name);
        int number = parts[i]->set;
        for (size_t k = 0; k < NFT_ELEMENTS_MAX && i < n && parts[i]->set == number; k++)
            put_element(set, named, parts[i++], remove);
        struct nlmsghdr *msg = nft_message(out, remove ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM,
                                           remove ? 0 : NLM_F_CREATE, (*seq)++);
        nftnl_set_elems_nlmsg_build_payload(msg, set);
        nft_message_end(out, msg);
        nftnl_set_free(set);
    }
}

/* A chain goes with its rules, which the kernel wants to be deleted before. */
static void put_chain_removal(struct buf *out, const struct nft_batch *b, const char *name,
                              uint32_t *seq)
{
    struct nftnl_rule *rules = nftnl_rule_alloc();
    struct nftnl_chain *chain = nftnl_chain_alloc();
    check(rules && chain);
    nftnl_rule_set_u32(rules, NFTNL_RULE_FAMILY, NFT_FAMILY);
    nftnl_rule_set_str(rules, NFTNL_RULE_TABLE, b->table);
    nftnl_rule_set_str(rules, NFTNL_RULE_CHAIN, name);
    struct nlmsghdr *msg = nft_message(out, NFT_MSG_DELRULE, 0, (*seq)++);
    nftnl_rule_nlmsg_build_payload(msg, rules);
    nft_message_end(out, msg);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, b->table);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
    msg = nft_message(out, NFT_MSG_DELCHAIN, 0, (*seq)++);
    nftnl_chain_nlmsg_build_payload(msg, chain);
    nft_message_end(out, msg);
    nftnl_rule_free(rules);
    nftnl_chain_free(chain);
}

/* --- changes --- */

int nft_install(struct netlink *nl, const struct nft_batch *b, struct err *err)
{
    cleanup_buf struct buf all = BUF_INIT;
    cleanup_free const struct nft_part **parts = mem_alloc(b->parts_n + 1, sizeof(*parts));
    uint32_t seq = b->seq;
    for (size_t i = 0; i < b->parts_n; i++)
        parts[i] = &b->parts[i];
    nft_message_bracket(&all, true, 1);
    /* Deleting a table that is not there fails, so it is made first. */
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_CREATE, 2, b->table);
    put_table(&all, NFT_MSG_DELTABLE, 0, 3, b->table);
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, ACK_SEQ, b->table);
    buf_append(&all, b->fixed.data, b->fixed.len);
    buf_append(&all, b->chains.data, b->chains.len);
    put_elements(&all, b, parts, b->parts_n, false, &seq);
    nft_message_bracket(&all, false, seq);
    return netlink_batch(nl, all.data, all.len, ACK_SEQ, err);
}

/* What differs between two batches. */
struct delta {
    const struct nft_part **added, **removed;
    size_t added_n, removed_n;
};

static void add(void *ctx, const void *wanted, const void *present)
{
    struct delta *delta = ctx;
    delta->added[delta->added_n++] = wanted;
    if (present)
        delta->removed[delta->removed_n++] = present;
}

static void drop(void *ctx, const void *present)
{
    struct delta *delta = ctx;
    delta->removed[delta->removed_n++] = present;
}

static bool is_same(const void *a, const void *b)
{
    const struct nft_part *x = a, *y = b;
    return memcmp(x->data, y->data, sizeof(x->data)) == 0;
}

bool nft_can_update(const struct nft_batch *from, const struct nft_batch *to)
{
    return memcmp(from->fixed_digest, to->fixed_digest, sizeof(to->fixed_digest)) == 0;
}

int nft_update(struct netlink *nl, const struct nft_batch *from, const struct nft_batch *to,
               size_t *ret_bytes, struct err *err)
{
    static const struct netdiff diff = {.size = sizeof(struct nft_part),
                                        .compare = nft_part_compare,
                                        .same = is_same,
                                        .put = add,
                                        .drop = drop};
    cleanup_free const struct nft_part **added = mem_alloc(to->parts_n + 1, sizeof(*added));
    cleanup_free const struct nft_part **removed = mem_alloc(from->parts_n + 1, sizeof(*removed));
    cleanup_buf struct buf all = BUF_INIT;
    struct delta delta = {.added = added, .removed = removed};
    uint32_t seq = to->seq;
    netdiff_sorted(&diff, to->parts, to->parts_n, from->parts, from->parts_n, &delta);
    *ret_bytes = 0;
    if (delta.added_n == 0 && delta.removed_n == 0)
        return 0;
    nft_message_bracket(&all, true, 1);
    /* Fails when the table is not there, which must not be made anew. */
    for (size_t i = 0; i < delta.added_n; i++)
        if (added[i]->set == NFT_PART_CHAIN)
            buf_append(&all, to->chains.data + added[i]->offset, added[i]->len);
    put_elements(&all, from, removed, delta.removed_n, true, &seq);
    put_elements(&all, to, added, delta.added_n, false, &seq);
    for (size_t i = 0; i < delta.removed_n; i++)
        if (removed[i]->set == NFT_PART_CHAIN)
            put_chain_removal(&all, from, removed[i]->key, &seq);
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_ACK, ACK_SEQ, to->table);
    nft_message_bracket(&all, false, seq);
    *ret_bytes = all.len;
    return netlink_batch(nl, all.data, all.len, ACK_SEQ, err);
}

int nft_remove(struct netlink *nl, const char *table, struct err *err)
{
    cleanup_buf struct buf all = BUF_INIT;
    nft_message_bracket(&all, true, 1);
    put_table(&all, NFT_MSG_NEWTABLE, NLM_F_CREATE, 2, table);
    put_table(&all, NFT_MSG_DELTABLE, NLM_F_ACK, ACK_SEQ, table);
    nft_message_bracket(&all, false, ACK_SEQ + 1);
    return netlink_batch(nl, all.data, all.len, ACK_SEQ, err);
}

/* --- what is there --- */

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
}

static void on_chain(const struct nlmsghdr *msg, void *arg)
{
    struct probe *probe = arg;
    if (!msg) {
        probe->found.chains = 0;
        probe->found.version[0] = '\0';
        return;
    }
    if (!is_named(attribute(msg, NFTA_CHAIN_TABLE), probe->table))
        return;
    const struct nlattr *name = attribute(msg, NFTA_CHAIN_NAME);
    probe->found.chains++;
    if (name && mnl_attr_validate(name, MNL_TYPE_NUL_STRING) == 0 &&
        strncmp(mnl_attr_get_str(name), NFT_VERSION, strlen(NFT_VERSION)) == 0)
        str_fill(probe->found.version, sizeof(probe->found.version), mnl_attr_get_str(name));
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
    const struct nfgenmsg info = {.nfgen_family = NFT_FAMILY, .version = NFNETLINK_V0};
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
        mnl_attr_put_strz(msg, NFTA_SET_ELEM_LIST_SET, b->sets[i].name);
        struct err missing;
        if (netlink_dump_run(nl, on_elements, &probe, &missing) == 0)
            probe.found.elements += probe.elements;
    }
    if (rc == 0)
        *ret = probe.found;
    return rc;
}

static void on_generation(const struct nlmsghdr *msg, void *arg)
{
    const struct nlattr *id = msg ? attribute(msg, NFTA_GEN_ID) : NULL;
    if (id && mnl_attr_get_payload_len(id) == sizeof(uint32_t))
        *(uint32_t *)arg = ntohl(mnl_attr_get_u32(id));
}

int nft_generation(struct netlink *nl, uint32_t *ret, struct err *err)
{
    struct nlmsghdr *msg = dump(nl, NFT_MSG_GETGEN);
    /* One answer, and one that says that it was the last. */
    msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    *ret = 0;
    return netlink_dump_run(nl, on_generation, ret, err);
}
