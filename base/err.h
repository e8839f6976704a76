/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - the one error object: a code for programs and a message for people.
 *
 * It lives in the caller's memory, needs no release and fits on the wire. Functions take it last
 * and return a negative code on failure, 0 on success; on success *err is not touched. The message
 * names the thing, the reason and, where there is one, the way out.
 *
 *     struct err err;
 *     if (file_read(path, 1 << 20, &buf, &err) < 0)
 *         return err_wrap(&err, "read %s", path);
 */
#ifndef WHERRY_BASE_ERR_H
#define WHERRY_BASE_ERR_H

/* name, number on the wire, exit status of the CLI, text.
 * Numbers never change their meaning; new ones are added at the end. */
#define ERR_CODES(X)                                                                               \
    X(ERR_INVALID, 1, 2, "invalid argument")                                                       \
    X(ERR_NOTFOUND, 2, 3, "not found")                                                             \
    X(ERR_EXISTS, 3, 4, "already exists")                                                          \
    X(ERR_CONFLICT, 4, 5, "changed meanwhile")                                                     \
    X(ERR_DENIED, 5, 6, "permission denied")                                                       \
    X(ERR_UNAVAILABLE, 6, 7, "unavailable")                                                        \
    X(ERR_TIMEOUT, 7, 8, "timed out")                                                              \
    X(ERR_UNKNOWN, 8, 9, "outcome unknown")                                                        \
    X(ERR_TOOBIG, 9, 2, "too big")                                                                 \
    X(ERR_CORRUPT, 10, 10, "damaged or hostile data")                                              \
    X(ERR_UNSUPPORTED, 11, 2, "not supported")                                                     \
    X(ERR_IO, 12, 11, "input/output error")                                                        \
    X(ERR_NOSPACE, 13, 11, "no space left")                                                        \
    X(ERR_BUSY, 14, 7, "busy")                                                                     \
    X(ERR_CANCELED, 15, 12, "canceled")                                                            \
    X(ERR_NOTLEADER, 16, 7, "not the leader")                                                      \
    X(ERR_FAILED, 17, 1, "failed")                                                                 \
    X(ERR_INTERNAL, 18, 70, "internal error")

enum err_code {
    ERR_OK = 0,
#define X(name, number, status, text) name = -(number),
    ERR_CODES(X)
#undef X
};

struct err {
    int code;      /* 0 or one of enum err_code */
    char msg[240]; /* cut, never overrun; always terminated */
};

/* Set @err to @code with a formatted message. @err may be NULL. Returns @code. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set with ": strerror(errnum)" appended; the code follows from @errnum (ENOENT is
 * ERR_NOTFOUND, EEXIST ERR_EXISTS, ENOSPC and EDQUOT ERR_NOSPACE, EACCES and EPERM ERR_DENIED,
 * else ERR_IO). Returns the code. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Prefix the message of @err with a formatted text and ": ". Returns err->code. @err may be NULL,
 * then ERR_FAILED is returned. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The short text of a code ("not found"). Never NULL. */
const char *err_text(int code);

/* The name of a code ("ERR_NOTFOUND"). Never NULL. */
const char *err_name(int code);

/* The exit status the CLI ends with for @code; 0 for 0. */
int err_exit_status(int code);

/* The code for a wire number; ERR_FAILED for one this build does not know. */
int err_from_wire(long number);

#endif
