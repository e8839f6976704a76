/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/digest.h"
#include "cluster/cert.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

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

static void check_mode(const char *name, mode_t mode)
{
    cleanup_free char *path = str_printf("%s/%s", dir, name);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void key_is_made_once(void **state)
{
    (void)state;
    struct identity *a = new_stranger(dir, "a");
    struct identity *again = new_stranger(dir, "a");
    struct identity *b = new_stranger(dir, "b");
    const struct bytes *key = identity_public_key(a);
    assert_true(key->len > 80);
    assert_int_equal(key->len, identity_public_key(again)->len);
    assert_memory_equal(key->data, identity_public_key(again)->data, key->len);
    assert_memory_not_equal(key->data, identity_public_key(b)->data, key->len);
    assert_false(identity_is_member(a));
    assert_string_equal(identity_cluster(a), "");
    check_mode("a", 0700);
    check_mode("a/node.key", 0600);
    identity_free(a);
    identity_free(again);
    identity_free(b);
}

static void membership_survives(void **state)
{
    (void)state;
    struct err err;
    identity_free(new_member(dir, "a", 7, NULL));
    struct identity *a = new_stranger(dir, "a");
    assert_true(identity_is_member(a));
    assert_int_equal(identity_node_id(a), 7);
    assert_string_equal(identity_cluster(a), test_uuid);
    cleanup_free char *ca_key = str_printf("%s/a/ca.key", dir);
    assert_false(file_exists(ca_key));
    assert_string_equal(identity_ca_key(a), "");
    assert_int_equal(identity_make_ca(a, &err), ERR_EXISTS);
    assert_int_equal(identity_set_member(a, test_uuid, 8, &err), ERR_EXISTS);
    identity_free(a);
}

static void certificate_has_names_and_dates(void **state)
{
    (void)state;
    struct err err;
    struct identity *a = new_member(dir, "a", 7, NULL);
    struct identity *b = new_member(dir, "b", 8, a);
    X509 *cert;
    X509 *ca;
    must(cert_from_pem(identity_cert(b), &cert, &err));
    must(cert_from_pem(identity_ca_cert(a), &ca, &err));
    assert_int_equal(X509_check_host(cert, "wherry", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "n8", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "n7", 0, 0, NULL), 0);
    assert_true(cert_is_signed_by(cert, ca));
    assert_false(cert_is_signed_by(ca, cert));
    time_t yesterday = time(NULL) - 86400;
    time_t in_89_days = time(NULL) + 89L * 86400;
    time_t in_91_days = time(NULL) + 91L * 86400;
    time_t in_nine_years = time(NULL) + 9L * 365 * 86400;
    assert_true(X509_cmp_time(X509_get0_notBefore(cert), &yesterday) < 0);
    assert_true(X509_cmp_time(X509_get0_notAfter(cert), &in_89_days) > 0);
    assert_true(X509_cmp_time(X509_get0_notAfter(cert), &in_91_days) < 0);
    assert_true(X509_cmp_time(X509_get0_notAfter(ca), &in_nine_years) > 0);
    assert_true(ASN1_INTEGER_cmp(X509_get0_serialNumber(cert), X509_get0_serialNumber(ca)) != 0);
    X509_free(cert);
    X509_free(ca);
    identity_free(a);
    identity_free(b);
}

static void half_done_init_is_forgotten(void **state)
{
    (void)state;
    struct err err;
    struct identity *a = new_stranger(dir, "a");
    must(identity_make_ca(a, &err));
    identity_free(a);
    a = new_stranger(dir, "a");
    assert_string_equal(identity_ca_cert(a), "");
    must(identity_make_ca(a, &err));
    identity_free(a);
}

static void reset_makes_another(void **state)
{
    (void)state;
    struct err err;
    struct identity *a = new_member(dir, "a", 7, NULL);
    struct bytes old = {0};
    bytes_set(&old, identity_public_key(a)->data, identity_public_key(a)->len);
    must(identity_reset(a, &err));
    assert_false(identity_is_member(a));
    identity_free(a);
    a = new_stranger(dir, "a");
    assert_false(identity_is_member(a));
    assert_memory_not_equal(old.data, identity_public_key(a)->data, old.len);
    bytes_set(&old, NULL, 0);
    identity_free(a);
}

/* Damage one file of a member; opening it must fail and name it. */
static void damage(const char *name, const char *text)
{
    struct err err;
    struct identity *id = NULL;
    cleanup_free char *path = str_printf("%s/a", dir);
    must(file_remove_tree(path, &err));
    identity_free(new_member(dir, "a", 7, NULL));
    cleanup_free char *file = str_printf("%s/%s", path, name);
    must(file_write(file, text, strlen(text), 0600, &err));
    assert_true(identity_open(path, &id, &err) < 0);
    assert_null(id);
    assert_non_null(strstr(err.msg, path));
}

static void damage_is_named(void **state)
{
    (void)state;
    damage("node.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    damage("node.crt", "");
    damage("ca.key", "nothing");
    damage("member", "wherry member 1\ncluster x\nnode -1\n");
    damage("member", "wherry member 1\ncluster x\nnode 1\nmore\n");
}

static void foreign_ca_is_refused(void **state)
{
    (void)state;
    struct err err;
    struct identity *a = new_member(dir, "a", 1, NULL);
    struct identity *b = new_member(dir, "b", 1, NULL);
    struct identity *c = new_stranger(dir, "c");
    assert_int_equal(identity_set_ca(c, identity_ca_cert(a), identity_ca_key(b), &err),
                     ERR_CORRUPT);
    assert_int_equal(identity_set_ca(c, "x", identity_ca_key(b), &err), ERR_CORRUPT);
    assert_int_equal(identity_set_member(c, test_uuid, 3, &err), ERR_NOTFOUND);
    identity_free(a);
    identity_free(b);
    identity_free(c);
}

static void tokens(void **state)
{
    (void)state;
    struct err err;
    struct identity *a = new_stranger(dir, "a");
    char *token = NULL;
    assert_int_equal(token_make(a, TOKEN_JOIN, &token, &err), ERR_NOTFOUND);
    must(identity_make_ca(a, &err));
    must(token_make(a, TOKEN_CALL, &token, &err));
    enum token_kind kind;
    unsigned char hash[32];
    unsigned char secret[32];
    must(token_parse(token, &kind, hash, secret, &err));
    assert_int_equal(kind, TOKEN_CALL);
    X509 *ca;
    unsigned char real[32];
    must(cert_from_pem(identity_ca_cert(a), &ca, &err));
    cert_hash(ca, real);
    X509_free(ca);
    assert_memory_equal(hash, real, 32);
    /* Every cut and every changed character that matters is refused, and never repeated. */
    const char *secret_text = strrchr(token, '-') + 1;
    for (size_t len = 0; len < strlen(token); len++) {
        cleanup_free char *cut = str_printf("%.*s", (int)len, token);
        assert_int_equal(token_parse(cut, &kind, hash, secret, &err), ERR_INVALID);
        assert_null(strstr(err.msg, secret_text));
    }
    for (size_t i = 0; i < strlen(token); i++) {
        cleanup_free char *changed = str_copy(token);
        changed[i] = '!';
        assert_int_equal(token_parse(changed, &kind, hash, secret, &err), ERR_INVALID);
    }
    free(token);
    identity_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_is_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(membership_survives, setup, teardown),
        cmocka_unit_test_setup_teardown(certificate_has_names_and_dates, setup, teardown),
        cmocka_unit_test_setup_teardown(half_done_init_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_makes_another, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_ca_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
