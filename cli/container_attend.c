/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/container_attend.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/logline.h"
#include "cli/logprint.h"
#include "cli/session.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    WAIT_MS = 800, /* for more to show: so soon a signal is handed on, too */
    ANSWER_MS = 30000,
    LAST_MS = 15000, /* for its end after a signal that ended a session */
    STATUS_NOT_FOUND = 127,
    STATUS_NOT_STARTED = 126,
    STATUS_LOST = 125, /* it ended, and how is not known */
};

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static void catch_signals(bool on)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = on ? on_signal : SIG_DFL, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

static void hand_on(struct attended *run, int number)
{
    char text[12];
    struct empty reply;
    struct err err;
    snprintf(text, sizeof(text), "%d", number);
    struct container_signal_request request = {
        .node = run->node, .container = run->id, .signal = text};
    if (cli_call(run->cli, "container.signal", &request, &reply, &err) < 0 &&
        err.code != ERR_NOTFOUND)
        cli_warn("signal %d: %s", number, err.msg);
}

/* One line of the log, or a part of one, on the stream it came from. */
static void show_line(const char *line, size_t len)
{
    struct logline l;
    if (!logline_parse(line, len, &l))
        return;
    FILE *out = l.stream == LOGLINE_STDERR ? stderr : stdout;
    cleanup_buf struct buf clean = BUF_INIT;
    if (isatty(fileno(out)))
        log_clean(l.text, l.len, &clean);
    else
        buf_append(&clean, l.text, l.len);
    fwrite(clean.data, 1, clean.len, out);
    if (!l.partial)
        fputc('\n', out);
}

static void show_lines(const struct logs_reply *reply)
{
    const char *at = (const char *)reply->lines.data, *end = at + reply->lines.len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        show_line(at, (size_t)(stop - at));
        at = stop + 1;
    }
    fflush(stdout);
    fflush(stderr);
}

/* Show the log of its first run until that ended. */
static int follow_log(struct attended *run, struct err *err)
{
    struct container_logs_request request = {
        .node = run->node, .container = run->id, .wait_ms = WAIT_MS};
    for (;;) {
        struct logs_reply reply;
        int rv =
            cli_call_within(run->cli, "container.logs", &request, &reply, WAIT_MS + ANSWER_MS, err);
        if (rv < 0)
            return rv;
        bool over = !reply.more && (reply.ended || reply.run > 1);
        if (reply.run <= 1)
            show_lines(&reply);
        request.run = reply.run;
        request.file = reply.file;
        request.offset = reply.offset;
        record_release(&logs_reply_type, &reply);
        if (over)
            return 0;
        if (caught) {
            int number = caught;
            caught = 0;
            hand_on(run, number);
        }
    }
}

/* The exit code of its first run. */
static int wait_end(struct attended *run, int64_t most_ms, struct err *err)
{
    struct container_wait_request request = {
        .node = run->node, .container = run->id, .run = 1, .wait_ms = WAIT_MS};
    int64_t until = clock_boot_ms() + most_ms;
    for (;;) {
        struct container_wait_reply reply;
        int rv =
            cli_call_within(run->cli, "container.wait", &request, &reply, WAIT_MS + ANSWER_MS, err);
        if (rv < 0)
            return rv;
        if (reply.ended) {
            run->code = reply.exit_unknown ? -1 : (int)reply.exit_code;
            return 0;
        }
        if (most_ms && clock_boot_ms() >= until)
            return 0;
    }
}

/* Give it this terminal, or standard input and output. ERR_NOTFOUND: it is over already. */
static int attach(struct attended *run, bool *ret_detached, struct err *err)
{
    struct attach_request request = {
        .container = run->id, .node = run->node, .place = ATTACH_FROM_KEPT};
    struct session_started started;
    int rv = cli_call(run->cli, "attach.start", &request, &started, err);
    if (rv < 0)
        return rv;
    bool input = started.has_input && run->interactive;
    bool terminal = input && isatty(STDIN_FILENO);
    struct session_options session = {.raw = terminal && started.tty,
                                      .input = input,
                                      .close_input = !started.tty,
                                      .detach_keys = terminal && started.tty,
                                      .attach = &request};
    enum session_end end;
    int code = -1;
    rv = session_run(run->cli, &started, &session, &end, &code, err);
    record_release(&session_started_type, &started);
    if (rv < 0)
        return rv;
    *ret_detached = end == SESSION_DETACHED;
    run->code = code;
    if (end == SESSION_SIGNAL) {
        hand_on(run, code);
        run->code = 128 + code;
        return wait_end(run, LAST_MS, err);
    }
    return end == SESSION_OVER && code < 0 ? wait_end(run, LAST_MS, err) : 0;
}

int container_attend(struct attended *run, bool *ret_detached, struct err *err)
{
    bool detached = false;
    run->code = -1;
    bool session = run->interactive || run->tty;
    int rv = ERR_NOTFOUND;
    if (session)
        rv = attach(run, &detached, err);
    if (rv == ERR_NOTFOUND) { /* its log has what it wrote */
        catch_signals(true);
        rv = follow_log(run, err);
        if (rv == 0)
            rv = wait_end(run, 0, err);
        catch_signals(false);
    }
    *ret_detached = detached;
    if (rv < 0 || detached)
        return rv;
    if (run->code < 0)
        cli_warn("container %s ended, and how is not known", run->id);
    run->cli->exit_status = run->code < 0 ? STATUS_LOST : run->code;
    return 0;
}

int container_not_started(const char *message)
{
    bool missing = strstr(message, "not found") || strstr(message, "o such file");
    return missing ? STATUS_NOT_FOUND : STATUS_NOT_STARTED;
}

int container_check_terminal(bool wanted, struct err *err)
{
    if (wanted && !isatty(STDIN_FILENO))
        return err_set(err, ERR_INVALID,
                       "standard input is no terminal: leave out -t, or run this in one");
    return 0;
}
