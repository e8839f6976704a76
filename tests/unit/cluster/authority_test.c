/* SPDX-License-Identifier: Apache-2.0 */
/* A CA hands on to another: chains, whom they convince, and what is no chain. */
#include "fixture.h"

#include "cluster/authority.h"
#include "cluster/cert.h"
#include "cluster/tls.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

enum {
    DAY_S = 86400,
};

/* A CA, and the one that takes over from it. */
struct two_cas {
    char *old, *old_key, *fresh, *fresh_key, *cross;
};

static struct two_cas make_cas(void)
{
    struct err err;
    struct two_cas cas = {0};
    must(authority_new(NULL, &cas.old, &cas.old_key, &err));
    must(authority_new(cas.old, &cas.fresh, &cas.fresh_key, &err));
    must(authority_cross(cas.fresh, cas.old, cas.old_key, &cas.cross, &err));
    return cas;
}

static void free_cas(struct two_cas *cas)
{
    free(cas->old);
    free(cas->old_key);
    free(cas->fresh);
    free(cas->fresh_key);
    free(cas->cross);
}

static char *dir;

static int setup(void **state)
{
    (void)state;
    dir = temp_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_dir(dir);
    return 0;
}

static char *certify(const struct two_cas *cas, const struct identity *id, bool changing)
{
    struct err err;
    char *chain;
    struct authority before = {.cert = cas->old, .key = cas->old_key};
    struct authority now = {
        .cert = cas->fresh, .key = cas->fresh_key, .cross = cas->cross, .before = cas->old};
    must(authority_certify(changing ? &now : &before, 7, identity_public_key(id), AUTHORITY_VALID_S,
                           &chain, &err));
    return chain;
}

/* Whether @chain leads to @trusted by the rules of RFC 5280, as OpenSSL has them. */
static bool leads_to(const char *chain, const char *trusted)
{
    struct err err;
    X509 *certs[AUTHORITY_CHAIN_MAX];
    X509 *root;
    int n = cert_list_from_pem(chain, certs, AUTHORITY_CHAIN_MAX, &err);
    assert_true(n > 0);
    must(cert_from_pem(trusted, &root, &err));
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *others = sk_X509_new_null();
    X509_STORE_add_cert(store, root);
    for (int i = 1; i < n; i++)
        sk_X509_push(others, certs[i]);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, certs[0], others), 1);
    bool ok = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_free(others);
    X509_free(root);
    for (int i = 0; i < n; i++)
        X509_free(certs[i]);
    return ok;
}

static void while_it_changes_either_ca_is_enough(void **state)
{
    (void)state;
    struct two_cas cas = make_cas();
    struct two_cas others = make_cas();
    struct identity *id = new_stranger(dir, "a");
    char *before = certify(&cas, id, false);
    char *chain = certify(&cas, id, true);
    assert_true(leads_to(before, cas.old));
    assert_false(leads_to(before, cas.fresh));
    assert_true(leads_to(chain, cas.old));
    assert_true(leads_to(chain, cas.fresh));
    assert_false(leads_to(chain, others.old));
    assert_false(leads_to(chain, others.fresh));
    free(before);
    free(chain);
    identity_free(id);
    free_cas(&cas);
    free_cas(&others);
}

/* --- over TLS ----------------------------------------------------------------------------------
 */

static void move(struct tls *from, struct tls *to, struct buf *keep)
{
    buf_reset(keep);
    buf_append(keep, tls_out(from)->data ? tls_out(from)->data : "", tls_out(from)->len);
    buf_reset(tls_out(from));
    if (keep->len > 0)
        tls_feed(to, keep->data, keep->len);
}

/* A client that pins @hash talks to @id. The client's result. */
static int shake_hands(const struct identity *id, const unsigned char hash[32])
{
    struct err err;
    struct tls_context *server_context;
    struct tls_context *client_context;
    cleanup_buf struct buf to_server = BUF_INIT;
    cleanup_buf struct buf to_client = BUF_INIT;
    must(tls_context_new_calls(id, &server_context, &err));
    must(tls_context_new(NULL, &client_context, &err));
    struct tls *server = tls_new(server_context, true);
    struct tls *client = tls_new(client_context, false);
    tls_expect_ca(client, hash);
    int rv = 0;
    for (int i = 0; i < 10 && rv == 0; i++) {
        rv = tls_handshake(client, &err);
        move(client, server, &to_server);
        tls_handshake(server, &(struct err){0});
        move(server, client, &to_client);
    }
    if (rv == 1)
        assert_non_null(strstr(tls_ca_cert(client), "BEGIN CERTIFICATE"));
    tls_free(server);
    tls_free(client);
    tls_context_free(server_context);
    tls_context_free(client_context);
    return rv;
}

