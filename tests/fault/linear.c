/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linear - many callers work on registers and on a set through all members while somebody breaks
 * things; in the end: was it linearizable?
 *
 *   linear [--stale] [--quick] [--seed N] SECONDS SOCKET...
 *
 * A register is a service that no node fits, written by service.scale and read by service.inspect.
 * Every few seconds a new stack of registers takes over, so that every value of one is written once
 * and histories stay short. The set is the names of tokens. A write whose answer is lost is asked
 * for again as the same request, through another member, or left unknown. When the time is over,
 * every member must answer once more, within a minute; its answer counts too.
 *
 * --stale reads the members' own copies: not linearizable, to show that it is noticed. --quick: the
 * members need not answer in the end. Prints what was done and the first thing that is wrong; exit
 * status 0: linearizable, 1: not, 2: too little was done, or a member did not come back.
 */
#include "linear_check.h"

#include "base/clock.h"
#include "base/err.h"
#include "cluster/api.h"
#include "cluster/client.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLERS = 24,
    MEMBERS_MAX = 9,
    REGISTERS = 4, /* of one stack */
    STACKS_MAX = 1024,
    STACK_SECONDS = 6,
    VALUES_MAX = 240, /* written to one register; each is once */
    ADDS_MAX = 600,
    LOOKS_MAX = 16384,
    CALL_MS = 2500,
    DEPLOY_MS = 1500,
    RETRIES = 3,
    COME_BACK_MS = 60000,
    PAUSE_MS = 40,
    ADD_MS = 150, /* between two elements */
    LOOK_MS = 200,
};

/* What happened to one register, by all callers. */
struct history {
    pthread_mutex_t lock;
    struct linear_op *ops;
    size_t n, cap;
    atomic_int last_value;
    int refused[VALUES_MAX + 1]; /* the code with which a value was refused */
};

struct caller {
    pthread_t thread;
    int number;
    uint64_t seed;
    struct client *clients[MEMBERS_MAX];
};

static const char *sockets[MEMBERS_MAX];
static int members;
static bool stale, quick;
static int run; /* in all names: what an earlier run asked for may still be done in this one */
static uint64_t first_seed;
static struct history histories[STACKS_MAX][REGISTERS];
static atomic_int stack_now; /* callers use this one; 0: none yet */
static atomic_bool over;
static struct linear_add adds[ADDS_MAX];
static int adds_n;
static struct linear_look looks[LOOKS_MAX];
static int looks_n;
static atomic_long counts[4]; /* writes done, refused, unknown; reads */
static atomic_long longest_ms, last_write_ms;
enum {
    DONE,
    REFUSED,
    UNKNOWN,
    READS
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static unsigned below(struct caller *c, unsigned n)
{
    c->seed = c->seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(c->seed >> 33) % n;
}

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* A lost answer may come yet: the next call has a new connection. */
static bool breaks_connection(int code)
{
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_UNKNOWN || code == ERR_IO;
}

/* As client_call_as() through member @m. */
static int call(struct caller *c, int m, struct client_request *as, const char *verb,
                const struct record_type *request_type, const void *request,
                const struct record_type *answer_type, void *ret_reply, int64_t timeout_ms,
                struct err *err)
{
    cleanup_free char *target = str_printf("unix://%s", sockets[m]);
    if (!c->clients[m] && client_open(target, NULL, &c->clients[m], err) < 0)
        return err->code;
    client_set_stale(c->clients[m], stale);
    if (as->begin == 0)
        as->begin = client_index(c->clients[m]);
    int rv = client_call_as(c->clients[m], as, verb, request_type, request, answer_type, ret_reply,
                            timeout_ms, err);
    if (breaks_connection(rv)) {
        client_close(c->clients[m]);
        c->clients[m] = NULL;
    }
    return rv;
}

static struct client_request new_request(void)
{
    struct client_request as = {0};
    random_bytes(as.id, sizeof(as.id));
    return as;
}

/* May a call that ended with @code have been done? Members promise that it was not with the others.
 */
static bool is_unknown(int code)
{
    return code == ERR_UNKNOWN || code == ERR_TIMEOUT || code == ERR_IO || code == ERR_CORRUPT;
}

/* --- registers -------------------------------------------------------------------------------- */

static void record(struct history *h, const struct linear_op *op)
{
    pthread_mutex_lock(&h->lock);
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->ops = mem_resize(h->ops, h->cap, sizeof(*h->ops));
    }
    h->ops[h->n++] = *op;
    pthread_mutex_unlock(&h->lock);
}

