/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_helper.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "runtime/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 16384,
    ARGV_MAX = 8,
    TICK_MS = 250, /* between calls of the progress callback */
    END_MS = 3000, /* from SIGTERM to SIGKILL */
    SAFE_FD = 10,  /* above what the child's descriptors become */
};

struct helper {
    const struct image_helper_job *job;
    pid_t pid;
    int out_fd; /* its report */
    int in_fd;  /* our answers */
    struct buf pending;
    char text[160]; /* progress for people */
    int64_t told_ms;
    bool done;
};

bool image_helper_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        char hex[3] = {from[1], from[1] ? from[2] : '\0', '\0'};
        unsigned char c;
        if (!hex_decode(hex, &c, 1) || c == 0)
            return false;
        *to++ = (char)c;
        from += 2;
    }
    *to = '\0';
    return true;
}

/* Move a descriptor out of the way of the child's. It is closed on failure. */
static int move_up(int *fd, struct err *err)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, SAFE_FD);
    int failed = errno;
    close(*fd);
    *fd = moved;
    return moved < 0 ? err_errno(err, failed, "duplicate a descriptor") : 0;
}

/* A pair of sockets: writing to a dead pipe would be a signal to the whole process. */
static int make_pair(int ends[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_errno(err, errno, "make a pair of sockets");
    int rv = move_up(&ends[0], err);
    return rv < 0 ? rv : move_up(&ends[1], err);
}

static int spawn(const struct runtime *rt, struct helper *h, int answers_fd, int report_fd,
                 int input_fd, int second_fd, struct err *err)
{
    cleanup_free char *program = str_printf("%s/wherry-image", rt->program_dir);
    char *argv[ARGV_MAX + 2] = {program};
    char *envp[] = {(char[]){"PATH=/usr/bin:/bin"}, (char[]){"LC_ALL=C.UTF-8"}, NULL};
    for (size_t i = 0; h->job->argv[i]; i++) {
        check(i < ARGV_MAX);
        argv[i + 1] = (char *)(uintptr_t)h->job->argv[i];
    }
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    check(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    posix_spawn_file_actions_adddup2(&files, answers_fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, report_fd, STDOUT_FILENO);
    if (input_fd >= 0)
        posix_spawn_file_actions_adddup2(&files, input_fd, 3);
    if (second_fd >= 0)
        posix_spawn_file_actions_adddup2(&files, second_fd, 4);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int failed = posix_spawn(&h->pid, program, &files, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return failed ? err_errno(err, failed, "start %s", program) : 0;
}

static int start(const struct runtime *rt, struct helper *h, struct err *err)
{
    cleanup_close int input = -1;
    cleanup_close int second = -1;
    int answers[2] = {-1, -1};
    int report[2] = {-1, -1};
    if (h->job->input_fd >= 0) {
        input = fcntl(h->job->input_fd, F_DUPFD_CLOEXEC, SAFE_FD);
        if (input < 0)
            return err_errno(err, errno, "duplicate a descriptor");
    }
    if (h->job->second_fd > 0) {
        second = fcntl(h->job->second_fd, F_DUPFD_CLOEXEC, SAFE_FD);
        if (second < 0)
            return err_errno(err, errno, "duplicate a descriptor");
    }
    int rv = make_pair(answers, err);
    if (rv == 0)
        rv = make_pair(report, err);
    if (rv == 0)
        rv = spawn(rt, h, answers[0], report[1], input, second, err);
    cleanup_close_fn(&answers[0]);
    cleanup_close_fn(&report[1]);
    if (rv < 0) {
        cleanup_close_fn(&answers[1]);
        cleanup_close_fn(&report[0]);
        return rv;
    }
    h->in_fd = answers[1];
    h->out_fd = report[0];
    return 0;
}

/* Its own last words. */
static int take_error(const char *line, struct err *err)
{
    char *text;
    long number = strtol(line, &text, 10);
    char clean[200];
    str_fill(clean, sizeof(clean), text + (*text == ' '));
    for (char *p = clean; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    return err_set(err, err_from_wire(number), "%s", clean);
}

static int nonsense(struct err *err)
{
    return err_set(err, ERR_INTERNAL,
                   "wherry-image speaks an unknown language; is it of the same "
                   "version?");
}

static int take_progress(struct helper *h, const char *words)
{
    long long done;
    long long total;
    unsigned layers_done;
    unsigned layers;
    long long speed;
    int n = sscanf(words, "%lld %lld %u %u %lld", &done, &total, &layers_done, &layers, &speed);
    if ((n != 2 && n != 5) || done < 0 || total < 0 || (n == 5 && speed < 0))
        return -1;
    if (n == 2)
        snprintf(h->text, sizeof(h->text), "%.80s: %.1f of %.1f MB", h->job->label,
                 (double)done / 1e6, (double)total / 1e6);
    else
        snprintf(h->text, sizeof(h->text), "%.80s: %u of %u layers, %.1f of %.1f MB, %.1f MB/s",
                 h->job->label, layers_done, layers, (double)done / 1e6, (double)total / 1e6,
                 (double)speed / 1e6);
    return 0;
}

static int answer(struct helper *h, enum image_answer answer, struct err *err)
{
    if (answer == IMAGE_ANSWER_NONE)
        return 0;
    ssize_t n;
    do
        n = send(h->in_fd, answer == IMAGE_ANSWER_YES ? "y\n" : "n\n", 2, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n != 2 ? err_errno(err, errno, "answer wherry-image") : 0;
}

static int take_line(struct helper *h, char *line, struct err *err)
{
    char *words[IMAGE_HELPER_WORDS_MAX];
    size_t n = 0;
    char *rest = NULL;
    enum image_answer reply = IMAGE_ANSWER_NONE;
    if (h->done)
        return nonsense(err);
    if (strcmp(line, "done") == 0) {
        h->done = true;
        return 0;
    }
    if (str_starts(line, "error "))
        return take_error(line + 6, err);
    if (str_starts(line, "progress "))
        return take_progress(h, line + 9) < 0 ? nonsense(err) : 0;
    for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        if (n == IMAGE_HELPER_WORDS_MAX)
            return nonsense(err);
        words[n++] = w;
    }
    if (n == 0 || !h->job->on_line)
        return nonsense(err);
    int rv = h->job->on_line(h->job->arg, words, n, &reply, err);
    return rv < 0 ? rv : answer(h, reply, err);
}

/* Take what it wrote. 1: more may come; 0: it closed its end. */
static int take_output(struct helper *h, struct err *err)
{
    char *to = buf_reserve(&h->pending, LINE_MAX_BYTES);
    ssize_t n = read(h->out_fd, to, LINE_MAX_BYTES);
    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0)
        return err_errno(err, errno, "read from wherry-image");
    if (n == 0)
        return 0;
    h->pending.len += (size_t)n;
    h->pending.data[h->pending.len] = '\0';
    size_t used = 0;
    char *end;
    while ((end = memchr(h->pending.data + used, '\n', h->pending.len - used))) {
        *end = '\0';
        int rv = take_line(h, h->pending.data + used, err);
        if (rv < 0)
            return rv;
        used = (size_t)(end - h->pending.data) + 1;
    }
    buf_consume(&h->pending, used);
    return h->pending.len >= LINE_MAX_BYTES ? nonsense(err) : 1;
}

/* Negative when the caller wants no more of it. */
static int tell(struct helper *h, struct err *err)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms - h->told_ms < TICK_MS)
        return 0;
    h->told_ms = now_ms;
    if (h->job->progress && !h->job->progress(h->job->progress_arg, h->text))
        return err_set(err, ERR_CANCELED, "%.80s: canceled", h->job->label);
    return h->job->on_tick ? h->job->on_tick(h->job->arg, err) : 0;
}

static int listen_to(struct helper *h, struct err *err)
{
    for (;;) {
        struct pollfd p = {.fd = h->out_fd, .events = POLLIN};
        if (poll(&p, 1, TICK_MS) < 0 && errno != EINTR)
            return err_errno(err, errno, "wait for wherry-image");
        int rv = tell(h, err);
        if (rv == 0)
            rv = p.revents ? take_output(h, err) : 1;
        if (rv <= 0)
            return rv;
    }
}

/* End it. Its pipe closes only when the last of its processes is gone. */
static void end(struct helper *h)
{
    struct pollfd p = {.fd = h->out_fd, .events = POLLIN};
    char ignored[4096];
    int64_t deadline_ms = clock_boot_ms() + END_MS;
    kill(h->pid, SIGTERM);
    for (;;) {
        int64_t left_ms = deadline_ms - clock_boot_ms();
        if (left_ms <= 0) {
            kill(h->pid, SIGKILL);
            return;
        }
        if (poll(&p, 1, (int)left_ms) > 0 && read(h->out_fd, ignored, sizeof(ignored)) == 0)
            return;
    }
}

int image_helper_run(const struct runtime *rt, const struct image_helper_job *job, struct err *err)
{
    struct helper h = {.job = job};
    int status = 0;
    str_fill(h.text, sizeof(h.text), job->label);
    int rv = start(rt, &h, err);
    if (rv < 0)
        return rv;
    rv = listen_to(&h, err);
    if (rv < 0)
        end(&h);
    close(h.in_fd);
    while (waitpid(h.pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(h.out_fd);
    buf_release(&h.pending);
    if (rv == 0 && !h.done && WIFSIGNALED(status))
        return err_set(err, ERR_FAILED, "wherry-image was killed by signal %d", WTERMSIG(status));
    if (rv == 0 && !h.done)
        return err_set(err, ERR_FAILED, "wherry-image ended without a result");
    return rv;
}
