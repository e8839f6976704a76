/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shim/shim.h"

#include "runtime/shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t shim_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t shim_boot_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

bool shim_lock(const struct shim *shim)
{
    int fd =
        openat(shim->state_fd, SHIM_FILE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    /* The descriptor stays open: the kernel lets go of the lock when the shim ends. */
    return fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* Replace @name in @dir_fd by way of a hidden name beside it. Best effort: a full disk must not
 * stop a shim. */
static void replace(int dir_fd, const char *name, const char *text, bool durable)
{
    char temp[SHIM_PATH_MAX];
    snprintf(temp, sizeof(temp), ".%s.new", name);
    int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    size_t len = strlen(text);
    bool ok = write(fd, text, len) == (ssize_t)len && (!durable || fsync(fd) == 0);
    close(fd);
    if (!ok || renameat(dir_fd, temp, dir_fd, name) < 0)
        unlinkat(dir_fd, temp, 0);
    else if (durable)
        fsync(dir_fd);
}

static void say(struct shim *shim, const char *line)
{
    if (shim->status_fd < 0)
        return;
    /* A killed daemon does not read it: nobody is left to tell. */
    ssize_t n = write(shim->status_fd, line, strlen(line));
    (void)n;
    close(shim->status_fd);
    shim->status_fd = -1;
}

void shim_say_failed(struct shim *shim, const char *what, int errnum)
{
    char line[512];
    if (*what)
        snprintf(line, sizeof(line), "F %s: %s\n", what, strerror(errnum));
    else
        snprintf(line, sizeof(line), "F \n");
    say(shim, line);
}

void shim_say_started(struct shim *shim)
{
    char text[96];
    snprintf(text, sizeof(text), "%lld %d %lld\n", shim->run, (int)shim->pid,
             (long long)shim_wall_ms());
    if (!shim->exec)
        replace(shim->state_fd, SHIM_FILE_STARTED, text, false);
    snprintf(text, sizeof(text), "S %d\n", (int)shim->pid);
    say(shim, text);
}

static char exit_text[96];

void shim_record_exit(const struct shim *shim, int code, long long oom_kills)
{
    snprintf(exit_text, sizeof(exit_text), "%lld %d %d %lld %lld\n", shim->run, code,
             code != 0 && oom_kills > 0, (long long)shim_wall_ms(), oom_kills);
    replace(shim->state_fd, SHIM_FILE_EXIT, exit_text, false);
    replace(shim->exits_fd, shim->argv[SHIM_ARG_ID], exit_text, false);
}

void shim_keep_exit(const struct shim *shim)
{
    replace(shim->data_fd, SHIM_FILE_EXIT, exit_text, true);
}

static bool read_text(int dir_fd, const char *name, char *text, size_t size)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

long long shim_read_number(int dir_fd, const char *name)
{
    char text[32];
    if (!read_text(dir_fd, name, text, sizeof(text)))
        return -1;
    return strtoll(text, NULL, 10);
}

long long shim_oom_kills(const char *oom_file)
{
    char text[512];
    if (!*oom_file || !read_text(AT_FDCWD, oom_file, text, sizeof(text)))
        return 0;
    const char *count = strstr(text, "oom_kill ");
    return count ? strtoll(count + strlen("oom_kill "), NULL, 10) : 0;
}
