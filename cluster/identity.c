/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/identity.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/cert.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 64 << 10, /* of any file here */
    UUID_MAX = 64,
};

struct identity {
    char *dir;
    char *key; /* PEM */
    struct bytes public_key;
    char *cert; /* PEM: ours, then the CA's; NULL when not a member */
    char *ca_cert;
    char *ca_key;
    char *cluster; /* NULL when not a member */
    int64_t node_id;
};

/* Everything that makes a member, in the order it is removed. */
static const char *const member_files[] = {"member", "node.crt", "ca.key", "ca.crt"};

/* --- files --------------------------------------------------------------------------------- */

static void free_secret(char **secret)
{
    if (*secret)
        OPENSSL_cleanse(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

/* Read DIR/@name as text. */
static int read_text(const struct identity *id, const char *name, char **ret, struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", id->dir, name);
    cleanup_buf struct buf text = BUF_INIT;
    int rv = file_read(path, FILE_MAX, &text, err);
    if (rv < 0)
        return rv;
    if (strlen(text.data) != text.len)
        return err_set(err, ERR_CORRUPT, "%s has a 0 byte in it", path);
    *ret = buf_take(&text);
    return 0;
}

static int write_text(const struct identity *id, const char *name, const char *text, mode_t mode,
                      struct err *err)
{
    cleanup_free char *path = str_printf("%s/%s", id->dir, name);
    return file_write(path, text, strlen(text), mode, err);
}

static bool has_file(const struct identity *id, const char *name)
{
    cleanup_free char *path = str_printf("%s/%s", id->dir, name);
    return file_exists(path);
}

static int remove_files(const struct identity *id, const char *const *names, size_t n,
                        struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *path = str_printf("%s/%s", id->dir, names[i]);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_errno(err, errno, "remove %s", path);
    }
    return file_sync_dir(id->dir, err);
}

/* --- opening ------------------------------------------------------------------------------- */

static int load_key(struct identity *id, struct err *err)
{
    EVP_PKEY *key;
    if (!has_file(id, "node.key")) {
        key = cert_new_key();
        id->key = cert_key_to_pem(key);
        int rv = write_text(id, "node.key", id->key, 0600, err);
        if (rv == 0)
            cert_public_key(key, &id->public_key);
        EVP_PKEY_free(key);
        return rv;
    }
    int rv = read_text(id, "node.key", &id->key, err);
    if (rv < 0)
        return rv;
    if (cert_key_from_pem(id->key, &key, err) < 0)
        return err_wrap(err, "%s/node.key", id->dir);
    cert_public_key(key, &id->public_key);
    EVP_PKEY_free(key);
    return 0;
}

static char *member_text(const char *cluster, int64_t node_id)
{
    return str_printf("wherry member 1\ncluster %s\nnode %" PRId64 "\n", cluster, node_id);
}

static int load_member(struct identity *id, struct err *err)
{
    cleanup_free char *text = NULL;
    int rv = read_text(id, "member", &text, err);
    if (rv < 0)
        return rv;
    char cluster[UUID_MAX + 1];
    int64_t node_id;
    /* What it says is what we would have written, byte for byte. */
    bool ok =
        sscanf(text, "wherry member 1\ncluster %64s\nnode %" SCNd64 "\n", cluster, &node_id) == 2 &&
        node_id > 0;
    if (ok) {
        cleanup_free char *again = member_text(cluster, node_id);
        ok = strcmp(text, again) == 0;
    }
    if (!ok)
        return err_set(err, ERR_CORRUPT,
                       "%s/member is damaged; move the folder away and join again", id->dir);
    id->cluster = str_copy(cluster);
    id->node_id = node_id;
    return 0;
}

/* The CA's certificate in @cert_pem must be for the key in @key_pem. @dir is where they were read,
 * NULL: a member sent them. */
static int check_ca(const char *dir, const char *cert_pem, const char *key_pem, struct err *err)
{
    X509 *cert;
    EVP_PKEY *key;
    if (cert_from_pem(cert_pem, &cert, err) < 0)
        return err_wrap(err, "%s%s", str_or_empty(dir), dir ? "/ca.crt" : "the CA's certificate");
    if (cert_key_from_pem(key_pem, &key, err) < 0) {
        X509_free(cert);
        return err_wrap(err, "%s%s", str_or_empty(dir), dir ? "/ca.key" : "the CA's key");
    }
    bool ok = X509_check_private_key(cert, key) == 1 && cert_is_signed_by(cert, cert);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ok ? 0
              : err_set(err, ERR_CORRUPT, "the CA's certificate and key do not belong together");
}

/* Our certificate must be for our key and signed by our CA. */
static int check_cert(const struct identity *id, struct err *err)
{
    X509 *cert;
    X509 *ca;
    if (cert_from_pem(id->cert, &cert, err) < 0)
        return err_wrap(err, "%s/node.crt", id->dir);
    if (cert_from_pem(id->ca_cert, &ca, err) < 0) {
        X509_free(cert);
        return err_wrap(err, "%s/ca.crt", id->dir);
    }
    struct bytes public_key = {0};
    cert_public_key(X509_get0_pubkey(cert), &public_key);
    bool ok = public_key.len == id->public_key.len &&
              memcmp(public_key.data, id->public_key.data, public_key.len) == 0 &&
              cert_is_signed_by(cert, ca);
    bytes_set(&public_key, NULL, 0);
    X509_free(cert);
    X509_free(ca);
    return ok ? 0
              : err_set(err, ERR_CORRUPT, "%s/node.crt is not for node.key, or not of this CA",
                        id->dir);
}

static int load_all(struct identity *id, struct err *err)
{
    int rv = load_key(id, err);
    if (rv < 0)
        return rv;
    if (!has_file(id, "member")) {
        for (size_t i = 0; i < ARRAY_SIZE(member_files); i++) {
            if (has_file(id, member_files[i])) {
                log_warn("identity", "%s: an earlier init or join did not finish; starting afresh",
                         id->dir);
                return remove_files(id, member_files, ARRAY_SIZE(member_files), err);
            }
        }
        return 0;
    }
    if ((rv = load_member(id, err)) < 0 || (rv = read_text(id, "ca.crt", &id->ca_cert, err)) < 0 ||
        (rv = read_text(id, "ca.key", &id->ca_key, err)) < 0 ||
        (rv = read_text(id, "node.crt", &id->cert, err)) < 0)
        return rv;
    if ((rv = check_ca(id->dir, id->ca_cert, id->ca_key, err)) < 0)
        return rv;
    return check_cert(id, err);
}

int identity_open(const char *dir, struct identity **ret_identity, struct err *err)
{
    int rv = file_mkdirs(dir, 0700, err);
    if (rv < 0)
        return rv;
    if (chmod(dir, 0700) < 0)
        return err_errno(err, errno, "set the mode of %s", dir);
    struct identity *id = mem_alloc(1, sizeof(*id));
    id->dir = str_copy(dir);
    rv = load_all(id, err);
    if (rv < 0) {
        identity_free(id);
        return rv;
    }
    *ret_identity = id;
    return 0;
}

static void forget_member(struct identity *id)
{
    free_secret(&id->ca_key);
    free(steal(&id->ca_cert));
    free(steal(&id->cert));
    free(steal(&id->cluster));
    id->node_id = 0;
}

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    forget_member(identity);
    free_secret(&identity->key);
    bytes_set(&identity->public_key, NULL, 0);
    free(identity->dir);
    free(identity);
}

