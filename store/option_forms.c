/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of single values: see options.h on what changing one takes. */
#include "store/options.h"

#include "base/cleanup.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    TEXT_BYTES_MAX = 255,
    PATH_BYTES_MAX = 4095,
    DOMAIN_BYTES_MAX = 253,
    VALUE_BYTES_MAX = 1024,
    CPUS_MAX = 8192,
    DEVICE_NUMBER_DIGITS = 9,
};

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_among(const char *text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

/* 1 to @max bytes, all of @letters. */
static bool is_of(const char *text, const char *letters, size_t max)
{
    size_t len = strlen(text);
    return len > 0 && len <= max && strspn(text, letters) == len;
}

/* Nothing that ends a line or steers a terminal. */
static bool is_line(const char *text, size_t max)
{
    size_t len = 0;
    for (; text[len]; len++)
        if ((unsigned char)text[len] < ' ' || text[len] == 0x7f || len == max)
            return false;
    return true;
}

/* --- capabilities (capabilities(7), Linux 5.9 and later) ---------------------------------------
 */

static const char *const default_capabilities[] = {
    "AUDIT_WRITE", "CHOWN",   "DAC_OVERRIDE", "FOWNER",           "FSETID",
    "KILL",        "MKNOD",   "NET_RAW",      "NET_BIND_SERVICE", "SETFCAP",
    "SETGID",      "SETPCAP", "SETUID",       "SYS_CHROOT",
};

static const char *const other_capabilities[] = {
    "ALL",        "AUDIT_CONTROL", "AUDIT_READ",         "BLOCK_SUSPEND", "BPF",
    "SYS_PTRACE", "IPC_LOCK",      "CHECKPOINT_RESTORE", "IPC_OWNER",     "DAC_READ_SEARCH",
    "LEASE",      "MAC_ADMIN",     "LINUX_IMMUTABLE",    "MAC_OVERRIDE",  "NET_ADMIN",
    "PERFMON",    "NET_BROADCAST", "SYS_ADMIN",          "SYS_BOOT",      "SYS_MODULE",
    "SYS_NICE",   "SYS_PACCT",     "SYS_RAWIO",          "SYS_RESOURCE",  "SYS_TIME",
    "WAKE_ALARM", "SYSLOG",        "SYS_TTY_CONFIG",
};

bool option_capability_is_default(const char *name)
{
    return is_among(name, default_capabilities, ARRAY_SIZE(default_capabilities));
}

static bool capability_ok(const char *text)
{
    return option_capability_is_default(text) ||
           is_among(text, other_capabilities, ARRAY_SIZE(other_capabilities));
}

/* --- names and addresses ------------------------------------------------------------------- */

static bool group_ok(const char *text)
{
    return is_of(text, LOWER UPPER DIGITS "_.-", 32) && text[0] != '-';
}

static bool address_ok(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool nameserver_ok(const char *text)
{
    struct in_addr address;
    if (inet_pton(AF_INET, text, &address) != 1)
        return false;
    /* The task's node asks it: no loopback, which would be the node's, no 0.x, no multicast. */
    uint32_t first = ntohl(address.s_addr) >> 24;
    return first != 0 && first != 127 && first < 224;
}

static bool domain_ok(const char *text)
{
    return strcmp(text, ".") == 0 || (is_of(text, LOWER UPPER DIGITS "_.-", DOMAIN_BYTES_MAX) &&
                                      !strchr(".-", text[0]) && !strstr(text, ".."));
}

static bool resolver_ok(const char *text)
{
    return is_of(text, LOWER DIGITS "_:-", 64) && strchr(LOWER, text[0]);
}

static bool extra_host_ok(const char *text)
{
    const char *space = strchr(text, ' ');
    char name[DOMAIN_BYTES_MAX + 1];
    if (!space || (size_t)(space - text) >= sizeof(name))
        return false;
    memcpy(name, text, (size_t)(space - text));
    name[space - text] = '\0';
    return domain_ok(name) && strcmp(name, ".") != 0 &&
           (address_ok(space + 1) || strcmp(space + 1, "host-gateway") == 0);
}

/* --- files and devices --------------------------------------------------------------------- */

static bool path_ok(const char *text)
{
    if (text[0] != '/' || !is_line(text, PATH_BYTES_MAX))
        return false;
    for (const char *s = text; (s = strstr(s, "/.")); s += 2) {
        const char *end = s[2] == '.' ? s + 3 : s + 2;
        if (*end == '/' || *end == '\0')
            return false;
    }
    return true;
}

static bool access_ok(const char *text)
{
    if (strspn(text, "rwm") != strlen(text))
        return false;
    for (const char *s = text; *s; s++)
        if (strchr(s + 1, *s))
            return false;
    return true;
}

/* The length of a number or "*" at @s, 0: neither. */
static size_t device_number(const char *s)
{
    size_t digits = strspn(s, DIGITS);
    return *s == '*' ? 1 : digits <= DEVICE_NUMBER_DIGITS ? digits : 0;
}

static bool device_rule_ok(const char *text)
{
    if (!text[0] || !strchr("abc", text[0]) || text[1] != ' ')
        return false;
    const char *s = text + 2;
    size_t major = device_number(s);
    if (!major || s[major] != ':')
        return false;
    s += major + 1;
    size_t minor = device_number(s);
    return minor && s[minor] == ' ' && s[minor + 1] && access_ok(s + minor + 1);
}

static bool tmpfs_ok(const char *text)
{
    static const char *const flags[] = {
        "ro",         "rw",         "exec",        "noexec",        "suid",
        "nosuid",     "dev",        "nodev",       "sync",          "async",
        "dirsync",    "atime",      "noatime",     "diratime",      "relatime",
        "nodiratime", "norelatime", "strictatime", "nostrictatime",
    };
    static const char *const numbers[] = {"uid=", "gid=", "nr_inodes="};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (str_starts(text, numbers[i]))
            return is_of(text + strlen(numbers[i]), DIGITS, 10);
    return is_among(text, flags, ARRAY_SIZE(flags));
}

static bool propagation_ok(const char *text)
{
    static const char *const names[] = {"private", "rprivate", "shared",
                                        "rshared", "slave",    "rslave"};
    return is_among(text, names, ARRAY_SIZE(names));
}

/* --- limits -------------------------------------------------------------------------------- */

/* What belongs to the network or IPC namespace (network_namespaces(7), ipc_namespaces(7)). */
static bool sysctl_ok(const char *text)
{
    static const char *const names[] = {
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
        "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
    };
    if (is_among(text, names, ARRAY_SIZE(names)))
        return true;
    const char *rest = str_starts(text, "net.")         ? text + strlen("net.")
                       : str_starts(text, "fs.mqueue.") ? text + strlen("fs.mqueue.")
                                                        : "";
    return is_of(rest, LOWER UPPER DIGITS "_.-", TEXT_BYTES_MAX - 16) && !strstr(text, "..") &&
           rest[strlen(rest) - 1] != '.';
}

static bool sysctl_value_ok(const char *text)
{
    return *text && is_line(text, VALUE_BYTES_MAX);
}

static bool ulimit_ok(const char *text)
{
    static const char *const names[] = {
        "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
        "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",
    };
    return is_among(text, names, ARRAY_SIZE(names));
}

/* A number below CPUS_MAX at *@s, which goes on behind it; -1: none. */
static int cpu_at(const char **s)
{
    int value = 0;
    size_t digits = strspn(*s, DIGITS);
    if (digits == 0 || digits > 4)
        return -1;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + ((*s)[i] - '0');
    *s += digits;
    return value < CPUS_MAX ? value : -1;
}

static bool cpuset_ok(const char *text)
{
    if (strlen(text) > TEXT_BYTES_MAX)
        return false;
    for (;;) {
        int first = cpu_at(&text);
        int last = first;
        if (*text == '-') {
            text++;
            last = cpu_at(&text);
        }
        if (first < 0 || last < first)
            return false;
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
}

/* --- the rest ------------------------------------------------------------------------------ */

static bool platform_ok(const char *text)
{
    const char *arch = str_starts(text, "linux/") ? text + strlen("linux/") : "";
    size_t len = strspn(arch, LOWER DIGITS "_");
    return strlen(text) <= 40 && len > 0 &&
           (arch[len] == '\0' ||
            (arch[len] == '/' && is_of(arch + len + 1, LOWER DIGITS "._", TEXT_BYTES_MAX)));
}

static bool runtime_ok(const char *text)
{
    return is_of(text, LOWER UPPER DIGITS "_.-", 63) && !strchr("_.-", text[0]);
}

static bool profile_ok(const char *text)
{
    return *text && is_line(text, TEXT_BYTES_MAX) && !strchr(text, ' ');
}

static bool annotation_ok(const char *text)
{
    return *text && is_line(text, TEXT_BYTES_MAX) && !strchr(text, '=');
}

static const struct {
    bool (*ok)(const char *text);
    const char *meant;
} forms[OPTION_FORMS] = {
    [OPTION_CAPABILITY] = {capability_ok, "a capability of Linux, such as NET_ADMIN, or ALL"},
    [OPTION_GROUP] = {group_ok, "a group's name or number"},
    [OPTION_NAMESERVER] = {nameserver_ok,
                           "the IPv4 address of a server in the network, such as 10.0.0.53"},
    [OPTION_DOMAIN] = {domain_ok, "a domain, such as corp.example"},
    [OPTION_RESOLVER] = {resolver_ok, "an option of resolv.conf, such as ndots:2"},
    [OPTION_EXTRA_HOST] = {extra_host_ok,
                           "a name with an address, such as db.example:10.0.0.1, or host-gateway"},
    [OPTION_PATH] = {path_ok, "an absolute path without '.' and '..'"},
    [OPTION_ACCESS] = {access_ok, "of the letters r, w and m, each once"},
    [OPTION_DEVICE_RULE] = {device_rule_ok, "a rule such as \"c 1:3 rwm\""},
    [OPTION_SYSCTL] = {sysctl_ok, "a setting that a container has of its own: net.*, fs.mqueue.*, "
                                  "kernel.msg*, kernel.shm*, kernel.sem"},
    [OPTION_SYSCTL_VALUE] = {sysctl_value_ok, "a value of one line"},
    [OPTION_ULIMIT] = {ulimit_ok, "a limit such as nofile, nproc, core, memlock or stack"},
    [OPTION_CPUSET] = {cpuset_ok, "a list of CPUs, such as 0-3,7"},
    [OPTION_TMPFS] = {tmpfs_ok, "an option of a tmpfs, such as noexec, ro, uid=1000, size=64m or "
                                "mode=1777"},
    [OPTION_PROPAGATION] = {propagation_ok, "private, rprivate, shared, rshared, slave or rslave"},
    [OPTION_PLATFORM] = {platform_ok, "a platform such as linux/amd64 or linux/arm/v7"},
    [OPTION_RUNTIME] = {runtime_ok, "the name of an OCI runtime, such as crun or runc"},
    [OPTION_PROFILE] = {profile_ok, "the name of a profile"},
    [OPTION_ANNOTATION] = {annotation_ok, "a key of one line without '='"},
};

bool option_ok(enum option_form form, const char *text)
{
    return forms[form].ok(text);
}

const char *option_meant(enum option_form form)
{
    return forms[form].meant;
}
