/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - lines on stderr: "2026-01-02T03:04:05.678Z WARN node: text".
 *
 * Any thread. Rooms log sparingly; store, scheduler and runtime return errors instead.
 */
#ifndef WHERRY_BASE_LOG_H
#define WHERRY_BASE_LOG_H

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
};

/* Lines below @level are dropped from now on. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);

/* Write one line. @room names the part that speaks ("raft", "bus"). */
void log_write(enum log_level level, const char *room, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(room, ...) log_write(LOG_LEVEL_DEBUG, room, __VA_ARGS__)
#define log_info(room, ...)  log_write(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_warn(room, ...)  log_write(LOG_LEVEL_WARN, room, __VA_ARGS__)
#define log_error(room, ...) log_write(LOG_LEVEL_ERROR, room, __VA_ARGS__)

#endif