static void note_write(void)
{
    long now = (long)clock_boot_ms(), before = atomic_exchange(&last_write_ms, now);
    if (before && now - before > atomic_load(&longest_ms))
        atomic_store(&longest_ms, now - before);
}

static void write_register(struct caller *c, int stack, int reg)
{
    struct history *h = &histories[stack][reg];
    int64_t value = atomic_fetch_add(&h->last_value, 1) + 1;
    if (value > VALUES_MAX)
        return;
    cleanup_free char *name = str_printf("reg%d-%d.r%d", run, stack, reg);
    struct scale_request request = {.name = name, .replicas = value};
    struct linear_op op = {.is_write = true, .value = value, .began = now_ns()};
    struct client_request as = new_request();
    struct empty reply;
    struct err err;
    bool lost = false;
    int rv;
    /* Again as the same request, mostly, when the answer was lost. */
    for (int try = 0;; try++) {
        rv = call(c, (int)below(c, (unsigned)members), &as, "service.scale", &scale_request_type,
                  &request, &empty_type, &reply, CALL_MS, &err);
        lost |= is_unknown(rv);
        if (rv == 0 || !lost || try == RETRIES || below(c, 3) == 0)
            break;
    }
    if (rv != 0 && !lost) {
        atomic_fetch_add(&counts[REFUSED], 1);
        h->refused[value] = rv;
        return;
    }
    op.ended = rv == 0 ? now_ns() : LINEAR_NEVER;
    atomic_fetch_add(&counts[rv == 0 ? DONE : UNKNOWN], 1);
    if (rv == 0)
        note_write();
    record(h, &op);
}

static bool read_register(struct caller *c, int m, int stack, int reg)
{
    cleanup_free char *name = str_printf("reg%d-%d.r%d", run, stack, reg);
    struct name_request request = {.name = name};
    struct linear_op op = {.began = now_ns()};
    struct client_request as = new_request();
    struct service_info info;
    struct err err;
    if (call(c, m, &as, "service.inspect", &name_request_type, &request, &service_info_type, &info,
             CALL_MS, &err) < 0)
        return false;
    op.ended = now_ns();
    op.value = info.replicas;
    record_release(&service_info_type, &info);
    atomic_fetch_add(&counts[READS], 1);
    record(&histories[stack][reg], &op);
    return true;
}

static void *work(void *arg)
{
    struct caller *c = arg;
    while (!atomic_load(&over)) {
        int stack = atomic_load(&stack_now), reg = (int)below(c, REGISTERS);
        if (stack == 0)
            pause_ms(1);
        else if (below(c, 5) < 2)
            write_register(c, stack, reg);
        else
            read_register(c, (int)below(c, (unsigned)members), stack, reg);
        pause_ms(below(c, PAUSE_MS));
    }
    return NULL;
}

/* --- stacks of registers ---------------------------------------------------------------------- */

static bool deploy(struct caller *c, int stack)
{
    char *image = (char[]){"none"};
    struct constraint nowhere = {.key = (char[]){"node.labels.none"}, .value = (char[]){"such"}};
    char names[REGISTERS][8];
    struct deploy_spec services[REGISTERS] = {0};
    cleanup_free char *name = str_printf("reg%d-%d", run, stack);
    for (int i = 0; i < REGISTERS; i++) {
        snprintf(names[i], sizeof(names[i]), "r%d", i);
        services[i].name = names[i];
        services[i].spec = (struct spec){
            .image = image, .mode = MODE_REPLICATED, .constraints = &nowhere, .constraints_n = 1};
    }
    struct deploy_request request = {.name = name,
                                     .project = (char[]){"linear"},
                                     .adopt = true,
                                     .services = services,
                                     .services_n = REGISTERS};
    struct client_request as = new_request();
    struct deploy_reply reply;
    struct err err;
    while (!atomic_load(&over)) {
        int rv = call(c, (int)below(c, (unsigned)members), &as, "stack.deploy",
                      &deploy_request_type, &request, &deploy_reply_type, &reply, DEPLOY_MS, &err);
        if (rv == 0) {
            record_release(&deploy_reply_type, &reply);
            return true;
        }
        if (!breaks_connection(rv) && rv != ERR_BUSY && rv != ERR_CANCELED && rv != ERR_NOTLEADER) {
            fprintf(stderr, "linear: deploy of %s: %s\n", name, err.msg);
            return false;
        }
        pause_ms(100);
    }
    return false;
}

