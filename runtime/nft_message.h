/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft_message - messages of a batch for nftables, one behind the other in a buffer.
 */
#ifndef WHERRY_RUNTIME_NFT_MESSAGE_H
#define WHERRY_RUNTIME_NFT_MESSAGE_H

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct nlmsghdr;

enum {
    NFT_FAMILY = NFPROTO_INET,
    NFT_ELEMENTS_MAX = 256, /* in one message: at most 40 KiB */
    NFT_FIRST_SEQ = 16,     /* of what is in a table; messages for the table itself come before */
};

/* Begin a message at the end of @out. It is all zero behind its header, padding too, so that the
 * same message is the same bytes each time. At most 64 KiB. */
struct nlmsghdr *nft_message(struct buf *out, uint16_t type, uint16_t flags, uint32_t seq);

/* It is whole. */
void nft_message_end(struct buf *out, const struct nlmsghdr *msg);

/* The message that begins, or ends, a batch. */
void nft_message_bracket(struct buf *out, bool begins, uint32_t seq);

#endif
