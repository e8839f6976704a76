/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/identity.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/authority.h"
#include "cluster/cert.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
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
    char *cert;    /* PEM: our chain; NULL when not a member */
    char *ca_cert; /* of the chain, once there is one */
    char *ca_key;
    struct authority_chain chain; /* what it says; its ca is ca_cert */
    unsigned version;
    char *cluster; /* NULL when not a member */
    int64_t node_id;
};

/* Everything that makes a member, in the order it is removed. */
static const char *const member_files[] = {"member", "node.crt", "cluster.key", "ca.key", "ca.crt"};

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

/* Our chain must be for our key and number. What it says is in use from now on. */
static int use_chain(struct identity *id, int64_t node_id, const char *pem, struct err *err)
{
    struct authority_chain chain;
    int rv = authority_read_chain(pem, node_id, &id->public_key, &chain, err);
    if (rv < 0)
        return rv;
    free(id->cert);
    free(id->ca_cert);
    id->cert = str_copy(pem);
    id->ca_cert = chain.ca;
    id->chain = chain;
    id->version++;
    return 0;
}

/* The key an older version kept in a file; it goes as soon as the state has it. */
static int load_old_ca_key(struct identity *id, struct err *err)
{
    if (!has_file(id, "ca.key"))
        return 0;
    int rv = read_text(id, "ca.key", &id->ca_key, err);
    if (rv == 0)
        rv = authority_check(id->ca_cert, id->ca_key, err);
    return rv < 0 ? err_wrap(err, "%s/ca.key", id->dir) : 0;
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
    cleanup_free char *chain = NULL;
    if ((rv = load_member(id, err)) < 0 || (rv = read_text(id, "node.crt", &chain, err)) < 0)
        return rv;
    if ((rv = use_chain(id, id->node_id, chain, err)) < 0)
        return err_wrap(err, "%s/node.crt", id->dir);
    return load_old_ca_key(id, err);
}

int identity_open(const char *dir, struct identity **ret_identity, struct err *err)
{
    int rv = file_mkdirs(dir, 0700, err);
    if (rv == 0)
        rv = file_sync_parent(dir, err);
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
    id->version++;
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
    int rv = write_text(id, "ca.crt", cert_pem, 0644, err);
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
    cleanup_free char *cert = NULL;
    char *key = NULL;
    int rv = authority_new(NULL, &cert, &key, err);
    if (rv == 0)
        rv = store_ca(identity, cert, key, err);
    free_secret(&key);
    return rv;
}

int identity_set_ca(struct identity *identity, const char *cert_pem, const char *key_pem,
                    struct err *err)
{
    if (identity_is_member(identity))
        return err_set(err, ERR_EXISTS, "this machine is node n%" PRId64 " of a cluster already",
                       identity->node_id);
    int rv = authority_check(cert_pem, key_pem, err);
    return rv < 0 ? rv : store_ca(identity, cert_pem, key_pem, err);
}

int identity_keep_ca_key(struct identity *identity, struct err *err)
{
    return write_text(identity, "ca.key", str_or_empty(identity->ca_key), 0600, err);
}

int identity_drop_ca_key(struct identity *identity, struct err *err)
{
    static const char *const file[] = {"ca.key"};
    free_secret(&identity->ca_key);
    return has_file(identity, file[0]) ? remove_files(identity, file, 1, err) : 0;
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

int identity_join_member(struct identity *identity, const char *uuid, int64_t node_id,
                         const char *chain, struct err *err)
{
    struct authority_chain said;
    if (identity_is_member(identity))
        return err_set(err, ERR_EXISTS, "this machine is node n%" PRId64 " of a cluster already",
                       identity->node_id);
    if (!is_uuid(uuid) || node_id <= 0)
        return err_set(err, ERR_INVALID, "not a cluster uuid and a node id");
    int rv = authority_read_chain(chain, node_id, &identity->public_key, &said, err);
    if (rv < 0)
        return rv;
    cleanup_free char *text = member_text(uuid, node_id);
    rv = write_text(identity, "ca.crt", said.ca, 0644, err);
    free(said.ca);
    if (rv < 0 || (rv = write_text(identity, "node.crt", chain, 0644, err)) < 0 ||
        (rv = write_text(identity, "member", text, 0644, err)) < 0)
        return rv;
    check(use_chain(identity, node_id, chain, err) == 0);
    identity->cluster = str_copy(uuid);
    identity->node_id = node_id;
    return 0;
}

int identity_set_member(struct identity *identity, const char *uuid, int64_t node_id,
                        struct err *err)
{
    if (!identity->ca_key && !identity_is_member(identity))
        return err_set(err, ERR_NOTFOUND, "no cluster CA");
    if (!identity->ca_key)
        return err_set(err, ERR_EXISTS, "this machine is node n%" PRId64 " of a cluster already",
                       identity->node_id);
    cleanup_free char *chain = NULL;
    struct authority ca = {.cert = identity->ca_cert, .key = identity->ca_key};
    int rv = authority_certify(&ca, node_id, &identity->public_key, AUTHORITY_VALID_S, &chain, err);
    return rv < 0 ? rv : identity_join_member(identity, uuid, node_id, chain, err);
}

int identity_set_chain(struct identity *identity, const char *chain, struct err *err)
{
    struct authority_chain said;
    check(identity_is_member(identity));
    int rv = authority_read_chain(chain, identity->node_id, &identity->public_key, &said, err);
    if (rv < 0)
        return rv;
    rv = write_text(identity, "node.crt", chain, 0644, err);
    if (rv == 0)
        rv = write_text(identity, "ca.crt", said.ca, 0644, err);
    free(said.ca);
    return rv < 0 ? rv : use_chain(identity, identity->node_id, chain, err);
}

bool identity_chain(const struct identity *identity, struct authority_chain *ret)
{
    if (!identity_is_member(identity))
        return false;
    *ret = identity->chain;
    return true;
}

unsigned identity_version(const struct identity *identity)
{
    return identity->version;
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