static void remove_stack(struct caller *c, int stack)
{
    cleanup_free char *name = str_printf("reg%d-%d", run, stack);
    struct name_request request = {.name = name};
    struct client_request as = new_request();
    struct empty reply;
    struct err err;
    call(c, (int)below(c, (unsigned)members), &as, "stack.remove", &name_request_type, &request,
         &empty_type, &reply, DEPLOY_MS, &err);
}

/* The next stack takes over when it is there; the one before the last is removed. */
static void *turn_over(void *arg)
{
    struct caller *c = arg;
    for (int stack = 1; stack < STACKS_MAX && !atomic_load(&over); stack++) {
        if (!deploy(c, stack))
            break;
        atomic_store(&stack_now, stack);
        if (stack > 2)
            remove_stack(c, stack - 2);
        for (int i = 0; i < STACK_SECONDS * 10 && !atomic_load(&over); i++)
            pause_ms(100);
    }
    return NULL;
}

/* --- the set ---------------------------------------------------------------------------------- */

static void *add_elements(void *arg)
{
    struct caller *c = arg;
    while (!atomic_load(&over) && adds_n < ADDS_MAX) {
        cleanup_free char *name = str_printf("element-%d-%d", run, adds_n);
        struct token_request request = {.kind = TOKEN_CALL, .name = name, .role = TOKEN_VIEWER};
        struct linear_add *add = &adds[adds_n];
        struct client_request as = new_request();
        struct token_reply reply;
        struct err err;
        add->began = now_ns();
        int rv = call(c, (int)below(c, (unsigned)members), &as, "token.create", &token_request_type,
                      &request, &token_reply_type, &reply, CALL_MS, &err);
        add->ended = rv == 0 ? now_ns() : LINEAR_NEVER;
        add->refused = rv != 0 && !is_unknown(rv);
        if (rv == 0)
            record_release(&token_reply_type, &reply);
        adds_n++;
        pause_ms(ADD_MS);
    }
    return NULL;
}

static bool look(struct caller *c, int m)
{
    struct empty request = {0};
    struct token_list_reply reply;
    struct linear_look l = {.began = now_ns()};
    struct client_request as = new_request();
    struct err err;
    if (looks_n == LOOKS_MAX || call(c, m, &as, "token.list", &empty_type, &request,
                                     &token_list_reply_type, &reply, CALL_MS, &err) < 0)
        return false;
    l.ended = now_ns();
    bool *has = mem_alloc(ADDS_MAX, sizeof(*has));
    for (size_t i = 0; i < reply.tokens_n; i++) {
        int of, number;
        if (sscanf(str_or_empty(reply.tokens[i].name), "element-%d-%d", &of, &number) == 2 &&
            of == run && number >= 0 && number < ADDS_MAX)
            has[number] = true;
    }
    record_release(&token_list_reply_type, &reply);
    l.has = has;
    looks[looks_n++] = l;
    return true;
}

static void *look_at_set(void *arg)
{
    struct caller *c = arg;
    while (!atomic_load(&over)) {
        look(c, (int)below(c, (unsigned)members));
        pause_ms(LOOK_MS);
    }
    return NULL;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Every member answers, the last stack's registers and the set. */
static bool read_all(struct caller *c)
{
    int64_t deadline_ms = clock_boot_ms() + COME_BACK_MS;
    int stack = atomic_load(&stack_now);
    for (int m = 0; m < members; m++) {
        bool done = false;
        while (!done && clock_boot_ms() < deadline_ms) {
            done = look(c, m);
            for (int reg = 0; reg < REGISTERS && done && stack; reg++)
                done = read_register(c, m, stack, reg);
            if (!done)
                pause_ms(100);
        }
        if (!done) {
            printf("member %d does not answer\n", m + 1);
            return false;
        }
    }
    return true;
}

static void print_history(const struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct linear_op *op = &h->ops[i];
        printf("  %s %" PRId64 " from %.3f ms to ", op->is_write ? "write" : "read", op->value,
               (double)op->began / 1e6);
        if (op->ended == LINEAR_NEVER)
            printf("?\n");
        else
            printf("%.3f ms\n", (double)op->ended / 1e6);
    }
}

