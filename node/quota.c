/* SPDX-License-Identifier: Apache-2.0 */
#include "node/quota.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <stdlib.h>

static struct quota_share *find(struct quota *quota, int64_t member)
{
    for (size_t i = 0; i < quota->shares_n; i++)
        if (quota->shares[i].member == member)
            return &quota->shares[i];
    return NULL;
}

bool quota_take(struct quota *quota, int64_t member)
{
    struct quota_share *share = find(quota, member);
    if (!share) {
        quota->shares = mem_resize(quota->shares, quota->shares_n + 1, sizeof(*quota->shares));
        share = &quota->shares[quota->shares_n++];
        *share = (struct quota_share){.member = member};
    }
    if (share->n == QUOTA_CALLS_MAX)
        return false;
    share->n++;
    return true;
}

void quota_give(struct quota *quota, int64_t member)
{
    struct quota_share *share = find(quota, member);
    check(share && share->n > 0);
    if (--share->n == 0)
        *share = quota->shares[--quota->shares_n];
}

void quota_release(struct quota *quota)
{
    free(quota->shares);
    *quota = (struct quota){0};
}
