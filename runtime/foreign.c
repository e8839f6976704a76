/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/foreign.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/netlink.h"
#include "runtime/netname.h"
#include "runtime/process.h"
#include "runtime/ruleset.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIREWALLD "firewalld" /* its table of nftables */

enum {
    TIMEOUT_MS = 10000,
    OUTPUT_MAX = 300,
    REMOVE_MAX = 16, /* of one rule, that somebody may have doubled */
};

static const char *text_of(const struct nlattr *attr)
{
    return attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(attr) : "";
}

static int on_hook(const struct nlattr *attr, void *arg)
{
    if (mnl_attr_get_type(attr) == NFTA_HOOK_HOOKNUM &&
        mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
        *(int *)arg = (int)ntohl(mnl_attr_get_u32(attr));
    return MNL_CB_OK;
}

/* The number of the hook that a chain is on; -1: on none. */
static int hook_of(const struct nlattr *attr)
{
    int hook = -1;
    if (attr)
        mnl_attr_parse_nested(attr, on_hook, &hook);
    return hook;
}

static const char *family_name(uint8_t family)
{
    return family == NFPROTO_IPV4   ? "ip"
           : family == NFPROTO_IPV6 ? "ip6"
           : family == NFPROTO_INET ? "inet"
                                    : "";
}

struct looking {
    bool six;
    struct foreign found;
};

/* Where a chain of @family is counted: in a table filter of iptables or ip6tables, else NULL. */
static struct foreign_family *family_of(struct foreign *foreign, uint8_t family, const char *table)
{
    if (strcmp(table, "filter") != 0 || family == NFPROTO_INET)
        return NULL;
    return family == NFPROTO_IPV6 ? &foreign->six : &foreign->four;
}

/* Note a chain that drops. */
static void note_drop(struct foreign *foreign, struct foreign_family *of, const char *family,
                      const char *table, const char *name)
{
    if (of)
        of->drops = true;
    foreign->others |= !of;
    if (!foreign->chain[0] || !of) /* Docker's is opened: rather another */
        snprintf(foreign->chain, sizeof(foreign->chain), "%.40s of table %s %.40s", name, family,
                 table);
}

static void on_chain(const struct nlmsghdr *msg, void *arg)
{
    struct looking *looking = arg;
    struct foreign *foreign = &looking->found;
    if (!msg) {
        *foreign = (struct foreign){0};
        return;
    }
    const struct nfgenmsg *info = mnl_nlmsg_get_payload(msg);
    const struct nlattr *attrs[NFTA_CHAIN_POLICY + 1];
    if (mnl_nlmsg_get_payload_len(msg) < sizeof(*info))
        return;
    netlink_attributes(msg, sizeof(*info), attrs, NFTA_CHAIN_POLICY);
    const char *family = family_name(info->nfgen_family);
    const char *table = text_of(attrs[NFTA_CHAIN_TABLE]), *name = text_of(attrs[NFTA_CHAIN_NAME]);
    if (!*family || strcmp(table, RULESET_TABLE) == 0 ||
        (info->nfgen_family == NFPROTO_IPV6 && !looking->six))
        return;
    struct foreign_family *of = family_of(foreign, info->nfgen_family, table);
    if (of)
        of->docker |= strcmp(name, "DOCKER-USER") == 0;
    foreign->ufw |=
        of && (strcmp(name, "ufw-user-forward") == 0 || strcmp(name, "ufw6-user-forward") == 0);
    bool drops = hook_of(attrs[NFTA_CHAIN_HOOK]) == NF_INET_FORWARD && attrs[NFTA_CHAIN_POLICY] &&
                 mnl_attr_get_payload_len(attrs[NFTA_CHAIN_POLICY]) == sizeof(uint32_t) &&
                 ntohl(mnl_attr_get_u32(attrs[NFTA_CHAIN_POLICY])) == NF_DROP;
    /* Its policy is to accept, and its last rule refuses (firewalld.org/documentation/concepts). */
    if (info->nfgen_family == NFPROTO_INET && strcmp(table, FIREWALLD) == 0 &&
        hook_of(attrs[NFTA_CHAIN_HOOK]) == NF_INET_FORWARD && strcmp(name, "filter_FORWARD") == 0)
        foreign->firewalld = true;
    if (drops)
        note_drop(foreign, of, family, table, name);
}

static void on_rule(const struct nlmsghdr *msg, void *arg)
{
    bool *named = arg;
    if (!msg)
        *named = false;
    else if (memmem(mnl_nlmsg_get_payload(msg), mnl_nlmsg_get_payload_len(msg), NETNAME_TUNNEL,
                    strlen(NETNAME_TUNNEL)))
        *named = true;
}

/* Whether firewalld's rules name our device, which then is in a zone that somebody gave it. */
static int look_at_firewalld(struct netlink *nl, bool *ret_named, struct err *err)
{
    const struct nfgenmsg info = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
    struct nlmsghdr *msg =
        netlink_dump(nl, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, &info, sizeof(info));
    mnl_attr_put_strz(msg, NFTA_RULE_TABLE, FIREWALLD);
    return netlink_dump_run(nl, on_rule, ret_named, err);
}

int foreign_look(struct netlink *nl, bool six, struct foreign *ret, struct err *err)
{
    const struct nfgenmsg info = {.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0};
    struct looking looking = {.six = six};
    netlink_dump(nl, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, &info, sizeof(info));
    int rc = netlink_dump_run(nl, on_chain, &looking, err);
    bool named = false;
    *ret = looking.found;
    if (rc < 0 || !ret->firewalld)
        return rc;
    rc = look_at_firewalld(nl, &named, err);
    if (rc == 0 && !named) {
        ret->others = true;
        str_fill(ret->chain, sizeof(ret->chain), "filter_FORWARD of table inet " FIREWALLD);
    }
    ret->firewalld &= !named;
    return rc;
}

/* Its chain drops, and has no place for our rules. */
static bool is_closed(const struct foreign_family *of)
{
    return of->drops && !of->docker;
}

void foreign_advice(const struct foreign *foreign, char *out, size_t size)
{
    const char *how = "let it accept what comes from, and goes to, devices wv+ and wherry0";
    out[0] = '\0';
    if (!foreign->others && !is_closed(&foreign->four) && !is_closed(&foreign->six))
        return;
    if (foreign->ufw)
        how = "'ufw default allow routed' opens it";
    if (foreign->firewalld)
        how =
            "'firewall-cmd --permanent --zone=trusted --add-interface=wherry0 --add-interface=wv+' "
            "and 'firewall-cmd --reload' open it";
    snprintf(out, size, "chain %s drops what goes to and from containers: %s", foreign->chain, how);
}

/* --- Docker's chain --------------------------------------------------------------------------- */

/* The path of iptables, or ip6tables, as a new string; NULL: it is not installed. */
static char *find_program(bool six)
{
    static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        cleanup_free char *path = str_printf("%s/%s", folders[i], six ? "ip6tables" : "iptables");
        if (access(path, X_OK) == 0)
            return steal(&path);
    }
    return NULL;
}