/* --- what it says -------------------------------------------------------------------------- */

const struct bytes *identity_public_key(const struct identity *identity)
{
    return &identity->public_key;
}

bool identity_is_member(const struct identity *identity)
{
    return identity->node_id != 0;
}

int64_t identity_node_id(const struct identity *identity)
{
    return identity->node_id;
}

const char *identity_cluster(const struct identity *identity)
{
    return str_or_empty(identity->cluster);
}

const char *identity_ca_cert(const struct identity *identity)
{
    return str_or_empty(identity->ca_cert);
}

const char *identity_ca_key(const struct identity *identity)
{
    return str_or_empty(identity->ca_key);
}

const char *identity_cert(const struct identity *identity)
{
    return str_or_empty(identity->cert);
}

const char *identity_key(const struct identity *identity)
{
    return identity->key;
}

/* --- becoming and ceasing to be a member --------------------------------------------------- */

/* Take over a CA that was checked. */
static int store_ca(struct identity *id, const char *cert_pem, const char *key_pem, struct err *err)
{
    int rv = write_text(id, "ca.key", key_pem, 0600, err);
    if (rv == 0)
        rv = write_text(id, "ca.crt", cert_pem, 0644, err);
    if (rv < 0)
        return rv;
    free_secret(&id->ca_key);
    free(id->ca_cert);
    id->ca_key = str_copy(key_pem);
    id->ca_cert = str_copy(cert_pem);
    return 0;
}

