/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What happens when a call has moved bytes over a connection. Both tiers end here. */
#ifndef SLUICE_TRANSFER_H
#define SLUICE_TRANSFER_H

#include "capture.h"

struct transfer {
	struct buffers buffers;
	__u64 start;
	__u32 length;
	__u8 direction;
	__u32 sequence; /* TCP's number for the byte after the last one moved */
	__u32 round_trip;
	__u32 retransmits;
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

/* Looks at the first bytes, and returns how many are to be captured. */
static __always_inline __u32 inspect(struct connection *connection, struct stream *stream, struct transfer *transfer,
				     __u64 offset)
{
	__u8 first[PEEK] = {};
	__u32 count;

	if (!capture || transfer->buffers.is_opaque || connection->protocol > PROTOCOL_HTTP1)
		return 0;
	count = peek(&transfer->buffers, transfer->length, first);
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
	return stream->capture_until - offset < transfer->length ? stream->capture_until - offset : transfer->length;
}

static __always_inline void tell_transfer(struct connection *connection, struct transfer *transfer, __u32 tgid, __u32 thread,
					  __u64 offset, __u32 want)
{
	__u32 processor = bpf_get_smp_processor_id();
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &processor);
	struct data_event *event;
	__u32 captured = 0;

	if (!scratch)
		return;
	if (__sync_fetch_and_add(&scratch->busy, 1)) {
		/* The thread that fills it was preempted. */
		__sync_fetch_and_add(&scratch->busy, -1);
		count_loss(LOSS_NESTED);
		return;
	}
	event = &scratch->event;
	event->kind = KIND_DATA;
	event->direction = transfer->direction;
	event->operation = transfer->buffers.operation;
	event->flags = transfer->buffers.is_opaque ? FLAG_OPAQUE : 0;
	event->tgid = tgid;
	event->socket = connection->id;
	event->offset = offset;
	event->start = transfer->start;
	event->end = bpf_ktime_get_ns();
	event->length = transfer->length;
	event->round_trip = transfer->round_trip;
	event->retransmits = transfer->retransmits;
	event->thread = thread;
	event->protocol = connection->protocol;
	if (want)
		captured = copy_bytes(scratch, &transfer->buffers, want);
	if (captured > MAX_CAPTURE)
		captured = MAX_CAPTURE;
	event->captured = captured;
	tell(event, sizeof(*event) + captured, LOSS_RING_FULL_DATA);
	__sync_fetch_and_add(&scratch->busy, -1);
}

static __always_inline void on_transfer(struct sock *sk, struct connection *connection, struct transfer *transfer, __u32 tgid,
					__u32 thread)
{
	struct stream *stream = &connection->streams[transfer->direction];
	__u64 offset;
	__u32 want;

	offset = advance(stream, transfer);
	set_owner(connection, tgid);
	announce(connection, sk);
	want = inspect(connection, stream, transfer, offset);
	tell_transfer(connection, transfer, tgid, thread, offset, want);
}

#endif