static void tokens_of_either_ca_are_served_until_the_old_one_is_forgotten(void **state)
{
    (void)state;
    struct err err;
    struct two_cas cas = make_cas();
    struct two_cas others = make_cas();
    unsigned char old[32];
    unsigned char fresh[32];
    unsigned char other[32];
    must(authority_hash(cas.old, old, &err));
    must(authority_hash(cas.fresh, fresh, &err));
    must(authority_hash(others.old, other, &err));
    struct identity *id = new_stranger(dir, "a");
    cleanup_free char *before = certify(&cas, id, false);
    must(identity_join_member(id, test_uuid, 7, before, &err));
    unsigned version = identity_version(id);
    assert_int_equal(shake_hands(id, old), 1);
    assert_int_equal(shake_hands(id, fresh), ERR_DENIED);

    cleanup_free char *chain = certify(&cas, id, true);
    must(identity_set_chain(id, chain, &err));
    assert_true(identity_version(id) != version);
    assert_int_equal(shake_hands(id, old), 1);
    assert_int_equal(shake_hands(id, fresh), 1);
    assert_int_equal(shake_hands(id, other), ERR_DENIED);
    struct authority_chain said;
    assert_true(identity_chain(id, &said));
    assert_true(said.changing);
    assert_memory_equal(said.ca_hash, fresh, 32);

    /* What was written is what is read again. */
    identity_free(id);
    id = new_stranger(dir, "a");
    assert_string_equal(identity_ca_cert(id), cas.fresh);
    struct authority now = {.cert = cas.fresh, .key = cas.fresh_key};
    char *last;
    must(authority_certify(&now, 7, identity_public_key(id), AUTHORITY_VALID_S, &last, &err));
    must(identity_set_chain(id, last, &err));
    assert_int_equal(shake_hands(id, old), ERR_DENIED);
    assert_int_equal(shake_hands(id, fresh), 1);
    free(last);
    identity_free(id);
    free_cas(&cas);
    free_cas(&others);
}

/* --- what is no chain --------------------------------------------------------------------------
 */

static void refused(const struct identity *id, const char *chain, int64_t node_id)
{
    struct err err;
    struct authority_chain said;
    assert_int_equal(authority_read_chain(chain, node_id, identity_public_key(id), &said, &err),
                     ERR_CORRUPT);
}

static void a_chain_is_whole_or_refused(void **state)
{
    (void)state;
    struct err err;
    struct two_cas cas = make_cas();
    struct two_cas others = make_cas();
    struct identity *a = new_stranger(dir, "a");
    struct identity *b = new_stranger(dir, "b");
    cleanup_free char *chain = certify(&cas, a, true);
    struct authority_chain said;
    must(authority_read_chain(chain, 7, identity_public_key(a), &said, &err));
    free(said.ca);
    int64_t lasts = said.until_s - (int64_t)time(NULL);
    assert_true(lasts > AUTHORITY_VALID_S - DAY_S && lasts <= AUTHORITY_VALID_S);
    refused(a, chain, 8);
    refused(b, chain, 7);
    refused(a, "", 7);
    refused(a, "nothing", 7);
    cleanup_free char *five = str_printf("%s%s", chain, cas.old);
    refused(a, five, 7);
    /* Its own certificate alone, and with CAs that are others'. */
    const char *end = strstr(chain, "-----END CERTIFICATE-----\n") + 26;
    cleanup_free char *own = str_printf("%.*s", (int)(end - chain), chain);
    refused(a, own, 7);
    cleanup_free char *foreign = str_printf("%s%s", own, others.fresh);
    refused(a, foreign, 7);
    cleanup_free char *old_alone = str_printf("%s%s", own, cas.old);
    refused(a, old_alone, 7);
    cleanup_free char *mixed = str_printf("%s%s%s%s", own, others.cross, cas.fresh, cas.old);
    refused(a, mixed, 7);
    cleanup_free char *wrong_end = str_printf("%s%s%s%s", own, cas.cross, cas.fresh, others.old);
    refused(a, wrong_end, 7);
    identity_free(a);
    identity_free(b);
    free_cas(&cas);
    free_cas(&others);
}

static void only_keys_of_the_right_kind_are_certified(void **state)
{
    (void)state;
    struct err err;
    struct two_cas cas = make_cas();
    struct authority ca = {.cert = cas.old, .key = cas.old_key};
    char *chain;
    struct bytes none = {0};
    unsigned char junk[91] = {0x30, 0x59};
    assert_int_equal(authority_certify(&ca, 7, &none, 60, &chain, &err), ERR_CORRUPT);
    assert_int_equal(
        authority_certify(&ca, 7, &(struct bytes){junk, sizeof(junk)}, 60, &chain, &err),
        ERR_CORRUPT);
    ca.key = cas.fresh_key;
    struct identity *id = new_stranger(dir, "a");
    assert_int_equal(authority_certify(&ca, 7, identity_public_key(id), 60, &chain, &err),
                     ERR_CORRUPT);
    identity_free(id);
    free_cas(&cas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(while_it_changes_either_ca_is_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(
            tokens_of_either_ca_are_served_until_the_old_one_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_is_whole_or_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(only_keys_of_the_right_kind_are_certified, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
