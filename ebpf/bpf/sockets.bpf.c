/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tier A: the kernel itself tells how much was sent or received on a socket. No system call is hooked. */

#include "transfer.h"
#include "states.h"
#include "processes.h"
#include "existing.h"

struct call {
	__u64 start;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

/* Set if `stamp` is attached: calls have a begin. */
const volatile __u8 time_calls = 0;

static __always_inline __u64 call_start(void)
{
	struct call *call;

	if (!time_calls)
		return 0;
	call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), 0, 0);
	return call ? call->start : 0;
}

static __always_inline int on_socket(struct sock *sk, int result, int flags, __u8 direction)
{
	struct transfer transfer = {};
	struct connection *connection;
	struct tcp_sock *tcp;
	struct pt_regs *regs;
	__u64 thread;

	if (result <= 0 || (flags & ASIDE && direction == INBOUND))
		return 0;
	if ((sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6) ||
	    sk->sk_protocol != IPPROTO_TCP)
		return 0;
	thread = bpf_get_current_pid_tgid();
	if (!is_watched(thread >> 32))
		return 0;
	connection = connection_or_new(sk);
	if (!connection || connection->ignored)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	transfer.direction = direction;
	transfer.length = result;
	transfer.sequence = direction == INBOUND ? received_until(tcp->copied_seq, tcp->rcv_nxt, sk->__sk_common.skc_flags) : tcp->write_seq;
	transfer.round_trip = tcp->srtt_us >> 3;
	transfer.retransmits = tcp->total_retrans;
	transfer.start = call_start();
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
#if defined(__TARGET_ARCH_x86)
	find_buffers(&transfer.buffers, regs->orig_ax, regs->si, regs->dx);
#else
	find_buffers(&transfer.buffers, (__u32)regs->syscallno, regs->regs[1], regs->regs[2]);
#endif
	if (flags & MSG_TRUNC && direction == INBOUND)
		transfer.buffers.is_opaque = 1;
	on_transfer(sk, connection, &transfer, thread >> 32, (__u32)thread);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_length, struct sock *sk, int result, int flags)
{
	return on_socket(sk, result, flags, OUTBOUND);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(receive_length, struct sock *sk, int result, int flags)
{
	return on_socket(sk, result, flags, INBOUND);
}

/* Optional: notes when a call that may move bytes begins. */
SEC("tp_btf/sys_enter")
int BPF_PROG(stamp, struct pt_regs *regs, long number)
{
	struct call *call;

	switch (number) {
#if defined(__TARGET_ARCH_x86)
	case 0: case 1: case 19: case 20: case 40: case 44: case 45: case 46: case 47: case 299: case 307:
#else
	case 63: case 64: case 65: case 66: case 71: case 206: case 207: case 211: case 212: case 243: case 269:
#endif
		break;
	default:
		return 0;
	}
	if (!is_watched(bpf_get_current_pid_tgid() >> 32))
		return 0;
	call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (call)
		call->start = bpf_ktime_get_ns();
	else
		count_loss(LOSS_TASK_STATE);
	return 0;
}

char dual_license[] SEC("license") = "Dual MIT/GPL";
