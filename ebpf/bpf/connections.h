/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What is known of a connection, and how it is announced. */
#ifndef SLUICE_CONNECTIONS_H
#define SLUICE_CONNECTIONS_H

#include "settings.h"

struct stream {
	__u64 next;          /* place of the byte after the last one moved */
	__u64 capture_until; /* content before this place is captured */
	__u32 sequence;      /* TCP's number for `next` */
	__u32 started;
};

/* Exchanges on the connection that are not told, as `unremarkable.h` has it. */
struct unremarkable {
	__u32 busy;
	__u8 held;
	__s8 open;     /* requests that were told, less responses */
	__u8 is_torn;  /* user space does not have all that was told */
	__u8 padding;
	__u32 count;   /* not told since something was */
	__u64 told;    /* when something was told last */
};

struct connection {
	__u64 id;
	__u32 tgid;
	__u8 role;
	__u8 protocol;
	__u8 announced;
	__u8 ignored;
	__u8 unrecognised; /* calls that looked like no message */
	__u8 fresh;
	__u16 peer_port; /* as TCP has it */
	struct stream streams[2]; /* by direction */
	__u64 connect_start;
	__u64 cgroup;
#ifndef TIER_B
	struct unremarkable unremarkable;
#endif
};

/* Calls without a message start after which a connection is taken for something other than HTTP. */
#define RECOGNISE_WITHIN 8

#ifdef TIER_B
/* Here sockets are found through a walk that the verifier does not follow, so socket storage is out of reach. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct connection);
} connections SEC(".maps");
#else
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");
#endif

struct identity {
	__u64 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct identity);
} identities SEC(".maps");

/* A number that no other connection of this run has: the processor's, then a count. */
static __always_inline __u64 new_id(void)
{
	__u32 zero = 0;
	struct identity *identity = bpf_map_lookup_elem(&identities, &zero);

	if (!identity)
		return 0;
	identity->last += 1;
	return ((__u64)bpf_get_smp_processor_id() + 1) << 48 | identity->last;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

/* Ports as TCP has them: the local one is of the host's order, the peer's of the network's. */
static __always_inline bool is_watched_port(__u16 local, __u16 network_peer)
{
	__u16 peer = bpf_ntohs(network_peer);

	if (!port_count)
		return true;
	for (int i = 0; i < MAX_PORTS; i++) {
		if (i >= port_count)
			return false;
		if (ports[i] == local || ports[i] == peer)
			return true;
	}
	return false;
}

/* Whether its ports leave a socket out, before what is stored of it is looked up, which takes longer. One that TCP has closed may
 * have lost its own port and still hold something to read. */
static __always_inline bool is_left_out(__u16 local, __u16 network_peer)
{
	return local && !is_watched_port(local, network_peer);
}

static __always_inline bool has_watched_port(struct sock *sk)
{
	return is_watched_port(BPF_CORE_READ(sk, __sk_common.skc_num), BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* What is stored for the socket. */
static __always_inline struct connection *stored_connection(struct sock *sk)
{
#ifdef TIER_B
	__u64 key = (__u64)sk;

	return bpf_map_lookup_elem(&connections, &key);
#else
	return bpf_sk_storage_get(&connections, sk, 0, 0);
#endif
}

static __always_inline struct connection *connection_of(struct sock *sk)
{
	struct connection *connection = stored_connection(sk);

#ifdef TIER_B
	/* The kernel skips a program that it would run inside itself, so the end of the last one here may be unknown. */
	if (connection && connection->peer_port != BPF_CORE_READ(sk, __sk_common.skc_dport))
		return NULL;
#endif
	return connection;
}

static __always_inline void forget_connection(struct sock *sk)
{
#ifdef TIER_B
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&connections, &key);
#else
	bpf_sk_storage_delete(&connections, sk);
#endif
}

static __noinline void begin_connection(struct connection *connection, struct sock *sk)
{
	connection->id = new_id();
	connection->peer_port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	connection->ignored = !has_watched_port(sk);
	/* A socket that was accepted inherits the backlog of the one that listened. */
	connection->role = BPF_CORE_READ(sk, sk_max_ack_backlog) ? ROLE_SERVER : ROLE_CLIENT;
}

static __always_inline struct connection *connection_or_new(struct sock *sk)
{
	struct connection *connection;
#ifdef TIER_B
	__u64 key = (__u64)sk;
	struct connection none = {};

	connection = connection_of(sk);
	if (!connection) {
		bpf_map_update_elem(&connections, &key, &none, BPF_ANY);
		connection = bpf_map_lookup_elem(&connections, &key);
	}
#else
	connection = bpf_sk_storage_get(&connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
#endif
	if (unlikely(!connection)) {
		count_loss(LOSS_SOCKET_STATE);
		return NULL;
	}
	if (unlikely(!connection->id))
		begin_connection(connection, sk);
	return connection;
}

/* From here on every byte is accounted for. */
static __always_inline void begin_streams(struct connection *connection, struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	if (!is_complete())
		return;
	connection->fresh = 1;
	connection->streams[INBOUND].sequence = BPF_CORE_READ(tcp, copied_seq);
	connection->streams[INBOUND].started = 1;
	connection->streams[OUTBOUND].sequence = BPF_CORE_READ(tcp, write_seq);
	connection->streams[OUTBOUND].started = 1;
}

static __always_inline void read_ends(struct connection_event *event, struct sock *sk)
{
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	event->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	event->network_namespace = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (event->family == AF_INET) {
		__u32 local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		__u32 peer = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		__builtin_memcpy(event->local, &local, sizeof(local));
		__builtin_memcpy(event->peer, &peer, sizeof(peer));
	} else {
		BPF_CORE_READ_INTO(&event->local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&event->peer, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
}

/* Notes which process uses the connection; only ever called in its own context. */
static __always_inline void set_owner(struct connection *connection, __u32 tgid)
{
	if (connection->tgid == tgid)
		return;
	connection->tgid = tgid;
	connection->cgroup = bpf_get_current_cgroup_id();
	connection->announced = 0;
}

static __noinline void tell_connection(struct connection *connection, struct sock *sk)
{
	struct connection_event event = {};

	event.kind = KIND_CONNECTION;
	event.role = connection->role;
	event.fresh = connection->fresh;
	event.tgid = connection->tgid;
	event.socket = connection->id;
	event.time = bpf_ktime_get_ns();
	event.cgroup = connection->cgroup;
	read_ends(&event, sk);
	connection->announced = tell(&event, sizeof(event), LOSS_RING_FULL_CONNECTION);
}

/* Tells who is connected to whom, once; again if there was no room for it. */
static __always_inline void announce(struct connection *connection, struct sock *sk)
{
	if (unlikely(!connection->announced))
		tell_connection(connection, sk);
}

#endif
