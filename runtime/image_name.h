/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_name - references to images, taken apart (distribution's reference grammar).
 */
#ifndef WHERRY_RUNTIME_IMAGE_NAME_H
#define WHERRY_RUNTIME_IMAGE_NAME_H

#include <stdbool.h>

struct err;

enum {
    IMAGE_NAME_MAX = 255, /* registry and repository together */
    IMAGE_TAG_MAX = 128,
    IMAGE_DIGEST_SIZE = 72, /* "sha256:", 64 digits, 0 */
};

struct image_ref {
    char registry[IMAGE_NAME_MAX + 1];   /* "docker.io", "127.0.0.1:5000" */
    char repository[IMAGE_NAME_MAX + 1]; /* "library/nginx" */
    char tag[IMAGE_TAG_MAX + 1];         /* "" when only a digest was given */
    char digest[IMAGE_DIGEST_SIZE];      /* "" without */
};

/* Take @text apart and fill in what Docker's defaults say. ERR_INVALID says what is wrong. */
int image_ref_parse(const char *text, struct image_ref *ret_ref, struct err *err);

/* The normalized name, which the caller frees. Never NULL. */
char *image_ref_format(const struct image_ref *ref);

/* True for "sha256:" and 64 lower-case hexadecimal digits. */
bool image_digest_valid(const char *digest);

/* True when @registry is on this machine: localhost, 127.0.0.0/8 or [::1], with or without port. */
bool image_registry_is_local(const char *registry);

#endif
