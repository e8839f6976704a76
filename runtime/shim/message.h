/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message - what goes over the socket of a shim (protocol.h): how it is written and read.
 *
 * A message is one packet of a SOCK_SEQPACKET socket: a header of SHIM_MESSAGE_HEADER bytes, all
 * numbers little-endian, and for some kinds data behind it:
 *
 *      0  u8  kind           4  u16  rows          8  u64  offset
 *      1  u8  version        6  u16  columns      16  u64  other
 *      2  u8  flags                               24  data
 *      3  u8  code
 *
 * Output is a row of frames, each a byte for the stream (1 stdout, 2 stderr), the length as u24 and
 * the bytes. A place in the output is the number of bytes of all frames before it, headers too.
 *
 *     client                                 shim
 *     HELLO version, offset           →           where to begin, or SHIM_FROM_…; of an exec's
 *                                                 output it acknowledges what is before
 *                                     ←  WELCOME  version, flags, offset of the output that
 * follows, other: the bytes of input taken so far ←  OUTPUT   offset, data; one that leaves
 * something out says so by its offset, and begins a frame ACK offset                      → an exec
 * may forget what is before it INPUT offset, data              →           what is before the bytes
 * taken is left out ←  TAKEN    offset: so many are taken; send the rest again from there. Said
 * after each INPUT that was taken whole, and later for one that was not CLOSE_INPUT, RESIZE rows,
 * columns → END                             →           an exec is ended; a container's shim lets
 * go ←  EXITED   code; after the last output
 *
 * Pure functions, on libc alone: the shim and the daemon share them.
 */
#ifndef WHERRY_RUNTIME_SHIM_MESSAGE_H
#define WHERRY_RUNTIME_SHIM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHIM_VERSION = 1,
    SHIM_MESSAGE_HEADER = 24,
    SHIM_DATA_MAX = 16384,
    SHIM_MESSAGE_MAX = SHIM_MESSAGE_HEADER + SHIM_DATA_MAX,
    SHIM_FRAME_HEADER = 4,
    SHIM_FRAME_MAX = 8192, /* bytes in one frame, at most */
};

enum shim_kind {
    SHIM_HELLO = 1,
    SHIM_INPUT = 2,
    SHIM_CLOSE_INPUT = 3,
    SHIM_RESIZE = 4,
    SHIM_ACK = 5,
    SHIM_END = 6,
    SHIM_WELCOME = 64,
    SHIM_OUTPUT = 65,
    SHIM_TAKEN = 66,
    SHIM_EXITED = 67,
};

/* Places for HELLO that are no number. */
#define SHIM_FROM_NOW  (UINT64_MAX)     /* what comes from now on */
#define SHIM_FROM_KEPT (UINT64_MAX - 1) /* all that the shim still has */

/* Flags of WELCOME. */
enum {
    SHIM_HAS_TTY = 1,
    SHIM_HAS_INPUT = 2, /* standard input is open */
};

struct shim_message {
    enum shim_kind kind;
    uint8_t version;
    uint8_t flags;
    uint8_t code;
    uint16_t rows;
    uint16_t columns;
    uint64_t offset;
    uint64_t other;
    const unsigned char *data; /* borrowed */
    size_t len;
};

/* Read the packet of @len bytes at @packet, as hostile as can be. False for what is no message: too
 * short, too long, of an unknown kind, or with data where there is none. */
bool shim_message_read(const void *packet, size_t len, struct shim_message *ret);

/* Write the header of @message to @packet; its data is sent from where it is. */
void shim_message_header(const struct shim_message *message,
                         unsigned char packet[SHIM_MESSAGE_HEADER]);

/* The frames of an output, taken apart as its bytes come. Zeroed: before the first. */
struct shim_frames {
    unsigned char header[SHIM_FRAME_HEADER];
    size_t header_len;
    size_t left; /* bytes of the frame that are still to come */
};

/* Take the next piece of one stream from *@data, *@len of it left, and move both on. Returns the
 * stream (1 or 2) and the piece; 0: all is taken; -1: these are no frames. */
int shim_frames_next(struct shim_frames *frames, const unsigned char **data, size_t *len,
                     const unsigned char **ret_piece, size_t *ret_len);

#endif
