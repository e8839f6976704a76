/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/seccomp_bpf.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/seccomp.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    CACHE_MAX = 16, /* sets of capabilities; programs for more of them are not made here */
    PROGRAM_MAX = 4096 * 8,
};

struct seccomp_cache {
    pthread_mutex_t lock;
    struct {
        const struct seccomp_profile *profile;
        uint64_t capabilities;
        char *program; /* NULL: it cannot be made */
    } made[CACHE_MAX];
    size_t n;
};

struct seccomp_cache *seccomp_cache_new(void)
{
    struct seccomp_cache *cache = mem_alloc(1, sizeof(*cache));
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void seccomp_cache_free(struct seccomp_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < CACHE_MAX; i++)
        free(cache->made[i].program);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* libseccomp's number for an action of the default profile; false for another. */
static bool get_action(const char *name, int errnum, uint32_t *ret)
{
    if (strcmp(name, "SCMP_ACT_ALLOW") == 0)
        *ret = SCMP_ACT_ALLOW;
    else if (strcmp(name, "SCMP_ACT_ERRNO") == 0)
        *ret = SCMP_ACT_ERRNO((uint32_t)(errnum >= 0 ? errnum : EPERM));
    else if (strcmp(name, "SCMP_ACT_LOG") == 0)
        *ret = SCMP_ACT_LOG;
    else if (strcmp(name, "SCMP_ACT_KILL_PROCESS") == 0)
        *ret = SCMP_ACT_KILL_PROCESS;
    else
        return false;
    return true;
}

static bool get_arg(const struct seccomp_arg *arg, struct scmp_arg_cmp *ret)
{
    static const struct {
        const char *name;
        enum scmp_compare op;
    } ops[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
               {"SCMP_CMP_LT", SCMP_CMP_LT},
               {"SCMP_CMP_LE", SCMP_CMP_LE},
               {"SCMP_CMP_EQ", SCMP_CMP_EQ},
               {"SCMP_CMP_GE", SCMP_CMP_GE},
               {"SCMP_CMP_GT", SCMP_CMP_GT},
               {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        if (strcmp(arg->op, ops[i].name) == 0) {
            *ret = (struct scmp_arg_cmp){.arg = arg->index,
                                         .op = ops[i].op,
                                         .datum_a = arg->value,
                                         .datum_b = arg->value_two};
            return true;
        }
    }
    return false;
}

static bool add_rule(scmp_filter_ctx filter, const struct seccomp_rule *r, uint32_t default_action)
{
    struct scmp_arg_cmp args[SECCOMP_ARGS_MAX];
    uint32_t action;
    if (!get_action(r->action, r->errnum, &action))
        return false;
    for (size_t i = 0; i < r->args_n; i++) {
        if (!get_arg(&r->args[i], &args[i]))
            return false;
    }
    /* libseccomp takes no rule that says what holds anyway. */
    if (action == default_action)
        return true;
    for (const char *const *name = r->names; *name; name++) {
        int number = seccomp_syscall_resolve_name(*name);
        if (number != __NR_SCMP_ERROR &&
            seccomp_rule_add_array(filter, action, number, (unsigned)r->args_n, args) < 0)
            return false;
    }
    return true;
}

static bool fill(scmp_filter_ctx filter, const struct seccomp_profile *p, uint64_t capabilities,
                 unsigned kernel, uint32_t default_action)
{
    for (const char *const *a = p->architectures; *a; a++) {
        char name[32] = "";
        for (size_t i = 0; i + 1 < sizeof(name) && (*a)[i + strlen("SCMP_ARCH_")]; i++)
            name[i] = (char)tolower((*a)[i + strlen("SCMP_ARCH_")]);
        uint32_t arch = seccomp_arch_resolve_name(name);
        int rv = arch ? seccomp_arch_add(filter, arch) : -EINVAL;
        if (rv < 0 && rv != -EEXIST)
            return false;
    }
    for (size_t i = 0; i < p->rules_n; i++) {
        if (seccomp_rule_holds(&p->rules[i], capabilities, kernel) &&
            !add_rule(filter, &p->rules[i], default_action))
            return false;
    }
    return true;
}

/* The program as bytes. */
static bool export(scmp_filter_ctx filter, struct buf *out)
{
    cleanup_close int fd = memfd_create("wherry-seccomp", MFD_CLOEXEC);
    if (fd < 0 || seccomp_export_bpf(filter, fd) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return false;
    char *room = buf_reserve(out, PROGRAM_MAX);
    ssize_t n = read(fd, room, PROGRAM_MAX);
    if (n <= 0 || n == PROGRAM_MAX)
        return false;
    out->len = (size_t)n;
    return true;
}

static char *make_program(const struct seccomp_profile *p, uint64_t capabilities, unsigned kernel)
{
    uint32_t default_action;
    if (p->flags || !get_action(p->default_action, p->default_errnum, &default_action))
        return NULL;
    scmp_filter_ctx filter = seccomp_init(default_action);
    if (!filter)
        return NULL;
    cleanup_buf struct buf bytes = BUF_INIT;
    char *text = NULL;
    if (fill(filter, p, capabilities, kernel, default_action) && export(filter, &bytes)) {
        text = mem_alloc(bytes.len / 3 * 4 + 8, 1);
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.data, (int)bytes.len);
    }
    seccomp_release(filter);
    return text;
}

const char *seccomp_program(struct seccomp_cache *cache, const struct seccomp_profile *profile,
                            uint64_t capabilities, unsigned kernel)
{
    const char *program = NULL;
    pthread_mutex_lock(&cache->lock);
    size_t i = 0;
    while (i < cache->n &&
           (cache->made[i].profile != profile || cache->made[i].capabilities != capabilities))
        i++;
    if (i < cache->n) {
        program = cache->made[i].program;
    } else if (cache->n < CACHE_MAX) {
        cache->made[i].profile = profile;
        cache->made[i].capabilities = capabilities;
        cache->made[i].program = make_program(profile, capabilities, kernel);
        program = cache->made[i].program;
        cache->n++;
    }
    pthread_mutex_unlock(&cache->lock);
    return program;
}
