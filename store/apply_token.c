/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: made, given another secret, taken back. */
#include "store/apply.h"

#include "base/digest.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int check_hash(const struct bytes *hash, struct err *err)
{
    if (hash->len == DIGEST_BYTES)
        return 0;
    return err_set(err, ERR_INVALID, "a token's hash has %d bytes, not %zu", DIGEST_BYTES,
                   hash->len);
}

static int check_unused(struct apply *apply, const struct bytes *hash, struct err *err)
{
    char hex[DIGEST_HEX + 1];
    struct token token;
    hex_encode(hash->data, DIGEST_BYTES, hex);
    if (store_find(apply->store, TABLE_TOKEN, hex, &token) < 0)
        return 0;
    record_release(&token_type, &token);
    return err_set(err, ERR_EXISTS, "this token exists already");
}

static int check_scope(const struct token *token, struct err *err)
{
    if (token->stacks_n > TOKEN_STACKS_MAX)
        return err_set(err, ERR_TOOBIG, "a token is for at most %d stacks", TOKEN_STACKS_MAX);
    if (token->stacks_n > 0 && (token->kind != TOKEN_CALL || token->role == TOKEN_ADMIN))
        return err_set(err, ERR_INVALID,
                       "only deployers and viewers may be limited to stacks: an admin may do "
                       "everything");
    for (size_t i = 0; i < token->stacks_n; i++)
        if (!name_is_valid(str_or_empty(token->stacks[i])))
            return err_set(err, ERR_INVALID, "'%.80s' is no name of a stack",
                           str_or_empty(token->stacks[i]));
    return 0;
}

static int check_token(const struct token *token, struct err *err)
{
    const char *name = str_or_empty(token->name);
    if (*name && !token_name_is_valid(name))
        return err_set(err, ERR_INVALID,
                       "'%.80s' is no name for a token: at most 63 letters, digits, '_', '.' and "
                       "'-', not digits alone",
                       name);
    if (token->expires_ms < 0)
        return err_set(err, ERR_INVALID, "a token cannot expire before 1970");
    if (token->kind == TOKEN_JOIN && token->role != TOKEN_ADMIN)
        return err_set(err, ERR_INVALID,
                       "roles are for call tokens; a machine joins as a member "
                       "or a witness");
    if (token->kind == TOKEN_CALL && token->witness)
        return err_set(err, ERR_INVALID, "only a join token can be for a witness");
    if (strlen(str_or_empty(token->created_by)) > TOKEN_MAKER_MAX)
        return err_set(err, ERR_TOOBIG, "the name of the token's maker is too long");
    return check_scope(token, err);
}

/* Delete those that have expired, and see whether there is room, and nobody has @name. */
static int make_room(struct apply *apply, const char *name, struct err *err)
{
    struct token *tokens;
    size_t n;
    size_t live = 0;
    int rv = 0;
    store_list(apply->store, TABLE_TOKEN, BY_NONE, 0, &tokens, &n);
    for (size_t i = 0; i < n && rv == 0; i++) {
        if (tokens[i].expires_ms != 0 && tokens[i].expires_ms <= apply->now_ms)
            apply_delete(apply, TABLE_TOKEN, tokens[i].id);
        else if (*name && str_equal(tokens[i].name, name))
            rv = err_set(err, ERR_EXISTS,
                         "there is a token named %s: choose another name, or give it a new secret "
                         "with 'wherry token rotate %s'",
                         name, name);
        else
            live++;
    }
    if (rv == 0 && live >= TOKENS_MAX)
        rv = err_set(err, ERR_TOOBIG,
                     "there are %d tokens already: remove some ('wherry token ls')", TOKENS_MAX);
    record_free_list(&token_type, tokens, n);
    return rv;
}

static void put_new(struct apply *apply, const struct token *made)
{
    struct token token;
    record_copy(&token_type, made, &token);
    token.id = apply->made = apply_next_id(apply);
    token.created_ms = apply->now_ms;
    token.created_index = 0;
    apply_put(apply, TABLE_TOKEN, &token);
    record_release(&token_type, &token);
}

int apply_token_add(struct apply *apply, const struct change_token_add *change, struct err *err)
{
    if (check_hash(&change->token.hash, err) < 0 || check_token(&change->token, err) < 0 ||
        check_unused(apply, &change->token.hash, err) < 0)
        return err->code;
    put_new(apply, &change->token);
    return 0;
}

/* What people call it in events: its name, or its id. */
static char *title(const struct token *token, int64_t id)
{
    const char *name = str_or_empty(token->name);
    return *name ? str_copy(name) : str_printf("%" PRId64, id);
}

static void note(struct apply *apply, const struct token *token, int64_t id, const char *what)
{
    char *object = title(token, id);
    const char *role = token->kind == TOKEN_CALL ? token_role_names[token->role]
                       : token->witness          ? "witness"
                                                 : "member";
    apply_event(apply, "token", object, "%s (%s, %s)", what, token_kind_names[token->kind], role);
    free(object);
}

int apply_token_create(struct apply *apply, const struct change_token_create *change,
                       struct err *err)
{
    const struct token *token = &change->token;
    if (check_hash(&token->hash, err) < 0 || check_token(token, err) < 0 ||
        check_unused(apply, &token->hash, err) < 0 ||
        make_room(apply, str_or_empty(token->name), err) < 0)
        return err->code;
    put_new(apply, token);
    note(apply, token, apply->made, "made");
    return 0;
}

static int get(struct apply *apply, int64_t id, struct token *ret, struct err *err)
{
    if (store_get(apply->store, TABLE_TOKEN, id, ret) == 0)
        return 0;
    return err_set(err, ERR_NOTFOUND, "token %" PRId64 " does not exist", id);
}

int apply_token_rotate(struct apply *apply, const struct change_token_rotate *change,
                       struct err *err)
{
    struct token token;
    if (check_hash(&change->hash, err) < 0 || check_unused(apply, &change->hash, err) < 0 ||
        get(apply, change->token_id, &token, err) < 0)
        return err->code;
    int rv = 0;
    if (token.expires_ms != 0 && token.expires_ms <= apply->now_ms) {
        rv = err_set(err, ERR_DENIED, "this token has expired: make a new one");
    } else {
        bytes_set(&token.hash, change->hash.data, change->hash.len);
        bytes_set(&token.ca, change->ca.data, change->ca.len);
        apply->made = token.id;
        apply_put(apply, TABLE_TOKEN, &token);
        note(apply, &token, token.id, "has a new secret");
    }
    record_release(&token_type, &token);
    return rv;
}

int apply_token_remove(struct apply *apply, const struct change_token_remove *change,
                       struct err *err)
{
    struct token token;
    if (get(apply, change->token_id, &token, err) < 0)
        return err->code;
    record_release(&token_type, &token);
    apply_delete(apply, TABLE_TOKEN, change->token_id);
    return 0;
}

int apply_token_delete(struct apply *apply, const struct change_token_delete *change,
                       struct err *err)
{
    struct token token;
    if (get(apply, change->token_id, &token, err) < 0)
        return err->code;
    apply_delete(apply, TABLE_TOKEN, change->token_id);
    note(apply, &token, token.id, "taken back");
    record_release(&token_type, &token);
    return 0;
}
