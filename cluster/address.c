/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/address.h"

#include "base/err.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_port(const char *s)
{
    size_t len = strlen(s);
    if (len == 0 || len >= ADDRESS_PORT_MAX || strspn(s, "0123456789") != len)
        return false;
    return atoi(s) <= 65535;
}

static bool is_host(const char *s)
{
    for (size_t i = 0; s[i]; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(".:-_%", s[i]))
            return false;
    return *s != '\0';
}

int address_split(const char *text, const char *default_port, struct address *ret, struct err *err)
{
    struct address a = {0};
    const char *host = text;
    const char *port = NULL;
    size_t len = strlen(text);
    const char *colon = strrchr(text, ':');
    if (*text == '[') {
        const char *end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return err_set(err, ERR_INVALID, "'%.60s' is not an address: [IPv6]:PORT", text);
        host = text + 1;
        len = (size_t)(end - host);
        port = end[1] == ':' ? end + 2 : NULL;
    } else if (colon && colon == strchr(text, ':')) {
        len = (size_t)(colon - text);
        port = colon + 1;
    }
    if (!port)
        port = default_port;
    if (!port)
        return err_set(err, ERR_INVALID, "'%.60s' lacks a port", text);
    if (!is_port(port))
        return err_set(err, ERR_INVALID, "'%.60s': '%.20s' is not a port", text, port);
    if (len >= sizeof(a.host))
        return err_set(err, ERR_INVALID, "'%.60s…' is too long for an address", text);
    memcpy(a.host, host, len);
    if (!is_host(a.host))
        return err_set(err, ERR_INVALID, "'%.60s' is not an address: HOST:PORT", text);
    str_fill(a.port, sizeof(a.port), port);
    *ret = a;
    return 0;
}

int address_numeric(const struct address *address, union socket_address *ret, struct err *err)
{
    union socket_address sa = {0};
    uint16_t port = htons((uint16_t)atoi(address->port));
    if (inet_pton(AF_INET, address->host, &sa.v4.sin_addr) == 1) {
        sa.v4.sin_family = AF_INET;
        sa.v4.sin_port = port;
    } else if (inet_pton(AF_INET6, address->host, &sa.v6.sin6_addr) == 1) {
        sa.v6.sin6_family = AF_INET6;
        sa.v6.sin6_port = port;
    } else {
        return err_set(err, ERR_INVALID, "'%s' is not a numeric address", address->host);
    }
    *ret = sa;
    return 0;
}
