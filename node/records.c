/* SPDX-License-Identifier: Apache-2.0 */
#include "node/records.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#include <ctype.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

char *record_type_name(const char *type)
{
    char *upper = str_copy(type);
    for (char *c = upper; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return upper;
}

int record_check_name(const char *name, char **ret_name, struct err *err)
{
    char *lower = str_copy(str_or_empty(name));
    size_t len = strlen(lower);
    ldns_rdf *parsed = NULL;
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (len > 1 && lower[len - 1] == '.')
        lower[len - 1] = '\0';
    bool fine = *lower && *lower != '.' && strlen(lower) <= DNS_NAME_MAX &&
                ldns_str2rdf_dname(&parsed, lower) == LDNS_STATUS_OK;
    ldns_rdf_deep_free(parsed);
    if (!fine) {
        err_set(err, ERR_INVALID, "'%.100s' is no name of DNS: labels of at most 63 with dots",
                str_or_empty(name));
        free(lower);
        return ERR_INVALID;
    }
    *ret_name = lower;
    return 0;
}

static const struct {
    const char *type;
    const char *form;
} forms[] = {
    {"A", "an IPv4 address"},
    {"AAAA", "an IPv6 address"},
    {"CNAME", "a name"},
    {"TXT", "text, in quotes if it has blanks"},
    {"SRV", "PRIORITY WEIGHT PORT NAME"},
    {"MX", "PREFERENCE NAME"},
};

static const char *form_of(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
        if (strcmp(forms[i].type, type) == 0)
            return forms[i].form;
    return NULL;
}

/* One text, whatever is in it, quoted if it is not yet. */
static char *quoted(const char *type, const char *value)
{
    if (strcmp(type, "TXT") != 0 || value[0] == '"')
        return str_copy(value);
    size_t room = 2 * strlen(value) + 3, len = 0;
    char *out = mem_alloc(room, 1);
    out[len++] = '"';
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\')
            out[len++] = '\\';
        out[len++] = *c;
    }
    out[len++] = '"';
    return out;
}

int record_check(const char *name, const char *type, const char *value, char **ret_name,
                 char **ret_type, char **ret_value, struct err *err)
{
    cleanup_free char *lower = NULL;
    cleanup_free char *upper = record_type_name(str_or_empty(type));
    const char *form = form_of(upper);
    ldns_rr *parsed = NULL;
    if (record_check_name(name, &lower, err) < 0)
        return err->code;
    if (!form)
        return err_set(err, ERR_INVALID, "'%.20s' is none of A, AAAA, CNAME, TXT, SRV and MX",
                       str_or_empty(type));
    cleanup_free char *text = quoted(upper, str_or_empty(value));
    bool txt = strcmp(upper, "TXT") == 0;
    bool plain =
        *text && strlen(text) <= DNS_VALUE_MAX && !strpbrk(text, txt ? "\r\n\t" : "\r\n\t;()");
    cleanup_free char *line = str_printf("%s. 60 IN %s %s", lower, upper, text);
    ldns_rdf *origin = ldns_dname_new_frm_str(".");
    bool fine = plain && ldns_rr_new_frm_str(&parsed, line, 60, origin, NULL) == LDNS_STATUS_OK;
    ldns_rdf_deep_free(origin);
    ldns_rr_free(parsed);
    if (!fine)
        return err_set(err, ERR_INVALID, "'%.100s' is no value of a record %s: %s is",
                       str_or_empty(value), upper, form);
    if (ret_name)
        *ret_name = steal(&lower);
    if (ret_type)
        *ret_type = steal(&upper);
    if (ret_value)
        *ret_value = steal(&text);
    return 0;
}
