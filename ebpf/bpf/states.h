/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Connections that open, close, lose segments or are reset. Both tiers have these programs. */
#ifndef SLUICE_STATES_H
#define SLUICE_STATES_H

#include "unremarkable.h"

static __always_inline void tell_socket(struct connection *connection, struct sock *sk, struct socket_event *event)
{
	event->tgid = connection->tgid;
	event->socket = connection->id;
	event->end = bpf_ktime_get_ns();
	event->round_trip = BPF_CORE_READ((struct tcp_sock *)sk, srtt_us) >> 3;
	event->retransmits = BPF_CORE_READ((struct tcp_sock *)sk, total_retrans);
	tell(event, sizeof(*event), LOSS_RING_FULL_CONNECTION);
}

static __always_inline void end_connection(struct sock *sk)
{
	struct socket_event event = { .kind = KIND_CLOSE };
	struct connection *connection = stored_connection(sk);

	if (!connection)
		return;
	event.extents[INBOUND] = connection->streams[INBOUND].next;
	event.extents[OUTBOUND] = connection->streams[OUTBOUND].next;
	if (connection->announced && !connection->ignored) {
		end_held(sk, connection);
		tell_socket(connection, sk, &event);
	}
	forget_connection(sk);
}

static __always_inline void on_connecting(struct sock *sk)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct connection *connection;

	/* A socket may connect again. */
	end_connection(sk);
	if (!is_watched(tgid))
		return;
	connection = connection_or_new(sk);
	if (!connection || connection->ignored)
		return;
	connection->role = ROLE_CLIENT;
	set_owner(connection, tgid);
	connection->connect_start = bpf_ktime_get_ns();
}

/* Who accepts it is not known yet: this runs when the last packet of the handshake arrives. */
static __always_inline void on_accepted(struct sock *sk)
{
	struct connection *connection = connection_or_new(sk);

	if (!connection)
		return;
	connection->role = ROLE_SERVER;
	begin_streams(connection, sk);
}

static __always_inline void on_connect_result(struct connection *connection, struct sock *sk, __u8 failed)
{
	struct socket_event event = { .kind = KIND_CONNECT, .failed = failed, .start = connection->connect_start };

	if (!connection->connect_start)
		return;
	connection->connect_start = 0;
	if (failed)
		event.reason = BPF_CORE_READ(sk, sk_err);
	else
		begin_streams(connection, sk);
	announce(connection, sk);
	tell_socket(connection, sk, &event);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int old_state, int new_state)
{
	struct connection *connection;

	if (!is_tcp(sk))
		return 0;
	if (old_state == TCP_CLOSE && new_state == TCP_SYN_SENT) {
		on_connecting(sk);
		return 0;
	}
	if (old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED) {
		on_accepted(sk);
		return 0;
	}
	if (old_state != TCP_SYN_SENT)
		return 0;
	connection = connection_of(sk);
	if (connection && !connection->ignored)
		on_connect_result(connection, sk, new_state != TCP_ESTABLISHED);
	return 0;
}

/* Not at the change to CLOSE: what has arrived by then may still be read. */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy, struct sock *sk)
{
	end_connection(sk);
	return 0;
}

static __always_inline int on_incident(struct sock *sk, __u8 kind, __u8 received, __u16 reason)
{
	struct socket_event event = { .kind = kind, .failed = received, .reason = reason };
	struct connection *connection = connection_of(sk);

	if (connection && connection->announced && !connection->ignored)
		tell_socket(connection, sk, &event);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit, struct sock *sk)
{
	return on_incident(sk, KIND_RETRANSMIT, 0, 0);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(receive_reset, struct sock *sk)
{
	return on_incident(sk, KIND_RESET, 1, 0);
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(send_reset, struct sock *sk)
{
	/* It is null where no connection is meant. */
	return sk ? on_incident(sk, KIND_RESET, 0, 0) : 0;
}

/* Reasons up to this one stand for packets that were consumed, or say nothing. */
#define DROP_NOT_SPECIFIED 2

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop, struct sk_buff *skb, void *location, int reason)
{
	struct sock *sk;

	if (reason <= DROP_NOT_SPECIFIED)
		return 0;
	sk = skb->sk;
	return sk ? on_incident(sk, KIND_DROP, 0, reason) : 0;
}

/* A packet that arrived belongs to no socket yet: later kernels (6.11) say for which one it was. */
SEC("tp_btf/kfree_skb")
int BPF_PROG(drop_received, struct sk_buff *skb, void *location, int reason, struct sock *receiver)
{
	if (reason <= DROP_NOT_SPECIFIED || !receiver || skb->sk)
		return 0;
	return on_incident(receiver, KIND_DROP, 0, reason);
}

#endif
