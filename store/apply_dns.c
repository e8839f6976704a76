/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the user's own. What their values mean is checked where they come in (node/records.h);
 * here only that they are small and plain. */
#include "store/apply.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

static bool is_type(const char *type)
{
    static const char *const types[] = {"A", "AAAA", "CNAME", "TXT", "SRV", "MX"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool is_plain(const char *text, size_t max)
{
    size_t len = strlen(text);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return len > 0 && len <= max;
}

/* Letters of hosts and services, in lower case; "*" may stand for the first label. */
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    const char *rest = str_starts(name, "*.") ? name + 2 : name;
    size_t len = strlen(rest);
    return len > 0 && strlen(name) <= DNS_NAME_MAX && rest[0] != '.' && rest[len - 1] != '.' &&
           !strstr(rest, "..") && strspn(rest, allowed) == len;
}

static int check_record(const struct change_dns_set *change, struct err *err)
{
    if (!is_name(str_or_empty(change->name)))
        return err_set(err, ERR_INVALID,
                       "'%.100s' is no name: labels of letters, digits, '-' and '_' with dots "
                       "between them, in lower case",
                       str_or_empty(change->name));
    if (!is_type(str_or_empty(change->type)))
        return err_set(err, ERR_INVALID, "'%.20s' is none of A, AAAA, CNAME, TXT, SRV and MX",
                       str_or_empty(change->type));
    if (!is_plain(str_or_empty(change->value), DNS_VALUE_MAX))
        return err_set(err, ERR_INVALID,
                       "%s: its value is empty, not plain or longer than %d bytes", change->name,
                       DNS_VALUE_MAX);
    if (change->ttl < 0 || change->ttl > 7 * 24 * 3600)
        return err_set(err, ERR_INVALID, "%s: its time to live is not within 0 s to a week",
                       change->name);
    return 0;
}

/* A name with a CNAME has nothing else (RFC 1034, section 3.6.2). */
static int check_others(const struct change_dns_set *change, const struct dns_record *records,
                        size_t n, struct err *err)
{
    bool alias = strcmp(change->type, "CNAME") == 0;
    for (size_t i = 0; i < n; i++) {
        if (!str_equal(records[i].name, change->name))
            continue;
        bool other = str_equal(records[i].type, "CNAME") != alias ||
                     (alias && !str_equal(records[i].value, change->value));
        if (other)
            return err_set(err, ERR_EXISTS,
                           "%s has a record already, and a CNAME stands alone (RFC 1034): remove "
                           "that first, 'wherry dns rm %s'",
                           change->name, change->name);
    }
    return 0;
}

int apply_dns_set(struct apply *apply, const struct change_dns_set *change, struct err *err)
{
    struct dns_record *records;
    size_t n;
    struct dns_record record = {0};
    int rv = check_record(change, err);
    if (rv < 0)
        return rv;
    store_list(apply->store, TABLE_DNS_RECORD, BY_NONE, 0, &records, &n);
    rv = check_others(change, records, n, err);
    if (rv == 0 && n >= DNS_RECORDS_MAX)
        rv = err_set(err, ERR_TOOBIG, "there are %d records already", DNS_RECORDS_MAX);
    for (size_t i = 0; i < n && rv == 0 && record.id == 0; i++)
        if (str_equal(records[i].name, change->name) && str_equal(records[i].type, change->type) &&
            str_equal(records[i].value, change->value))
            record_copy(&dns_record_type, &records[i], &record);
    if (rv == 0 && record.id == 0)
        record = (struct dns_record){.id = apply_next_id(apply),
                                     .name = str_copy(change->name),
                                     .type = str_copy(change->type),
                                     .value = str_copy(change->value),
                                     .created_ms = apply->now_ms};
    if (rv == 0) {
        record.ttl = change->ttl;
        apply->made = record.id;
        apply_put(apply, TABLE_DNS_RECORD, &record);
        apply_event(apply, "dns", record.name, "%s %s", record.type, record.value);
    }
    record_release(&dns_record_type, &record);
    record_free_list(&dns_record_type, records, n);
    return rv;
}

int apply_dns_remove(struct apply *apply, const struct change_dns_remove *change, struct err *err)
{
    struct dns_record *records;
    size_t n;
    size_t removed = 0;
    const char *name = str_or_empty(change->name);
    store_list(apply->store, TABLE_DNS_RECORD, BY_NONE, 0, &records, &n);
    for (size_t i = 0; i < n; i++) {
        if (!str_equal(records[i].name, name) ||
            (*str_or_empty(change->type) && !str_equal(records[i].type, change->type)) ||
            (*str_or_empty(change->value) && !str_equal(records[i].value, change->value)))
            continue;
        apply_delete(apply, TABLE_DNS_RECORD, records[i].id);
        removed++;
    }
    record_free_list(&dns_record_type, records, n);
    if (removed == 0)
        return err_set(err, ERR_NOTFOUND, "there is no such record of %.100s", name);
    apply_event(apply, "dns", name, "%zu record%s removed", removed, removed == 1 ? "" : "s");
    return 0;
}
