/* SPDX-License-Identifier: Apache-2.0 */
/* How the kernel comes to have what ruleset.c builds. */
#include "base/cleanup.h"
#include "base/err.h"
#include "runtime/netlink.h"
#include "runtime/nft_table.h"
#include "runtime/ruleset.h"

#include <string.h>

void ruleset_forget(struct ruleset_memory *memory)
{
    nft_batch_release(&memory->last);
    *memory = (struct ruleset_memory){0};
}

/* Somebody may have changed our table too since we looked last. */
static bool is_untouched(struct netlink *nl, const struct ruleset_memory *memory)
{
    uint32_t generation;
    struct err err;
    return memory->known && nft_generation(nl, &generation, &err) == 0 &&
           generation == memory->generation;
}

/* What the kernel has is @b, which becomes what is remembered. */
static void remember(struct ruleset_memory *memory, struct nft_batch *b, bool known,
                     uint32_t generation)
{
    nft_batch_release(&memory->last);
    memory->last = *b;
    *b = (struct nft_batch){0};
    memory->known = known;
    memory->generation = generation;
}

static bool found_is(const struct nft_found *found, const struct nft_batch *b)
{
    return found->exists && strcmp(found->version, b->version) == 0 &&
           found->chains == b->chains_n && found->rules == b->rules_n &&
           found->elements == b->elements_n;
}

/* Nobody has touched the table: tell the difference. */
static int update(struct netlink *nl, struct ruleset_memory *memory, struct nft_batch *b,
                  struct ruleset_result *ret, struct err *err)
{
    int rc = nft_update(nl, &memory->last, b, &ret->bytes, err);
    if (rc < 0)
        return rc;
    uint32_t generation;
    struct err later;
    ret->changed = ret->bytes > 0;
    /* Ours alone, or somebody's too. */
    bool known = nft_generation(nl, &generation, &later) == 0 &&
                 generation == memory->generation + ret->changed;
    remember(memory, b, known, generation);
    return 0;
}

/* Look, and put all of it in place unless it is there. */
static int replace(struct netlink *nl, struct ruleset_memory *memory, struct nft_batch *b,
                   struct ruleset_result *ret, struct err *err)
{
    uint32_t before, generation;
    struct nft_found found;
    int rc = nft_generation(nl, &before, err);
    if (rc == 0)
        rc = nft_probe(nl, b, &found, err);
    if (rc < 0)
        return rc;
    ret->changed = !found_is(&found, b);
    if (ret->changed)
        rc = nft_install(nl, b, err);
    if (rc == 0)
        rc = nft_generation(nl, &generation, err);
    if (rc == 0)
        remember(memory, b, generation == before + ret->changed, generation);
    else
        ruleset_forget(memory);
    return rc;
}

int ruleset_sync(struct netlink *nl, const struct netplan *plan, struct ruleset_memory *memory,
                 struct ruleset_result *ret, struct err *err)
{
    cleanup_nft_batch struct nft_batch b;
    struct err first;
    *ret = (struct ruleset_result){0};
    nft_batch_init(&b, RULESET_TABLE);
    if (is_untouched(nl, memory)) {
        b.known = &memory->last;
        ruleset_build(&b, plan);
        if (nft_can_update(&memory->last, &b) && update(nl, memory, &b, ret, &first) == 0)
            return 0;
        nft_batch_release(&b);
        nft_batch_init(&b, RULESET_TABLE);
    }
    ruleset_build(&b, plan);
    return replace(nl, memory, &b, ret, err);
}
