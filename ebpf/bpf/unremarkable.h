/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Exchanges that succeed quickly are not told where nobody wants them. Each is held on its connection until the next request
 * shows that it has ended; what is not as plain as a request in one call and its response in another is told. Only in tier A:
 * there what is held goes with the socket. */
#ifndef SLUICE_UNREMARKABLE_H
#define SLUICE_UNREMARKABLE_H

#include "capture.h"

#ifdef TIER_B

static __always_inline bool is_held_back(struct sock *sk, struct connection *connection, struct scratch *scratch)
{
	return false;
}

static __always_inline void release_held(struct sock *sk, struct connection *connection)
{
}

static __always_inline void end_held(struct sock *sk, struct connection *connection)
{
}

static __always_inline void mark_torn(struct connection *connection)
{
}

#else

/* The longest that are held, so that with what the kernel adds they take a page. */
#define HELD_REQUEST_BYTES 1536
#define HELD_RESPONSE_BYTES 2048
/* After this long, user space hears of a connection of which nothing else is told, in nanoseconds. */
#define SETTLED_EVERY 60000000000ULL

/* After this long without a word, all that was asked is taken to be answered, in nanoseconds: a call may have been missed. */
#define ANSWERED_AFTER 10000000000ULL

enum held {
	HELD_NOTHING = 0,
	HELD_REQUEST,
	HELD_EXCHANGE,
};

struct held_request {
	struct data_event event;
	__u8 bytes[HELD_REQUEST_BYTES];
};

struct held_response {
	struct data_event event;
	__u8 bytes[HELD_RESPONSE_BYTES];
};

struct held_exchange {
	__u64 begin[2]; /* where its messages begin, by direction */
	struct held_request request;
	struct held_response response;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct held_exchange);
} held_exchanges SEC(".maps");

/* Exchanges that were not told. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} untold SEC(".maps");

/* Threads that share a connection may meet here. Who comes second tells all that it has. */
static __always_inline bool begin_unremarkable(struct connection *connection)
{
	return likely(!__sync_lock_test_and_set(&connection->unremarkable.busy, 1));
}

/* Not a plain store: the other thread may run on another processor. */
static __always_inline void end_unremarkable(struct connection *connection)
{
	__sync_lock_test_and_set(&connection->unremarkable.busy, 0);
}

/* Something could not be told: nothing is held until a request has been told since, so that user space sees the gap. */
static __always_inline void mark_torn(struct connection *connection)
{
	connection->unremarkable.is_torn = 1;
}

/* Whether bytes have moved in a direction that no call told of, as `splice` moves them. */
static __always_inline bool has_unseen(struct sock *sk, struct connection *connection, __u8 direction)
{
	struct stream *stream = &connection->streams[direction & 1];
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (!tcp || !stream->started)
		return false;
	return stream->sequence != (direction == INBOUND ? tcp->copied_seq : tcp->write_seq);
}

/* Tells that whole exchanges were passed over, and where the next begins in each direction. */
static __noinline void tell_settled(struct connection *connection, __u64 inbound, __u64 outbound, __u32 retransmits)
{
	struct socket_event event = { .kind = KIND_SETTLED, .tgid = connection->tgid, .socket = connection->id };

	if (!connection->unremarkable.count)
		return;
	event.end = bpf_ktime_get_ns();
	event.retransmits = retransmits;
	event.extents[INBOUND] = inbound;
	event.extents[OUTBOUND] = outbound;
	tell(&event, sizeof(event), LOSS_RING_FULL_CONNECTION);
	connection->unremarkable.count = 0;
	connection->unremarkable.told = event.end;
}

/* What is held is an exchange that has ended. */
static __always_inline void let_go(struct connection *connection)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&untold, &zero);

	connection->unremarkable.held = HELD_NOTHING;
	connection->unremarkable.count += 1;
	if (count)
		*count += 1;
}

