/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "cluster/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    WAIT_MS = 20000,
    ANSWER_MS = 20000, /* above the wait */
    AWAY_MS = 60000,   /* so long may the members be away */
    PAUSE_MS = 200,
    INPUT_BYTES = 32 << 10,
    CTRL_P = 0x10,
    CTRL_Q = 0x11,
};

/* What both threads share; under the lock but for what does not change. */
struct shared {
    const struct cli *cli;
    const struct session_options *options;
    pthread_mutex_t lock;
    char *session;
    int64_t node_id;
    int64_t run;
    unsigned generation; /* counts sessions: an attached one may have to begin again */
    atomic_bool over;
    atomic_bool leaving;
    bool has_code;
    int64_t code;
    struct err err;
};

/* One thread's connection. */
struct line {
    struct shared *shared;
    struct client *client;
    int64_t away_ms; /* boot time since when it does not work, 0: it does */
};

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Call @verb, again and again while the members are away. */
static int ask(struct line *l, const char *verb, const void *request, void *ret_reply,
               struct err *err)
{
    for (;;) {
        int rv = l->client ? 0 : cli_connect(l->shared->cli, &l->client, err);
        if (rv == 0)
            rv = cli_call_client(l->client, verb, request, ret_reply, WAIT_MS + ANSWER_MS, err);
        if (rv == 0 || !cli_may_retry(rv)) {
            l->away_ms = 0;
            return rv;
        }
        client_close(l->client);
        l->client = NULL;
        int64_t now = clock_boot_ms();
        l->away_ms = l->away_ms ? l->away_ms : now;
        if (now - l->away_ms > AWAY_MS || atomic_load(&l->shared->over) ||
            atomic_load(&l->shared->leaving))
            return rv;
        pause_ms(PAUSE_MS);
    }
}

static char *session_name(struct shared *s, int64_t *ret_node, unsigned *ret_generation)
{
    pthread_mutex_lock(&s->lock);
    char *name = str_copy(s->session);
    *ret_node = s->node_id;
    *ret_generation = s->generation;
    pthread_mutex_unlock(&s->lock);
    return name;
}

/* --- output ------------------------------------------------------------------------------------
 */

/* The frames of runtime/shim/message.h, which this room does not include. */
struct frames {
    unsigned char header[4];
    size_t have;
    size_t left;
};

static int write_frames(struct frames *f, const unsigned char *data, size_t len)
{
    while (len > 0) {
        if (f->left == 0) {
            f->header[f->have++] = *data++;
            len--;
            if (f->have < sizeof(f->header))
                continue;
            f->have = 0;
            f->left = f->header[1] | (size_t)f->header[2] << 8 | (size_t)f->header[3] << 16;
            continue;
        }
        size_t n = len < f->left ? len : f->left;
        int rv = fd_write_all(f->header[0] == 2 ? STDERR_FILENO : STDOUT_FILENO, data, n);
        if (rv < 0)
            return rv;
        data += n;
        len -= n;
        f->left -= n;
    }
    return 0;
}

/* The daemon that had the session is another one now: attach again at the place where we were. */
static int begin_again(struct line *l, int64_t place, struct err *err)
{
    struct shared *s = l->shared;
    struct attach_request request = *s->options->attach;
    struct session_started started;
    request.place = place;
    request.run = s->run;
    int rv = ask(l, "attach.start", &request, &started, err);
    if (rv < 0)
        return rv;
    pthread_mutex_lock(&s->lock);
    free(s->session);
    s->session = steal(&started.session);
    s->node_id = started.node_id;
    s->run = started.run;
    s->generation++;
    pthread_mutex_unlock(&s->lock);
    record_release(&session_started_type, &started);
    return 0;
}

static void say_skipped(const struct shared *s, int64_t bytes)
{
    const char *end = s->options->raw ? "\r\n" : "\n";
    cleanup_free char *text =
        str_printf("%s[wherry: %lld bytes of output were left out]%s", end, (long long)bytes, end);
    fd_write_all(STDERR_FILENO, text, strlen(text));
}

static int read_once(struct line *l, int64_t *place, struct frames *frames, bool *ret_ended,
                     struct err *err)
{
    struct shared *s = l->shared;
    unsigned generation;
    struct session_read_request request = {.place = *place, .wait_ms = WAIT_MS};
    struct session_read_reply reply;
    cleanup_free char *name = session_name(s, &request.node_id, &generation);
    request.session = name;
    int rv = ask(l, "session.read", &request, &reply, err);
    if (rv == ERR_NOTFOUND && s->options->attach && !atomic_load(&s->leaving))
        return begin_again(l, *place, err);
    if (rv < 0)
        return rv;
    if (reply.place != *place && !reply.ended) {
        if (reply.place > *place)
            say_skipped(s, reply.place - *place);
        *frames = (struct frames){0};
    }
    if (!reply.ended)
        *place = reply.place + (int64_t)reply.output.len;
    if (reply.ended) {
        s->has_code = reply.has_code;
        s->code = reply.code;
        *ret_ended = true;
    } else if (write_frames(frames, reply.output.data, reply.output.len) < 0) {
        rv = err_errno(err, EPIPE, "write the output");
    }
    record_release(&session_read_reply_type, &reply);
    return rv;
}

struct output {
    struct line line;
    int64_t place;
};

static void *run_output(void *arg)
{
    struct output *o = arg;
    struct shared *s = o->line.shared;
    struct frames frames = {0};
    bool ended = false;
    struct err err = {0};
    while (!ended && !atomic_load(&s->leaving))
        if (read_once(&o->line, &o->place, &frames, &ended, &err) < 0) {
            s->err = err;
            break;
        }
    client_close(o->line.client);
    atomic_store(&s->over, true);
    terminal_wake();
    return NULL;
}