int identity_make_ca(struct identity *identity, struct err *err)
{
    if (identity->ca_cert)
        return err_set(err, ERR_EXISTS, "%s holds a cluster's CA already", identity->dir);
    EVP_PKEY *key = cert_new_key();
    X509 *cert = cert_new_ca(key);
    cleanup_free char *cert_pem = cert_to_pem(cert);
    char *key_pem = cert_key_to_pem(key);
    X509_free(cert);
    EVP_PKEY_free(key);
    int rv = store_ca(identity, cert_pem, key_pem, err);
    free_secret(&key_pem);
    return rv;
}

int identity_set_ca(struct identity *identity, const char *cert_pem, const char *key_pem,
                    struct err *err)
{
    if (identity_is_member(identity))
        return err_set(err, ERR_EXISTS, "this machine is node n%" PRId64 " of a cluster already",
                       identity->node_id);
    int rv = check_ca(NULL, cert_pem, key_pem, err);
    return rv < 0 ? rv : store_ca(identity, cert_pem, key_pem, err);
}

/* Our certificate and the CA's, in PEM. Both of the CA were checked when they came in. */
static int make_cert(const struct identity *id, int64_t node_id, char **ret, struct err *err)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY *ca_key = NULL;
    X509 *ca = NULL;
    int rv = cert_key_from_pem(id->key, &key, err);
    if (rv == 0)
        rv = cert_key_from_pem(id->ca_key, &ca_key, err);
    if (rv == 0)
        rv = cert_from_pem(id->ca_cert, &ca, err);
    if (rv == 0) {
        X509 *cert = cert_new_node(key, node_id, ca, ca_key);
        cleanup_free char *pem = cert_to_pem(cert);
        cleanup_free char *ca_pem = cert_to_pem(ca);
        *ret = str_printf("%s%s", pem, ca_pem);
        X509_free(cert);
    }
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return rv;
}

static bool is_uuid(const char *s)
{
    size_t len = strlen(s);
    if (len == 0 || len > UUID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '-')
            return false;
    return true;
}

int identity_set_member(struct identity *identity, const char *uuid, int64_t node_id,
                        struct err *err)
{
    if (identity_is_member(identity))
        return err_set(err, ERR_EXISTS, "this machine is node n%" PRId64 " of a cluster already",
                       identity->node_id);
    if (!identity->ca_cert)
        return err_set(err, ERR_NOTFOUND, "no cluster CA");
    if (!is_uuid(uuid) || node_id <= 0)
        return err_set(err, ERR_INVALID, "not a cluster uuid and a node id");
    cleanup_free char *cert = NULL;
    int rv = make_cert(identity, node_id, &cert, err);
    if (rv < 0)
        return rv;
    cleanup_free char *text = member_text(uuid, node_id);
    if ((rv = write_text(identity, "node.crt", cert, 0644, err)) < 0 ||
        (rv = write_text(identity, "member", text, 0644, err)) < 0)
        return rv;
    identity->cert = steal(&cert);
    identity->cluster = str_copy(uuid);
    identity->node_id = node_id;
    return 0;
}

int identity_reset(struct identity *identity, struct err *err)
{
    static const char *const key_file[] = {"node.key"};
    int rv = remove_files(identity, member_files, ARRAY_SIZE(member_files), err);
    if (rv < 0)
        return rv;
    forget_member(identity);
    return remove_files(identity, key_file, 1, err);
}
