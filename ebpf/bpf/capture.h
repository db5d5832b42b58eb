/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Copies what a call moved out of the memory of the process that made it. */
#ifndef SLUICE_CAPTURE_H
#define SLUICE_CAPTURE_H

#include "connections.h"

#define MAX_VECTORS 16
/* Nearly every head is shorter, so that what shows whether a message begins here is all that there is to copy: another call
 * for the rest would take as long as a kilobyte. */
#define FIRST 2048
/* What shows it, where not all of that can be read. */
#define LEAST 512

/* Where the bytes of a call are. */
struct buffers {
	__u64 vector;   /* of iovecs, or 0 */
	__u64 base;     /* of the only buffer */
	__u32 count;    /* of iovecs */
	__u8 operation;
	__u8 is_opaque;
};

struct scratch {
	struct user_iovec vectors[2 * MAX_VECTORS];
	__u32 busy;
	__u32 padding;
	struct data_event event;
	/* For verifiers, which only see that a piece begins before MAX_CAPTURE and is `bounded`. */
	__u8 bytes[3 * MAX_CAPTURE];
};

/* One for each processor: user space sets the number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* The arguments of the call that the current thread is in. */
static __always_inline void find_buffers(struct buffers *buffers, __u64 number, __u64 second, __u64 third)
{
	struct user_message_header header = {};

	switch (number) {
#if defined(__TARGET_ARCH_x86)
	case 0: buffers->operation = OPERATION_READ; goto single;
	case 1: buffers->operation = OPERATION_WRITE; goto single;
	case 44: buffers->operation = OPERATION_SENDTO; goto single;
	case 45: buffers->operation = OPERATION_RECVFROM; goto single;
	case 19: case 327: buffers->operation = OPERATION_READV; goto vector;
	case 20: case 328: buffers->operation = OPERATION_WRITEV; goto vector;
	case 46: buffers->operation = OPERATION_SENDMSG; goto message;
	case 47: buffers->operation = OPERATION_RECVMSG; goto message;
	case 307: buffers->operation = OPERATION_SENDMMSG; goto messages;
	case 299: buffers->operation = OPERATION_RECVMMSG; goto messages;
	case 40: buffers->operation = OPERATION_SENDFILE; goto opaque;
	case 275: buffers->operation = OPERATION_SPLICE; goto opaque;
	case 426: buffers->operation = OPERATION_IO_URING; goto opaque;
#else
	case 63: buffers->operation = OPERATION_READ; goto single;
	case 64: buffers->operation = OPERATION_WRITE; goto single;
	case 206: buffers->operation = OPERATION_SENDTO; goto single;
	case 207: buffers->operation = OPERATION_RECVFROM; goto single;
	case 65: case 286: buffers->operation = OPERATION_READV; goto vector;
	case 66: case 287: buffers->operation = OPERATION_WRITEV; goto vector;
	case 211: buffers->operation = OPERATION_SENDMSG; goto message;
	case 212: buffers->operation = OPERATION_RECVMSG; goto message;
	case 269: buffers->operation = OPERATION_SENDMMSG; goto messages;
	case 243: buffers->operation = OPERATION_RECVMMSG; goto messages;
	case 71: buffers->operation = OPERATION_SENDFILE; goto opaque;
	case 76: buffers->operation = OPERATION_SPLICE; goto opaque;
	case 426: buffers->operation = OPERATION_IO_URING; goto opaque;
#endif
	default: buffers->operation = OPERATION_OTHER; goto opaque;
	}
messages:
	/* With several messages it is not known which one this is. */
	if (third != 1)
		goto opaque;
message:
	if (bpf_probe_read_user(&header, sizeof(header), (void *)second))
		goto opaque;
	second = header.vector;
	third = header.vector_length;
vector:
	buffers->vector = second;
	buffers->count = third;
	return;
single:
	buffers->base = second;
	return;
opaque:
	buffers->is_opaque = 1;
}