/* Tells what is held. */
static __noinline void tell_held(struct sock *sk, struct connection *connection)
{
	struct held_exchange *held = bpf_sk_storage_get(&held_exchanges, sk, 0, 0);
	__u8 state = connection->unremarkable.held;
	__u32 size;

	connection->unremarkable.held = HELD_NOTHING;
	if (!held)
		return;
	tell_settled(connection, held->begin[INBOUND], held->begin[OUTBOUND], held->request.event.retransmits);
	size = sizeof(struct data_event) + held->request.event.captured;
	asm volatile("" : "+r"(size));
	if (size <= sizeof(held->request) && !tell(&held->request, size, LOSS_RING_FULL_DATA))
		mark_torn(connection);
	if (state == HELD_REQUEST) {
		connection->unremarkable.open = 1;
		return;
	}
	size = sizeof(struct data_event) + held->response.event.captured;
	asm volatile("" : "+r"(size));
	if (size <= sizeof(held->response) && !tell(&held->response, size, LOSS_RING_FULL_DATA))
		mark_torn(connection);
}

static __always_inline void release_held(struct sock *sk, struct connection *connection)
{
	if (likely(!connection->unremarkable.held) || !begin_unremarkable(connection))
		return;
	if (connection->unremarkable.held)
		tell_held(sk, connection);
	end_unremarkable(connection);
}

/* The connection ends. */
static __always_inline void end_held(struct sock *sk, struct connection *connection)
{
	if (likely(!connection->unremarkable.held) || !begin_unremarkable(connection))
		return;
	if (connection->unremarkable.held == HELD_EXCHANGE) {
		let_go(connection);
		tell_settled(connection, connection->streams[INBOUND].next, connection->streams[OUTBOUND].next, 0);
	} else if (connection->unremarkable.held == HELD_REQUEST) {
		tell_held(sk, connection);
	}
	end_unremarkable(connection);
}

/* Whether these are the head of one request with a method that has no body, and nothing else. Others could hide behind it,
 * which would be answered too. */
__noinline int is_one_head(struct scratch *scratch, __u32 count)
{
	const __u32 ending = WORD('\r', '\n', '\r', '\n');
	__u32 last, word;

	if (!scratch || count < 16 || count > HELD_REQUEST_BYTES)
		return 0;
	last = bounded(count - 4);
	word = *(__u32 *)scratch->bytes;
	if (*(__u32 *)(scratch->bytes + last) != ending)
		return 0;
	if (word != WORD('G', 'E', 'T', ' ') && word != WORD('H', 'E', 'A', 'D') && word != WORD('D', 'E', 'L', 'E') &&
	    word != WORD('O', 'P', 'T', 'I'))
		return 0;
	/* Four bytes in a row are at one of these places. */
	for (__u32 at = 4; at < HELD_REQUEST_BYTES; at += 4) {
		const __u8 *place = scratch->bytes + at;

		if (at >= last)
			break;
		if (*place != '\r' && *place != '\n')
			continue;
		if (*(__u32 *)place == ending || *(__u32 *)(place - 1) == ending || *(__u32 *)(place - 2) == ending ||
		    *(__u32 *)(place - 3) == ending)
			return 0;
	}
	return 1;
}

static __always_inline bool is_response(const __u8 *bytes, __u32 count)
{
	const __u32 *words = (const __u32 *)bytes;

	return count >= 13 && words[0] == WORD('H', 'T', 'T', 'P') && (words[1] & 0xffffff) == WORD('/', '1', '.', 0);
}

