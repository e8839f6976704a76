/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t is_raw;
static int wake_pipe[2] = {-1, -1};

void terminal_restore(void)
{
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    is_raw = 0;
}

/* A crash of ours must not leave the user a terminal that shows nothing. */
static void on_crash(int number)
{
    terminal_restore();
    signal(number, SIG_DFL);
    raise(number);
}

bool terminal_raw(void)
{
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    struct termios raw = before;
    cfmakeraw(&raw);
    static const int crashes[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGQUIT};
    for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
        signal(crashes[i], on_crash);
    atexit(terminal_restore);
    is_raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        is_raw = 0;
    return is_raw;
}

bool terminal_size(int64_t *ret_rows, int64_t *ret_columns)
{
    struct winsize size;
    if ((ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 &&
         ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0) ||
        size.ws_row == 0 || size.ws_col == 0)
        return false;
    *ret_rows = size.ws_row;
    *ret_columns = size.ws_col;
    return true;
}

static void put(char byte)
{
    int saved = errno;
    ssize_t n = write(wake_pipe[1], &byte, 1);
    (void)n; /* a full pipe wakes as well */
    errno = saved;
}

static void on_signal(int number)
{
    put((char)number);
}

int terminal_watch(void)
{
    check(pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) == 0);
    static const int numbers[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigaction(numbers[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    return wake_pipe[0];
}

void terminal_wake(void)
{
    put(0);
}
