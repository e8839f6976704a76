/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - TLS 1.3 (RFC 8446) without a socket: bytes of the network in and out, text in and out.
 *
 *     tls = tls_new(context, server)
 *     for ever: tls_feed(what came from the network)
 *               tls_handshake() until it is done, then tls_read() until there is no more
 *               send what tls_out() holds, also after every tls_write()
 *
 * Both sides show a certificate, and the handshake proves that they hold its key. Which key that
 * may be is the caller's to say afterwards (tls_peer_key): no chain, name or date is looked at.
 * Only tls_expect_ca() asks for a chain. Certificates other than ECDSA P-256 are refused before
 * anything is computed for them.
 *
 * One thread per context.
 */
#ifndef WHERRY_CLUSTER_TLS_H
#define WHERRY_CLUSTER_TLS_H

#include "base/buf.h"
#include "store/record.h"

struct err;
struct identity;
struct tls;
struct tls_context;

enum {
    TLS_RECORD_MAX = 16384, /* text in one record */
};

/* What sessions share. With @identity: its key and certificate, or one that it signs itself when it
 * is no member. NULL: no certificate and TLS 1.2 too, for a client of the calls' port. */
int tls_context_new(const struct identity *identity, struct tls_context **ret_context,
                    struct err *err);

/* For the server of the calls' port: the certificate of @identity, a member; none is asked of the
 * callers, and TLS 1.2 will do. */
int tls_context_new_calls(const struct identity *identity, struct tls_context **ret_context,
                          struct err *err);

/* Free; sessions live on. NULL is fine. */
void tls_context_free(struct tls_context *context);

/* A session. */
struct tls *tls_new(struct tls_context *context, bool server);

/* Free. NULL is fine. */
void tls_free(struct tls *tls);

/* Before the handshake, as a client: go on only if the server's certificate is signed by the CA
 * whose certificate hashes to @ca_hash and is among those it sends, or by one that this CA has
 * certified. Dates are not looked at. The handshake fails before this side has sent anything but
 * its hello. */
void tls_expect_ca(struct tls *tls, const unsigned char ca_hash[32]);

/* The certificate that signed the server's, PEM, once the handshake is done: that of the CA found
 * by tls_expect_ca(), or of one that it has certified. Borrowed. */
const char *tls_ca_cert(const struct tls *tls);

/* Bytes that came from the network. They are read by the calls that follow and must stay until
 * tls_handshake() or tls_read() returned 0; what was fed before must be used up. */
void tls_feed(struct tls *tls, const void *data, size_t len);

/* Go on with the handshake. 1: done; 0: more bytes are needed; else an error. */
int tls_handshake(struct tls *tls, struct err *err);

/* Read text into @out. The length, 0: more bytes are needed; ERR_UNAVAILABLE: the other side
 * closed; ERR_CORRUPT: what came is damaged. */
int tls_read(struct tls *tls, void *out, size_t size);

/* Encrypt @len bytes of text, at most TLS_RECORD_MAX, into tls_out(). */
int tls_write(struct tls *tls, const void *data, size_t len);

/* Bytes to send. The caller takes them out. */
struct buf *tls_out(struct tls *tls);

/* The public key the other side has proved to hold: SubjectPublicKeyInfo in DER. ERR_DENIED when it
 * showed no certificate. */
int tls_peer_key(const struct tls *tls, struct bytes *ret);

#endif
