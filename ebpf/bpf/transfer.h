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

/* Whether the content of a transfer is of interest and in reach. */
static __always_inline bool is_readable(const struct connection *connection, const struct transfer *transfer)
{
	return capture && !transfer->buffers.is_opaque && connection->protocol <= PROTOCOL_HTTP1;
}

/* Judges a transfer by its first bytes; returns how many are to be captured. */
static __always_inline __u32 judge(struct connection *connection, struct stream *stream, const __u8 *first, __u32 count,
				   __u64 offset, __u32 length)
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

static __always_inline void describe(struct data_event *event, const struct connection *connection,
				     const struct transfer *transfer, __u64 thread, __u64 offset)
{
	event->kind = KIND_DATA;
	event->direction = transfer->direction;
	event->operation = transfer->buffers.operation;
	event->flags = transfer->buffers.is_opaque ? FLAG_OPAQUE : 0;
	event->tgid = thread >> 32;
	event->socket = connection->id;
	event->offset = offset;
	event->start = transfer->start;
	event->end = bpf_ktime_get_ns();
	event->length = transfer->length;
	event->captured = 0;
	event->round_trip = transfer->round_trip;
	event->retransmits = transfer->retransmits;
	event->thread = (__u32)thread;
	event->protocol = connection->protocol;
	event->padding[0] = event->padding[1] = event->padding[2] = 0;
}

static __always_inline void tell_length(struct connection *connection, struct transfer *transfer, __u64 thread, __u64 offset)
{
	struct data_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_loss(LOSS_RING_FULL_DATA);
		return;
	}
	describe(event, connection, transfer, thread, offset);
	bpf_ringbuf_submit(event, wake_up());
}

/* Most messages are short: those go from the process straight into the ring, and are judged there. */
#define SHORT 512

struct short_event {
	struct data_event event;
	__u8 bytes[2 * SHORT];
};

static __always_inline void tell_short(struct connection *connection, struct transfer *transfer, __u64 thread, __u64 offset)
{
	struct stream *stream = &connection->streams[transfer->direction];
	struct short_event *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	__u8 flags = 0;
	__u32 count, want;

	if (!record) {
		count_loss(LOSS_RING_FULL_DATA);
		return;
	}
	count = copy_bytes(record->bytes, SHORT, &flags, &transfer->buffers, transfer->length);
	want = judge(connection, stream, record->bytes, count, offset, transfer->length);
	describe(&record->event, connection, transfer, thread, offset);
	if (want) {
		record->event.captured = count < want ? count : want;
		record->event.flags |= flags;
	}
	bpf_ringbuf_submit(record, wake_up());
}

struct scratch {
	__u32 busy;
	__u32 padding;
	struct data_event event;
	__u8 bytes[2 * MAX_CAPTURE];
};

/* One for each processor: user space sets the number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline void tell_long(struct connection *connection, struct transfer *transfer, __u64 thread, __u64 offset,
				      __u32 want)
{
	__u32 processor = bpf_get_smp_processor_id();
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &processor);
	__u32 captured;

	if (!scratch)
		return;
	if (__sync_fetch_and_add(&scratch->busy, 1)) {
		/* The thread that fills it was preempted. */
		__sync_fetch_and_add(&scratch->busy, -1);
		count_loss(LOSS_NESTED);
		return;
	}
	describe(&scratch->event, connection, transfer, thread, offset);
	captured = copy_bytes(scratch->bytes, MAX_CAPTURE, &scratch->event.flags, &transfer->buffers, want);
	if (captured > MAX_CAPTURE)
		captured = MAX_CAPTURE;
	scratch->event.captured = captured;
	tell(&scratch->event, sizeof(scratch->event) + captured, LOSS_RING_FULL_DATA);
	__sync_fetch_and_add(&scratch->busy, -1);
}

static __always_inline void on_transfer(struct sock *sk, struct connection *connection, struct transfer *transfer, __u64 thread)
{
	struct stream *stream = &connection->streams[transfer->direction];
	__u64 offset = advance(stream, transfer);
	__u32 want = 0;

	set_owner(connection, thread >> 32);
	announce(connection, sk);
	if (is_readable(connection, transfer)) {
		__u8 first[PEEK] = {};
		__u32 count;

		if (transfer->length <= SHORT) {
			tell_short(connection, transfer, thread, offset);
			return;
		}
		count = peek(&transfer->buffers, transfer->length, first);
		want = judge(connection, stream, first, count, offset, transfer->length);
	}
	if (want)
		tell_long(connection, transfer, thread, offset, want);
	else
		tell_length(connection, transfer, thread, offset);
}

#endif
