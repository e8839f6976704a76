/* SPDX-License-Identifier: Apache-2.0 */
#include "node/shape.h"

#include "base/cleanup.h"
#include "base/mem.h"

static bool votes(const struct standing *s)
{
    return s->in_raft && s->role == ROLE_VOTER;
}

static bool is_full_voter(const struct standing *s)
{
    return votes(s) && !s->witness;
}

static bool may_be_promoted(const struct standing *s)
{
    return s->in_store && s->in_raft && s->role == ROLE_STANDBY && s->up && !s->sulks;
}

/* --- how good a set of voters is ---------------------------------------------------------------
 */

enum {
    SET_MAX = 16, /* of which more than SHAPE_VOTERS_MAX + 1 were made by somebody else */
    /* What counts more than any cost of a set. */
    UP = 1 << 20,
    UNLED = 1 << 21,
};

/* The voters, or those that would be. */
struct set {
    const struct standing *voters[SET_MAX];
    size_t n;
};

/* The voters that are up, without @out, with @in; NULL: none. */
static struct set set_of(const struct standing *all, size_t n, int64_t self,
                         const struct standing *out, const struct standing *in)
{
    struct set set = {.n = 0};
    for (size_t i = 0; i < n && set.n < SET_MAX; i++) {
        const struct standing *s = &all[i];
        if ((votes(s) && (s->up || s->id == self) && s != out) || s == in)
            set.voters[set.n++] = s;
    }
    return set;
}

static bool same_place(const struct standing *a, const struct standing *b)
{
    return str_equal(str_or_empty(a->place), str_or_empty(b->place));
}

/* False when witnesses alone are a majority. */
static bool is_led(const struct set *set)
{
    size_t witnesses = 0;
    for (size_t i = 0; i < set->n; i++)
        witnesses += set->voters[i]->witness;
    return 2 * witnesses <= set->n;
}

/* Pairs of voters in one place, then witnesses: smaller is better. */
static size_t cost(const struct set *set)
{
    size_t pairs = 0, witnesses = 0;
    for (size_t i = 0; i < set->n; i++) {
        witnesses += set->voters[i]->witness;
        for (size_t k = i + 1; k < set->n; k++)
            pairs += same_place(set->voters[i], set->voters[k]);
    }
    return pairs * (SET_MAX + 1) + witnesses;
}

/* --- counting ----------------------------------------------------------------------------------
 */

static size_t odd(size_t n)
{
    if (n > SHAPE_VOTERS_MAX)
        return SHAPE_VOTERS_MAX;
    return n == 0 || n % 2 == 1 ? n : n - 1;
}

static size_t target_of(size_t full, size_t witnesses)
{
    size_t useful = full == 0 ? 0 : full - 1; /* more of them could outvote those that can lead */
    return odd(full + (witnesses < useful ? witnesses : useful));
}

size_t shape_target(const struct standing *all, size_t n)
{
    size_t full = 0, witnesses = 0;
    for (size_t i = 0; i < n; i++)
        if (all[i].in_store)
            *(all[i].witness ? &witnesses : &full) += 1;
    return target_of(full, witnesses);
}

static struct shape_strength strength_of(size_t voters, size_t up)
{
    struct shape_strength s = {.voters = voters, .up = up, .quorum = voters / 2 + 1};
    s.losable = up >= s.quorum ? up - s.quorum : 0;
    return s;
}

/* What raft has at once, before anybody rises: a change of it needs these. */
static struct shape_strength strength_at_once(const struct standing *all, size_t n, int64_t self,
                                              int64_t gone)
{
    size_t voters = 0, up = 0;
    for (size_t i = 0; i < n; i++) {
        bool counts = votes(&all[i]) && all[i].id != gone;
        voters += counts;
        up += counts && (all[i].up || all[i].id == self);
    }
    return strength_of(voters, up);
}

struct shape_strength shape_strength(const struct standing *all, size_t n, int64_t self)
{
    return strength_at_once(all, n, self, 0);
}

struct shape_strength shape_without(const struct standing *all, size_t n, int64_t self,
                                    int64_t gone)
{
    struct shape_strength now = strength_at_once(all, n, self, gone);
    size_t full = 0, witnesses = 0, full_up = 0, witnesses_up = 0;
    /* A leader that goes has let the only other member vote before. */
    if (now.up < now.quorum && now.voters > 0)
        return now;
    for (size_t i = 0; i < n; i++) {
        if (!all[i].in_store || all[i].id == gone)
            continue;
        bool up = all[i].up || all[i].id == self;
        *(all[i].witness ? &witnesses : &full) += 1;
        *(all[i].witness ? &witnesses_up : &full_up) += up;
    }
    size_t voters = target_of(full, witnesses);
    size_t most = full ? full - 1 : 0;
    size_t up = full_up + (witnesses_up < most ? witnesses_up : most);
    return strength_of(voters, up < voters ? up : voters);
}

/* --- the steps ---------------------------------------------------------------------------------
 */

static struct shape_step step(enum shape_step_kind kind, const struct standing *s,
                              enum consensus_role role)
{
    return (struct shape_step){.kind = kind, .id = s->id, .role = role};
}

/* Another voter that can lead, one that is up before one that is not; NULL: none. */
static const struct standing *find_heir(const struct standing *all, size_t n, int64_t self)
{
    const struct standing *heir = NULL;
    for (size_t i = 0; i < n; i++)
        if (is_full_voter(&all[i]) && all[i].id != self && (!heir || (all[i].up && !heir->up)))
            heir = &all[i];
    return heir;
}

