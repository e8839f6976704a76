/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody who comes from outside shows. */
#include "store/apply.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>

int apply_token_add(struct apply *apply, const struct change_token_add *change, struct err *err)
{
    if (change->token.hash.len != DIGEST_BYTES)
        return err_set(err, ERR_INVALID, "a token's hash has %d bytes, not %zu", DIGEST_BYTES,
                       change->token.hash.len);
    if (change->token.expires_ms < 0)
        return err_set(err, ERR_INVALID, "a token cannot expire before 1970");
    char hex[DIGEST_HEX + 1];
    struct token token;
    hex_encode(change->token.hash.data, DIGEST_BYTES, hex);
    if (store_find(apply->store, TABLE_TOKEN, hex, &token) == 0) {
        record_release(&token_type, &token);
        return err_set(err, ERR_EXISTS, "this token exists already");
    }
    record_copy(&token_type, &change->token, &token);
    token.id = apply->made = apply_next_id(apply);
    token.created_ms = apply->now_ms;
    token.created_index = 0;
    apply_put(apply, TABLE_TOKEN, &token);
    record_release(&token_type, &token);
    return 0;
}

int apply_token_remove(struct apply *apply, const struct change_token_remove *change,
                       struct err *err)
{
    struct token token;
    if (store_get(apply->store, TABLE_TOKEN, change->token_id, &token) < 0)
        return err_set(err, ERR_NOTFOUND, "token %" PRId64 " does not exist", change->token_id);
    record_release(&token_type, &token);
    apply_delete(apply, TABLE_TOKEN, change->token_id);
    return 0;
}
