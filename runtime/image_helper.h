/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_helper - run wherry-image and listen to it.
 *
 * It reads what strangers wrote, so what it says is data to check, not to trust: lines are short,
 * their words are validated by whoever handles them, and silence, noise or death is an error.
 */
#ifndef WHERRY_RUNTIME_IMAGE_HELPER_H
#define WHERRY_RUNTIME_IMAGE_HELPER_H

#include "runtime/image.h"

#include <stddef.h>

enum image_answer {
    IMAGE_ANSWER_NONE,
    IMAGE_ANSWER_YES,
    IMAGE_ANSWER_NO,
};

enum {
    IMAGE_HELPER_WORDS_MAX = 4,
};

struct image_helper_job {
    const char *const *argv; /* mode and what follows, NULL-terminated */
    int input_fd;            /* becomes its descriptor 3; -1 without */
    int second_fd;           /* becomes its descriptor 4; 0 or less without */
    /* Text before the progress, "nginx:1.2: unpacking"; NULL when there is nobody to tell. */
    const char *label;
    image_progress_cb progress; /* may be NULL */
    void *progress_arg;
    /* A line other than progress, error and done, in words. A negative code, with @err set, ends
     * the helper. */
    int (*on_line)(void *arg, char **words, size_t words_n, enum image_answer *ret_answer,
                   struct err *err);
    /* Called some times a second; a negative code ends the helper. May be NULL. */
    int (*on_tick)(void *arg, struct err *err);
    void *arg;
};

/* Run it to its end. ERR_CANCELED when the progress callback said so. Nothing of it runs on when
 * this returns. */
int image_helper_run(const struct runtime *rt, const struct image_helper_job *job, struct err *err);

/* Decode %XX in place. False for a bad one or an encoded 0. */
bool image_helper_decode(char *text);

#endif