/* Do @action (-C, -I, -D) with the rule that accepts what @way (-i, -o) has @device. */
static int run(const char *program, const char *action, const char *way, const char *device,
               int *ret_code, struct err *err)
{
    const char *const argv[] = {program,       "-w",   "5",      action,    "DOCKER-USER",
                                way,           device, "-m",     "comment", "--comment",
                                RULESET_TABLE, "-j",   "ACCEPT", NULL};
    cleanup_buf struct buf said = BUF_INIT;
    int rc = process_run(argv, NULL, TIMEOUT_MS, OUTPUT_MAX, &said, ret_code, err);
    if (rc == 0 && *ret_code != 0 && strcmp(action, "-I") == 0)
        rc = err_set(err, ERR_IO, "iptables: %s", said.len ? said.data : "failed");
    return rc;
}

static const struct {
    const char *way, *device;
} rules[] = {
    {"-i", NETNAME_PORT_PREFIX "+"},
    {"-o", NETNAME_PORT_PREFIX "+"},
    {"-i", NETNAME_TUNNEL},
    {"-o", NETNAME_TUNNEL},
};

static int open_chain(bool six, struct err *err)
{
    cleanup_free char *program = find_program(six);
    if (!program)
        return err_set(err, ERR_UNSUPPORTED, "the chain DOCKER-USER is there, but no %s",
                       six ? "ip6tables" : "iptables");
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        int code;
        int rc = run(program, "-C", rules[i].way, rules[i].device, &code, err);
        if (rc == 0 && code != 0)
            rc = run(program, "-I", rules[i].way, rules[i].device, &code, err);
        if (rc < 0)
            return err_wrap(err, "accept packets of containers in the chain DOCKER-USER");
    }
    return 0;
}

static int close_chain(bool six, struct err *err)
{
    cleanup_free char *program = find_program(six);
    for (size_t i = 0; program && i < ARRAY_SIZE(rules); i++)
        for (int k = 0, code = 0; k < REMOVE_MAX && code == 0; k++)
            if (run(program, "-D", rules[i].way, rules[i].device, &code, err) < 0)
                return err_wrap(err, "take our rules out of the chain DOCKER-USER");
    return 0;
}

int foreign_open(const struct foreign *foreign, struct err *err)
{
    int rc = 0;
    if (foreign->four.drops && foreign->four.docker)
        rc = open_chain(false, err);
    if (rc == 0 && foreign->six.drops && foreign->six.docker)
        rc = open_chain(true, err);
    return rc;
}

int foreign_close(const struct foreign *foreign, struct err *err)
{
    int rc = foreign->four.docker ? close_chain(false, err) : 0;
    return rc == 0 && foreign->six.docker ? close_chain(true, err) : rc;
}