/* --- input -------------------------------------------------------------------------------------
 */

struct input {
    struct line line;
    int64_t place;
    unsigned generation;
    bool resized;
    bool over; /* nothing more is read */
    bool held; /* a ctrl-p waits for what comes next */
    bool detached;
    unsigned char bytes[INPUT_BYTES + 1];
};

/* Send @len bytes, all of them, and what else there is to say. */
static int send_all(struct input *in, size_t len, bool close, struct err *err)
{
    struct shared *s = in->line.shared;
    size_t done = 0;
    bool first = true;
    while ((first || done < len) && !atomic_load(&s->over)) {
        unsigned generation;
        struct session_write_request request = {.close = close, .wait_ms = WAIT_MS};
        struct session_write_reply reply;
        cleanup_free char *name = session_name(s, &request.node_id, &generation);
        if (generation != in->generation)
            in->place = 0; /* what the one before took is not known to this one */
        in->generation = generation;
        request.session = name;
        request.place = in->place;
        request.input = (struct bytes){in->bytes + done, len - done};
        if (in->resized)
            terminal_size(&request.rows, &request.columns);
        int rv = ask(&in->line, "session.write", &request, &reply, err);
        if (rv == ERR_NOTFOUND && s->options->attach) {
            pause_ms(PAUSE_MS); /* the other thread begins it again */
            continue;
        }
        if (rv < 0)
            return rv;
        first = false;
        in->resized = false;
        int64_t taken = reply.taken - in->place;
        if (taken > 0 && taken <= (int64_t)(len - done)) {
            done += (size_t)taken;
            in->place = reply.taken;
        }
        if (reply.ended)
            break;
    }
    return 0;
}

/* Look for ctrl-p ctrl-q in the @n bytes that were read behind @at; returns how many are to be
 * sent. */
static size_t filter_keys(struct input *in, size_t n)
{
    unsigned char out[sizeof(in->bytes)];
    size_t len = 0;
    for (size_t i = 0; i < n && !in->detached; i++) {
        unsigned char key = in->bytes[i];
        if (in->held && key == CTRL_Q) {
            in->detached = true;
        } else {
            if (in->held)
                out[len++] = CTRL_P;
            in->held = key == CTRL_P;
            if (!in->held)
                out[len++] = key;
        }
    }
    memcpy(in->bytes, out, len);
    return len;
}

static int read_input(struct input *in, struct err *err)
{
    const struct session_options *o = in->line.shared->options;
    ssize_t n = read(STDIN_FILENO, in->bytes, INPUT_BYTES);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0) {
        in->over = true;
        return o->close_input ? send_all(in, 0, true, err) : 0;
    }
    size_t len = o->detach_keys ? filter_keys(in, (size_t)n) : (size_t)n;
    return len > 0 ? send_all(in, len, false, err) : 0;
}

/* Until the end; returns the signal that ends us, or 0. */
static int run_input(struct input *in, int watch_fd, struct err *err)
{
    struct shared *s = in->line.shared;
    while (!atomic_load(&s->over) && !in->detached) {
        bool reads = s->options->input && !in->over;
        struct pollfd fds[] = {{.fd = watch_fd, .events = POLLIN},
                               {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        char number;
        while (read(watch_fd, &number, 1) == 1) {
            if (number == SIGWINCH)
                in->resized = s->options->raw;
            else if (number != 0)
                return number;
        }
        if (in->resized && send_all(in, 0, false, err) < 0)
            return 0;
        if (fds[1].revents && read_input(in, err) < 0)
            return 0;
    }
    return 0;
}

/* --- both --------------------------------------------------------------------------------------
 */

static void end_session(struct shared *s, struct line *line)
{
    struct err ignored;
    struct empty empty;
    unsigned generation;
    struct session_request request = {0};
    cleanup_free char *name = session_name(s, &request.node_id, &generation);
    request.session = name;
    if (ask(line, "session.end", &request, &empty, &ignored) == 0)
        record_release(&empty_type, &empty);
}

int session_run(struct cli *cli, const struct session_started *started,
                const struct session_options *options, enum session_end *ret_end, int *ret_code,
                struct err *err)
{
    struct shared s = {.cli = cli,
                       .options = options,
                       .session = str_copy(started->session),
                       .node_id = started->node_id,
                       .run = started->run};
    struct output output = {.line = {.shared = &s}, .place = started->place};
    struct input *input = mem_alloc(1, sizeof(*input));
    struct err failed = {0};
    pthread_t thread;
    pthread_mutex_init(&s.lock, NULL);
    input->line.shared = &s;
    int watch_fd = terminal_watch();
    input->resized = options->raw && terminal_raw();
    check(pthread_create(&thread, NULL, run_output, &output) == 0);
    terminal_wake(); /* the size is sent, if there is one */
    int number = run_input(input, watch_fd, &failed);
    bool over = atomic_load(&s.over);
    atomic_store(&s.leaving, true);
    end_session(&s, &input->line);
    pthread_join(thread, NULL);
    terminal_restore();
    *ret_end = number ? SESSION_SIGNAL : input->detached ? SESSION_DETACHED : SESSION_OVER;
    *ret_code = number ? number : s.has_code ? (int)s.code : -1;
    if (over && s.err.code != 0)
        failed = s.err;
    client_close(input->line.client);
    free(input);
    free(s.session);
    pthread_mutex_destroy(&s.lock);
    if (failed.code != 0 && !number)
        return err_set(err, failed.code, "%s", failed.msg);
    return 0;
}
