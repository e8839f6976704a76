/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/nft.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"
#include "runtime/nft_message.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOSE = 1 << 20, /* first number of a message, and of a set, in a loose chain */
};

struct nft_set {
    const char *name;
    uint32_t id, flags;
    uint32_t key_type, key_len, data_type, data_len;
    struct nftnl_set **parts; /* the elements, NFT_ELEMENTS_MAX in each */
    size_t parts_n, elements;
    bool loose;
    struct nft_part *loose_parts;
};

void nft_batch_init(struct nft_batch *b, const char *table)
{
    *b = (struct nft_batch){.table = table, .seq = NFT_FIRST_SEQ};
}

void nft_batch_release(struct nft_batch *b)
{
    buf_release(&b->fixed);
    buf_release(&b->chains);
    free(b->parts);
    *b = (struct nft_batch){0};
}

/* Numbers of loose chains do not shift those of the rest, which would not be the same any more. */
static uint32_t next_seq(struct nft_batch *b)
{
    return b->in_chain ? LOOSE + b->chain_seq++ : b->seq++;
}

static uint32_t next_set_id(struct nft_batch *b)
{
    return b->in_chain ? LOOSE + b->chain_set_id++ : ++b->set_id;
}

/* Where the next message goes. Not a pointer that is kept: a batch may be moved. */
static struct buf *out(struct nft_batch *b)
{
    return b->in_chain ? &b->chains : &b->fixed;
}

static void add_chain(struct nft_batch *b, struct nftnl_chain *chain, const char *name)
{
    nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, b->table);
    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
    struct nlmsghdr *msg = nft_message(out(b), NFT_MSG_NEWCHAIN, NLM_F_CREATE, next_seq(b));
    nftnl_chain_nlmsg_build_payload(msg, chain);
    nft_message_end(out(b), msg);
    nftnl_chain_free(chain);
    b->chains_n++;
}

static struct nft_part *add_part(struct nft_batch *b)
{
    if (b->parts_n == b->parts_cap) {
        b->parts_cap = b->parts_cap ? b->parts_cap * 2 : 256;
        b->parts = mem_resize(b->parts, b->parts_cap, sizeof(*b->parts));
    }
    struct nft_part *part = &b->parts[b->parts_n++];
    memset(part, 0, sizeof(*part));
    return part;
}

/* The chain of the same name in what the kernel has, or NULL. */
static const struct nft_part *known_chain(const struct nft_batch *b, const struct nft_part *key)
{
    if (!b->known || !b->known->parts_n)
        return NULL;
    return bsearch(key, b->known->parts, b->known->parts_n, sizeof(*key), nft_part_compare);
}

bool nft_chain(struct nft_batch *b, const char *name)
{
    check(!b->in_chain);
    struct nft_part *part = add_part(b);
    part->set = NFT_PART_CHAIN;
    str_fill(part->key, sizeof(part->key), name);
    const struct nft_part *known = known_chain(b, part);
    if (known) {
        part->rules = known->rules;
        b->chains_n++;
        b->rules_n += known->rules;
        return false;
    }
    struct nftnl_chain *chain = nftnl_chain_alloc();
    check(chain);
    b->in_chain = true;
    part->offset = (uint32_t)b->chains.len;
    add_chain(b, chain, name);
    return true;
}

void nft_chain_end(struct nft_batch *b)
{
    struct nft_part *part = &b->parts[b->parts_n - 1];
    check(b->in_chain && part->set == NFT_PART_CHAIN);
    part->len = (uint32_t)b->chains.len - part->offset;
    b->in_chain = false;
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
    *set = (struct nft_set){.name = name,
                            .id = next_set_id(b),
                            .flags = flags,
                            .key_type = key_type,
                            .key_len = key_len};
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
    set->flags |= NFT_SET_INTERVAL;
}

void nft_set_loose(struct nft_set *set)
{
    set->loose = true;
}

/* Keep an element of a loose set: its messages are made when it is known what the kernel has. */
static void keep_element(struct nft_set *set, const void *key, const void *data, size_t len)
{
    check(set->key_len <= NFT_KEY_MAX && len <= NFT_DATA_MAX);
    if ((set->elements & (set->elements - 1)) == 0)
        set->loose_parts = mem_resize(set->loose_parts, set->elements ? set->elements * 2 : 1,
                                      sizeof(*set->loose_parts));
    struct nft_part *part = &set->loose_parts[set->elements++];
    memset(part, 0, sizeof(*part));
    memcpy(part->key, key, set->key_len);
    if (data)
        memcpy(part->data, data, len);
}

