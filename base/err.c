/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, fmt);
    /* The arguments may point into the old message. */
    char msg[sizeof(err->msg)];
    vsnprintf(msg, sizeof(msg), fmt, args);
    va_end(args);
    err->code = code;
    memcpy(err->msg, msg, sizeof(msg));
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return ERR_NOTFOUND;
    case EEXIST:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return ERR_NOSPACE;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

int err_errno(struct err *err, int errnum, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(err, code_of_errno(errnum), "%s: %s", text, strerror(errnum));
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (!err)
        return ERR_FAILED;
    char prefix[sizeof(err->msg)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof(prefix), fmt, args);
    va_end(args);
    return err_set(err, err->code, "%s: %s", prefix, err->msg);
}

const char *err_text(int code)
{
    switch (code) {
#define X(name, number, status, text)                                                              \
    case name:                                                                                     \
        return text;
        ERR_CODES(X)
#undef X
    case ERR_OK:
        return "ok";
    }
    return "failed";
}

const char *err_name(int code)
{
    switch (code) {
#define X(name, number, status, text)                                                              \
    case name:                                                                                     \
        return #name;
        ERR_CODES(X)
#undef X
    }
    return "ERR_OK";
}

int err_exit_status(int code)
{
    switch (code) {
#define X(name, number, status, text)                                                              \
    case name:                                                                                     \
        return status;
        ERR_CODES(X)
#undef X
    case ERR_OK:
        return 0;
    }
    return 1;
}

int err_from_wire(long number)
{
#define X(name, num, status, text)                                                                 \
    if (number == (num))                                                                           \
        return name;
    ERR_CODES(X)
#undef X
    return ERR_FAILED;
}