static bool check_registers(void)
{
    for (int s = 1; s <= atomic_load(&stack_now); s++)
        for (int r = 0; r < REGISTERS; r++) {
            struct history *h = &histories[s][r];
            enum linear_verdict verdict = linear_check_register(h->ops, h->n, 0);
            if (verdict == LINEAR_YES)
                continue;
            printf("register %d.r%d: %s\n", s, r,
                   verdict == LINEAR_NO ? "NOT linearizable" : "undecided");
            for (int v = 1; v <= VALUES_MAX; v++)
                if (h->refused[v])
                    printf("  write %d was refused: %s\n", v, err_text(h->refused[v]));
            print_history(h);
            return false;
        }
    return true;
}

static bool check_set(void)
{
    char why[200];
    if (linear_check_set(adds, (size_t)adds_n, looks, (size_t)looks_n, why, sizeof(why)))
        return true;
    printf("set: NOT linearizable: %s\n", why);
    for (int l = 0; l < looks_n; l++)
        printf("  look from %.3f ms to %.3f ms: %zu\n", (double)looks[l].began / 1e6,
               (double)looks[l].ended / 1e6, linear_count(&looks[l], (size_t)adds_n));
    return false;
}

static void read_arguments(int argc, char **argv, int64_t *ret_seconds)
{
    int i = 1;
    first_seed = (uint64_t)time(NULL);
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--stale") == 0)
            stale = true;
        else if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            first_seed = strtoull(argv[++i], NULL, 10);
    }
    if (i + 1 >= argc || argc - i - 1 > MEMBERS_MAX) {
        fprintf(stderr, "usage: linear [--stale] [--quick] [--seed N] SECONDS SOCKET...\n");
        exit(2);
    }
    *ret_seconds = strtoll(argv[i++], NULL, 10);
    for (; i < argc; i++)
        sockets[members++] = argv[i];
}

static void begin(struct caller *c, int number, void *(*job)(void *))
{
    c->number = number;
    c->seed = first_seed * 1000 + (uint64_t)number;
    check(pthread_create(&c->thread, NULL, job, c) == 0);
}

int main(int argc, char **argv)
{
    static struct caller callers[CALLERS + 3], last;
    int64_t seconds;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    read_arguments(argc, argv, &seconds);
    run = (int)getpid();
    for (int s = 0; s < STACKS_MAX; s++)
        for (int r = 0; r < REGISTERS; r++)
            pthread_mutex_init(&histories[s][r].lock, NULL);
    for (int i = 0; i < CALLERS; i++)
        begin(&callers[i], i, work);
    begin(&callers[CALLERS], CALLERS, turn_over);
    begin(&callers[CALLERS + 1], CALLERS + 1, add_elements);
    begin(&callers[CALLERS + 2], CALLERS + 2, look_at_set);
    for (int64_t i = 0; i < seconds * 10; i++)
        pause_ms(100);
    atomic_store(&over, true);
    for (int i = 0; i < CALLERS + 3; i++)
        pthread_join(callers[i].thread, NULL);
    bool back = quick || read_all(&last);
    printf(
        "%ld writes done, %ld refused, %ld unknown; %ld reads; %d elements, %d looks at the set; "
        "at the longest %ld ms without a write\n",
        counts[DONE], counts[REFUSED], counts[UNKNOWN], counts[READS], adds_n, looks_n, longest_ms);
    if (!check_registers() || !check_set())
        return 1;
    if (!back)
        return 2;
    if (!quick &&
        (counts[DONE] < 10 * seconds || counts[READS] < 10 * seconds || looks_n < seconds)) {
        printf("too little was done to mean anything\n");
        return 2;
    }
    printf("linearizable\n");
    return 0;
}