static struct nftnl_set_elem *add_element(struct nft_set *set, const void *key)
{
    if (set->elements % NFT_ELEMENTS_MAX == 0) {
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

/* Where a range is over: the first key behind it. False: there is none. */
static bool next_key(unsigned char *key, size_t len)
{
    while (len > 0 && ++key[--len] == 0)
        if (len == 0)
            return false;
    return true;
}

void nft_set_add(struct nft_set *set, const void *key, const void *end_key, const void *data)
{
    if (set->loose) {
        check(!end_key);
        keep_element(set, key, data, set->data_len);
        return;
    }
    struct nftnl_set_elem *element = add_element(set, key);
    if (end_key && !(set->flags & NFT_SET_CONCAT)) {
        unsigned char behind[NFT_KEY_MAX];
        memcpy(behind, end_key, set->key_len);
        if (!next_key(behind, set->key_len))
            return; /* it ends with the last key there is */
        nftnl_set_elem_set_u32(add_element(set, behind), NFTNL_SET_ELEM_FLAGS,
                               NFT_SET_ELEM_INTERVAL_END);
    } else if (end_key)
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, end_key, set->key_len);
    if (data)
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, data, set->data_len);
}

void nft_set_add_goto(struct nft_set *set, const void *key, const char *chain)
{
    check(set->loose && set->data_type == NFT_DATA_VERDICT);
    keep_element(set, key, chain, strlen(chain) + 1);
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
        const uint8_t fields[] = {(uint8_t)(set->key_len / 2), (uint8_t)(set->key_len / 2)};
        nftnl_set_set_data(s, NFTNL_SET_DESC_CONCAT, fields, sizeof(fields));
    }
    put_byte_order(s, set);
    struct nlmsghdr *msg = nft_message(out(b), NFT_MSG_NEWSET, NLM_F_CREATE, next_seq(b));
    nftnl_set_nlmsg_build_payload(msg, s);
    nft_message_end(out(b), msg);
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
        struct nlmsghdr *msg = nft_message(out(b), NFT_MSG_NEWSETELEM, NLM_F_CREATE, next_seq(b));
        nftnl_set_elems_nlmsg_build_payload(msg, part);
        nft_message_end(out(b), msg);
        nftnl_set_free(part);
    }
    if (!(set->flags & NFT_SET_ANONYMOUS)) {
        check(b->sets_n < NFT_SETS_MAX && !b->in_chain);
        for (size_t i = 0; set->loose && i < set->elements; i++) {
            set->loose_parts[i].set = (int)b->sets_n;
            *add_part(b) = set->loose_parts[i];
        }
        b->sets[b->sets_n++] =
            (struct nft_named){set->name, set->key_len, set->data_type, set->data_len};
        b->elements_n += set->elements;
    }
    uint32_t id = set->id;
    free(set->loose_parts);
    free(set->parts);
    free(set);
    return id;
}

struct nftnl_rule *nft_rule(struct nft_batch *b, const char *chain)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    check(rule);
    nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFT_FAMILY);
    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, b->table);
    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
    return rule;
}

void nft_rule_end(struct nft_batch *b, struct nftnl_rule *rule)
{
    struct nlmsghdr *msg =
        nft_message(out(b), NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, next_seq(b));
    nftnl_rule_nlmsg_build_payload(msg, rule);
    nft_message_end(out(b), msg);
    nftnl_rule_free(rule);
    b->rules_n++;
    if (b->in_chain)
        b->parts[b->parts_n - 1].rules++;
}

int nft_part_compare(const void *a, const void *b)
{
    const struct nft_part *x = a, *y = b;
    return x->set != y->set ? (x->set < y->set ? -1 : 1) : memcmp(x->key, y->key, sizeof(x->key));
}

/* Sort; of the same element twice one stays, as in the kernel. */
static void sort_parts(struct nft_batch *b)
{
    size_t n = 0;
    if (b->parts_n)
        qsort(b->parts, b->parts_n, sizeof(*b->parts), nft_part_compare);
    for (size_t i = 0; i < b->parts_n; i++) {
        if (n && nft_part_compare(&b->parts[n - 1], &b->parts[i]) == 0) {
            check(b->parts[i].set != NFT_PART_CHAIN);
            b->elements_n--;
            continue;
        }
        b->parts[n++] = b->parts[i];
    }
    b->parts_n = n;
}

/* The version says what is there, not in which order it came to be there. */
static void name_version(struct nft_batch *b)
{
    unsigned char digest[DIGEST_BYTES];
    struct digest *all = digest_new();
    digest_of(b->fixed.data, b->fixed.len, b->fixed_digest);
    digest_update(all, b->fixed_digest, sizeof(b->fixed_digest));
    for (size_t i = 0; i < b->parts_n; i++)
        digest_update(all, &b->parts[i], offsetof(struct nft_part, offset));
    digest_final(all, digest);
    char hex[2 * 8 + 1];
    hex_encode(digest, 8, hex);
    snprintf(b->version, sizeof(b->version), NFT_VERSION "%s", hex);
}

void nft_batch_end(struct nft_batch *b)
{
    sort_parts(b);
    name_version(b);
    if (nft_chain(b, b->version))
        nft_chain_end(b);
    b->known = NULL;
    /* It is the last one; its place is among the chains. */
    struct nft_part version = b->parts[b->parts_n - 1];
    size_t at = b->parts_n - 1;
    for (; at > 0 && nft_part_compare(&b->parts[at - 1], &version) > 0; at--)
        ;
    memmove(&b->parts[at + 1], &b->parts[at], (b->parts_n - 1 - at) * sizeof(version));
    b->parts[at] = version;
}
