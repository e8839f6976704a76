/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/nft_message.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/common.h>
#include <string.h>

enum {
    MESSAGE_MAX = 65536, /* room for any one message; elements are split to stay well below */
};

static char *room(struct buf *out)
{
    check(out->len % MNL_ALIGNTO == 0);
    if (out->cap - out->len <= MESSAGE_MAX) {
        buf_reserve(out, out->len + (size_t)2 * MESSAGE_MAX);
        memset(out->data + out->len, 0, out->cap - out->len);
    }
    return out->data + out->len;
}

struct nlmsghdr *nft_message(struct buf *out, uint16_t type, uint16_t flags, uint32_t seq)
{
    char *at = room(out);
    return nftnl_nlmsg_build_hdr(at, type, NFT_FAMILY, flags, seq);
}

void nft_message_end(struct buf *out, const struct nlmsghdr *msg)
{
    check(msg->nlmsg_len % MNL_ALIGNTO == 0 && msg->nlmsg_len < MESSAGE_MAX);
    out->len += msg->nlmsg_len;
}

void nft_message_bracket(struct buf *out, bool begins, uint32_t seq)
{
    char *at = room(out);
    nft_message_end(out, begins ? nftnl_batch_begin(at, seq) : nftnl_batch_end(at, seq));
}