static __noinline bool hold_request(struct sock *sk, struct connection *connection, struct scratch *scratch)
{
	struct held_exchange *held = bpf_sk_storage_get(&held_exchanges, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	__u32 size = sizeof(struct data_event) + scratch->event.captured;
	__u64 inbound = connection->streams[INBOUND].next, outbound = connection->streams[OUTBOUND].next;

	if (scratch->event.direction == INBOUND)
		inbound = scratch->event.offset;
	else
		outbound = scratch->event.offset;
	if (connection->unremarkable.held == HELD_EXCHANGE) {
		let_go(connection);
		if ((__s64)(scratch->event.end - connection->unremarkable.told) > (__s64)SETTLED_EVERY)
			tell_settled(connection, inbound, outbound, scratch->event.retransmits);
	} else if (!connection->unremarkable.told) {
		connection->unremarkable.told = scratch->event.end;
	}
	asm volatile("" : "+r"(size));
	if (!held || size > sizeof(held->request) || bpf_probe_read_kernel(&held->request, size, &scratch->event)) {
		tell_settled(connection, inbound, outbound, scratch->event.retransmits);
		return false;
	}
	held->begin[INBOUND] = inbound;
	held->begin[OUTBOUND] = outbound;
	connection->unremarkable.held = HELD_REQUEST;
	return true;
}

static __noinline bool hold_response(struct sock *sk, struct connection *connection, struct scratch *scratch)
{
	struct held_exchange *held = bpf_sk_storage_get(&held_exchanges, sk, 0, 0);
	__u32 size = sizeof(struct data_event) + scratch->event.captured;
	__u64 began;

	if (!held)
		return false;
	/* A read may have waited for its first byte since long before. */
	began = held->request.event.direction == OUTBOUND ? held->request.event.start : 0;
	if (!began)
		began = held->request.event.end;
	if (scratch->event.end - began >= remarkable_after)
		return false;
	asm volatile("" : "+r"(size));
	if (size > sizeof(held->response) || bpf_probe_read_kernel(&held->response, size, &scratch->event))
		return false;
	connection->unremarkable.held = HELD_EXCHANGE;
	return true;
}

/* A transfer is told, and so is what was before it. */
static __noinline void on_told(struct sock *sk, struct connection *connection, struct scratch *scratch, bool is_request)
{
	struct unremarkable *state = &connection->unremarkable;
	bool begins = may_begin_message(scratch->bytes, scratch->event.captured);

	if (state->held == HELD_EXCHANGE && is_request && begins && !has_unseen(sk, connection, !scratch->event.direction)) {
		__u64 inbound = connection->streams[INBOUND].next, outbound = connection->streams[OUTBOUND].next;

		let_go(connection);
		if (scratch->event.direction == INBOUND)
			inbound = scratch->event.offset;
		else
			outbound = scratch->event.offset;
		tell_settled(connection, inbound, outbound, scratch->event.retransmits);
	} else if (state->held) {
		tell_held(sk, connection);
	}
	if (is_request) {
		state->open += begins && state->open < 100;
		state->is_torn = 0;
	} else if (is_response(scratch->bytes, scratch->event.captured) && scratch->bytes[9] != '1') {
		/* One that is seen before its request, unless the request is older than the programs. */
		if (state->open > 0 || connection->streams[!scratch->event.direction].started)
			state->open -= state->open > -100;
	}
	state->told = scratch->event.end;
}

/* Whether the transfer in the scratch is not told now. */
static __always_inline bool is_held_back(struct sock *sk, struct connection *connection, struct scratch *scratch)
{
	struct unremarkable *state = &connection->unremarkable;
	struct data_event *event = &scratch->event;
	bool is_whole = event->captured == event->length, is_held = false, is_request;

	if (!remarkable_after || !begin_unremarkable(connection))
		return false;
	is_request = (event->direction == INBOUND) == (connection->role == ROLE_SERVER);
	if (is_request) {
		if (unlikely(state->open) && (__s64)(event->end - state->told) > (__s64)ANSWERED_AFTER)
			state->open = 0;
		if (is_whole && state->held != HELD_REQUEST && !state->open && !state->is_torn &&
		    !has_unseen(sk, connection, !event->direction) && is_one_head(scratch, event->captured))
			is_held = hold_request(sk, connection, scratch);
	} else if (is_whole && state->held == HELD_REQUEST && is_response(scratch->bytes, event->captured) &&
		   (scratch->bytes[9] == '2' || scratch->bytes[9] == '3')) {
		is_held = hold_response(sk, connection, scratch);
	}
	if (!is_held)
		on_told(sk, connection, scratch, is_request);
	end_unremarkable(connection);
	return is_held;
}

#endif

#endif