int64_t shape_heir(const struct standing *all, size_t n, int64_t self, int64_t last)
{
    int64_t heir = 0;
    for (size_t i = 0; i < n; i++)
        if (is_full_voter(&all[i]) && all[i].up && all[i].id != self && all[i].id > last &&
            (heir == 0 || all[i].id < heir))
            heir = all[i].id;
    const struct standing *any = heir ? NULL : find_heir(all, n, self);
    return any ? any->id : heir;
}

/* The standby whose vote makes the best set, once @out has none; NULL: there is none to promote. */
static const struct standing *find_riser(const struct standing *all, size_t n, int64_t self,
                                         const struct standing *out)
{
    const struct standing *best = NULL;
    size_t best_cost = 0;
    for (size_t i = 0; i < n; i++) {
        if (!may_be_promoted(&all[i]))
            continue;
        struct set set = set_of(all, n, self, out, &all[i]);
        size_t c = cost(&set);
        if ((all[i].witness && !is_led(&set)) || (best && c >= best_cost))
            continue;
        best = &all[i];
        best_cost = c;
    }
    return best;
}

/* True when those that are up could go on changing things without the vote of @s. */
static bool can_spare(const struct standing *all, size_t n, int64_t self, const struct standing *s)
{
    struct shape_strength after = strength_at_once(all, n, self, s->id);
    return after.up >= after.quorum;
}

/* The voter that is missed least: never the leader; one that leaves enough who can lead before
 * others, then one that is down, then the one without which the rest is best. NULL: none can go. */
static const struct standing *find_faller(const struct standing *all, size_t n, int64_t self)
{
    const struct standing *best = NULL;
    size_t best_cost = 0;
    for (size_t i = 0; i < n; i++) {
        const struct standing *s = &all[i];
        if (!votes(s) || s->id == self || !can_spare(all, n, self, s))
            continue;
        struct set set = set_of(all, n, self, s, NULL);
        size_t c = cost(&set) + (s->up ? UP : 0) + (is_led(&set) ? 0 : UNLED);
        if (!best || c < best_cost) {
            best = s;
            best_cost = c;
        }
    }
    return best;
}

static const struct standing *find_spare_witness(const struct standing *all, size_t n, int64_t self)
{
    for (size_t i = 0; i < n; i++)
        if (votes(&all[i]) && all[i].witness && can_spare(all, n, self, &all[i]))
            return &all[i];
    return NULL;
}

/* All vote that should, but another set would be better: the standby to begin with, or NULL. */
static const struct standing *find_better(const struct standing *all, size_t n, int64_t self)
{
    const struct standing *riser = NULL;
    struct set now = set_of(all, n, self, NULL, NULL);
    size_t best = cost(&now) + (is_led(&now) ? 0 : UNLED);
    for (size_t i = 0; i < n; i++) {
        if (!votes(&all[i]) || all[i].id == self)
            continue;
        const struct standing *in = find_riser(all, n, self, &all[i]);
        if (!in)
            continue;
        struct set after = set_of(all, n, self, &all[i], in);
        struct set between = set_of(all, n, self, NULL, in); /* for a moment both vote */
        size_t c = cost(&after);
        if (c < best && is_led(&after) && is_led(&between)) {
            best = c;
            riser = in;
        }
    }
    return riser;
}

/* We lead, and should not: make sure that there is somebody who can, then hand it on. */
static struct shape_step hand_on(const struct standing *all, size_t n, int64_t self)
{
    const struct standing *heir = find_heir(all, n, self);
    if (heir)
        return step(SHAPE_TRANSFER, heir, ROLE_VOTER);
    for (size_t i = 0; i < n; i++)
        if (may_be_promoted(&all[i]) && !all[i].witness)
            return step(SHAPE_ASSIGN, &all[i], ROLE_VOTER);
    return (struct shape_step){0};
}

/* Raft's list of members follows the table of nodes. */
static struct shape_step follow_table(const struct standing *all, size_t n, int64_t self)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].in_raft && !all[i].in_store && all[i].id != self)
            return step(SHAPE_REMOVE, &all[i], ROLE_SPARE);
    for (size_t i = 0; i < n; i++)
        if (all[i].in_store && !all[i].in_raft)
            return step(SHAPE_ADD, &all[i], ROLE_SPARE);
    for (size_t i = 0; i < n; i++)
        if (all[i].in_store && all[i].in_raft && all[i].role == ROLE_SPARE && !all[i].sulks)
            return step(SHAPE_ASSIGN, &all[i], ROLE_STANDBY);
    return (struct shape_step){0};
}

static struct shape_step choose_voters(const struct standing *all, size_t n, int64_t self)
{
    size_t target = shape_target(all, n);
    struct shape_strength now = shape_strength(all, n, self);
    struct set set = set_of(all, n, self, NULL, NULL);
    const struct standing *s = NULL;
    /* One that can lead was taken out: as few of the others as can be. */
    if (!is_led(&set) && (s = find_spare_witness(all, n, self)))
        return step(SHAPE_ASSIGN, s, ROLE_STANDBY);
    if (now.up < target && (s = find_riser(all, n, self, NULL)))
        return step(SHAPE_ASSIGN, s, ROLE_VOTER);
    if (now.voters > target && (s = find_faller(all, n, self)))
        return step(SHAPE_ASSIGN, s, ROLE_STANDBY);
    if (now.voters == target && now.up == target && (s = find_better(all, n, self)))
        return step(SHAPE_ASSIGN, s, ROLE_VOTER);
    return (struct shape_step){0};
}

struct shape_step shape_next(const struct standing *all, size_t n, int64_t self, bool leaving)
{
    bool witness = false;
    for (size_t i = 0; i < n; i++)
        witness |= all[i].id == self && all[i].witness;
    if (leaving || witness)
        return hand_on(all, n, self);
    struct shape_step next = follow_table(all, n, self);
    return next.kind != SHAPE_STAY ? next : choose_voters(all, n, self);
}
