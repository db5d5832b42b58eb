/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What happens when a call has moved bytes over a connection. Both tiers end here. */
#ifndef SLUICE_TRANSFER_H
#define SLUICE_TRANSFER_H

#include "unremarkable.h"

struct transfer {
	struct buffers buffers;
	__u64 start;
	__u32 length;
	__u8 direction;
	__u32 sequence; /* TCP's number for the byte after the last one moved */
	__u32 round_trip;
	__u32 retransmits;
	__u32 tgid;
	__u32 thread;
};

/* Flags of calls that take nothing from the stream, or not in its order. */
#define ASIDE (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)

/* TCP's number for the byte after the last one received: a call that reads to the end counts the peer's FIN as a byte. */
static __always_inline __u32 received_until(__u32 copied, __u32 next, unsigned long socket_flags)
{
	return copied == next && socket_flags & (1 << SOCK_DONE) ? copied - 1 : copied;
}

/* The place of the first byte, which TCP's numbers give also where a call was not seen. */
static __always_inline __u64 advance(struct stream *stream, const struct transfer *transfer)
{
	if (!stream->started) {
		stream->started = 1;
		stream->next = transfer->length;
	} else {
		stream->next += (__u32)(transfer->sequence - stream->sequence);
	}
	stream->sequence = transfer->sequence;
	return stream->next - transfer->length;
}

/* Whether a message may begin with these bytes, or go on: returns how many are to be captured. */
static __always_inline __u32 inspect(struct connection *connection, struct stream *stream, __u32 length, __u64 offset,
				     const __u8 *first, __u32 count)
{
	if (may_begin_message(first, count)) {
		if (is_http2(first, count)) {
			connection->protocol = PROTOCOL_HTTP2;
			return 0;
		}
		stream->capture_until = offset + capture_size;
		connection->protocol = PROTOCOL_HTTP1;
	} else if (connection->protocol == PROTOCOL_UNKNOWN) {
		if (is_tls(first, count))
			connection->protocol = PROTOCOL_TLS;
		else if (++connection->unrecognised >= RECOGNISE_WITHIN)
			connection->protocol = PROTOCOL_OTHER;
	}
	if (stream->capture_until <= offset)
		return 0;
	return stream->capture_until - offset < length ? stream->capture_until - offset : length;
}

_Static_assert(offsetof(struct data_event, direction) == 1 && offsetof(struct data_event, operation) == 2 &&
	       offsetof(struct data_event, flags) == 3 && offsetof(struct data_event, tgid) == 4 &&
	       offsetof(struct data_event, protocol) + 4 == sizeof(struct data_event), "as `fill` writes it");

static __always_inline void fill(struct data_event *event, const struct connection *connection, const struct transfer *transfer,
				 __u64 offset)
{
	/* Its first bytes and its last ones are written as one: bytes that were written one by one are slow to be copied on. */
	*(__u64 *)event = KIND_DATA | (__u64)transfer->direction << 8 | (__u64)transfer->buffers.operation << 16 |
			  (transfer->buffers.is_opaque ? (__u64)FLAG_OPAQUE << 24 : 0) | (__u64)transfer->tgid << 32;
	event->socket = connection->id;
	event->offset = offset;
	event->start = transfer->start;
	event->end = bpf_ktime_get_ns();
	event->length = transfer->length;
	event->captured = 0;
	event->round_trip = transfer->round_trip;
	event->retransmits = transfer->retransmits;
	event->thread = transfer->thread;
	*(__u32 *)&event->protocol = connection->protocol;
}

/* Tells of a transfer without its content, written where user space reads it. */
static __always_inline void tell_length(struct connection *connection, const struct transfer *transfer, __u64 offset)
{
	__u64 wake = wake_up(sizeof(struct data_event));
	struct data_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (unlikely(!event)) {
		count_loss(LOSS_RING_FULL_DATA);
		mark_torn(connection);
		return;
	}
	fill(event, connection, transfer, offset);
	bpf_ringbuf_submit(event, wake);
}

/* Tells of a transfer, with its content as far as it is of a message that is captured. */
static __always_inline void tell_content(struct sock *sk, struct connection *connection, struct transfer *transfer, __u64 offset)
{
	struct stream *stream = &connection->streams[transfer->direction];
	__u32 processor = bpf_get_smp_processor_id();
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &processor);
	struct buffers *buffers = &transfer->buffers;
	__u32 count, want;

	if (!scratch)
		return;
	if (unlikely(__sync_lock_test_and_set(&scratch->busy, 1))) {
		/* The thread that fills it was preempted. */
		count_loss(LOSS_NESTED);
		mark_torn(connection);
		return;
	}
	count = copy_first(scratch, buffers->vector, buffers->base, buffers->count, transfer->length);
	want = inspect(connection, stream, transfer->length, offset, scratch->bytes, count);
	if (!want) {
		scratch->busy = 0;
		release_held(sk, connection);
		tell_length(connection, transfer, offset);
		return;
	}
	fill(&scratch->event, connection, transfer, offset);
	if (!count)
		scratch->event.flags |= FLAG_FAULT;
	else if (count < want)
		count = copy_bytes(scratch, buffers->base, buffers->count, count, want);
	else
		count = want;
	if (count > MAX_CAPTURE)
		count = MAX_CAPTURE;
	scratch->event.captured = count;
	if (!is_held_back(sk, connection, scratch) &&
	    !tell(&scratch->event, sizeof(scratch->event) + count, LOSS_RING_FULL_DATA))
		mark_torn(connection);
	scratch->busy = 0;
}

static __always_inline void on_transfer(struct sock *sk, struct connection *connection, struct transfer *transfer)
{
	__u64 offset = advance(&connection->streams[transfer->direction], transfer);

	if (unlikely(connection->tgid != transfer->tgid)) {
		release_held(sk, connection);
		set_owner(connection, transfer->tgid);
	}
	announce(connection, sk);
	if (capture && !transfer->buffers.is_opaque && connection->protocol <= PROTOCOL_HTTP1) {
		tell_content(sk, connection, transfer, offset);
	} else {
		release_held(sk, connection);
		tell_length(connection, transfer, offset);
	}
}

#endif
