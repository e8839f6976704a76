/* SPDX-License-Identifier: Apache-2.0 */
/*
 * platform - the kinds of machines that images are made for (OCI image specification,
 * image-index.md: os, architecture and variant in the words of Go). Pure; any thread.
 */
#ifndef WHERRY_RUNTIME_PLATFORM_H
#define WHERRY_RUNTIME_PLATFORM_H

#include <stdbool.h>

struct err;

enum {
    IMAGE_PLATFORM_TEXT = 32,
};

struct image_platform {
    char os[IMAGE_PLATFORM_TEXT];           /* "linux" */
    char architecture[IMAGE_PLATFORM_TEXT]; /* "amd64", "arm" */
    char variant[IMAGE_PLATFORM_TEXT];      /* "v7", "" when there is only one or any will do */
    bool host; /* it is this machine's own: an amd64 image for newer processors may be tried */
};

/* Fill @ret with this machine's: the variant of ARM by what the kernel calls the machine. */
void image_platform_host(struct image_platform *ret);

/* Read "OS/ARCHITECTURE[/VARIANT]", where the names that kernels use ("aarch64") are put into
 * images' words. NULL or "" gives this machine's. ERR_INVALID; ERR_UNSUPPORTED for an os other than
 * linux. */
int image_platform_parse(const char *text, struct image_platform *ret, struct err *err);

/* "linux/arm/v7", which the caller frees. */
char *image_platform_format(const struct image_platform *platform);

/* How well something for @os, @architecture and @variant ("" when it does not say) suits @wanted: 0
 * not at all, else the more the better. An older variant suits a newer one. */
int image_platform_rank(const struct image_platform *wanted, const char *os,
                        const char *architecture, const char *variant);

#endif