static __always_inline bool is_method_byte(__u8 byte)
{
	return (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_' || byte == '/' || byte == '1' || byte == '.';
}

/* Four bytes as both architectures read them. */
#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)

/* Whether these may be the first bytes of an HTTP/1 message: `HTTP/1.` or a method and a space. User space decides. */
static __noinline bool may_begin(const __u8 *first, __u32 count)
{
	if (count == 0 || first[0] < 'A' || first[0] > 'Z')
		return false;
	for (int i = 1; i < 8; i++) {
		if (i >= count)
			return true;
		if (first[i] == ' ')
			return i >= 3;
		if (!is_method_byte(first[i]))
			return false;
	}
	return true;
}

/* The same, and quickly for what nearly all are. */
static __always_inline bool may_begin_message(const __u8 *first, __u32 count)
{
	const __u32 *words = (const __u32 *)first;

	if (count >= 8 && (words[0] == WORD('G', 'E', 'T', ' ') || (words[0] == WORD('H', 'T', 'T', 'P') &&
								    (words[1] & 0xffffff) == WORD('/', '1', '.', 0))))
		return true;
	return may_begin(first, count);
}

static __always_inline bool is_tls(const __u8 *first, __u32 count)
{
	return count >= 3 && first[0] >= 0x14 && first[0] <= 0x17 && first[1] == 3 && first[2] <= 4;
}

static __always_inline bool is_http2(const __u8 *first, __u32 count)
{
	return count >= 8 && first[0] == 'P' && first[1] == 'R' && first[2] == 'I' && first[3] == ' ' &&
	       first[4] == '*' && first[5] == ' ' && first[6] == 'H';
}

/* Verifiers before Linux 6.3 lose the bound of a size that the compiler keeps in another register; a mask that it may not
 * drop shows it again. */
static __always_inline __u32 bounded(__u32 size)
{
	asm volatile("" : "+r"(size));
	return size & (2 * MAX_CAPTURE - 1);
}

/* The next two are functions of their own, so that the verifier walks through them once and not for each state of a caller. */

/* Copies the first bytes of a call, which are in `count` vectors or in one buffer; at most FIRST of them. Returns how many,
 * and leaves the vectors in the scratch. */
__noinline int copy_first(struct scratch *scratch, __u64 vector, __u64 base, __u32 count, __u32 length)
{
	__u64 available = length;

	if (!scratch)
		return 0;
	if (vector) {
		__u32 size = (count < MAX_VECTORS ? count : MAX_VECTORS) * sizeof(struct user_iovec);
		struct user_iovec first = {};

		asm volatile("" : "+r"(size));
		size &= sizeof(scratch->vectors) - 1;
		if (bpf_probe_read_user(scratch->vectors, size, (void *)vector))
			return 0;
		for (int i = 0; i < MAX_VECTORS; i++) {
			if (i >= count)
				break;
			first = scratch->vectors[i];
			if (first.length)
				break;
		}
		base = first.base;
		if (first.length < available)
			available = first.length;
	}
	if (available > FIRST)
		available = FIRST;
	if (!bpf_probe_read_user(scratch->bytes, bounded(available), (void *)base))
		return available;
	return available > LEAST && !bpf_probe_read_user(scratch->bytes, LEAST, (void *)base) ? LEAST : 0;
}

/* Copies up to `want` bytes, from `count` vectors in the scratch or from one buffer; the first `there` bytes are in place.
 * Returns how many there are then. */
__noinline int copy_bytes(struct scratch *scratch, __u64 base, __u32 count, __u32 there, __u32 want)
{
	__u32 done = 0;

	if (!scratch)
		return 0;
	if (want > MAX_CAPTURE)
		want = MAX_CAPTURE;
	if (base) {
		if (bpf_probe_read_user(scratch->bytes, bounded(want), (void *)base))
			goto fault;
		return want;
	}
	for (int i = 0; i < MAX_VECTORS; i++) {
		struct user_iovec entry;
		__u32 part;

		if (i >= count || done >= want || done >= MAX_CAPTURE)
			break;
		entry = scratch->vectors[i];
		if (i == 0 && entry.length == there && there <= FIRST) {
			done = there;
			continue;
		}
		part = entry.length < want - done ? entry.length : want - done;
		if (part == 0)
			continue;
		part = bounded(part);
		if (bpf_probe_read_user(scratch->bytes + (done & (MAX_CAPTURE - 1)), part, (void *)entry.base))
			goto fault;
		done += part;
	}
	return done;
fault:
	scratch->event.flags |= FLAG_FAULT;
	return done;
}

#endif
