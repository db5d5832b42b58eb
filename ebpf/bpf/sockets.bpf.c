/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tier A: the kernel itself tells how much was sent or received on a socket. No system call is hooked. */

#include "transfer.h"
#include "timing.h"
#include "states.h"
#include "processes.h"
#include "existing.h"

static __always_inline int on_socket(struct sock *sk, int result, int flags, __u8 direction)
{
	struct transfer transfer = {};
	struct connection *connection;
	struct task_struct *task;
	struct tcp_sock *tcp;
	struct pt_regs *regs;

	if (result <= 0 || (flags & ASIDE && direction == INBOUND))
		return 0;
	if ((sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6) ||
	    sk->sk_protocol != IPPROTO_TCP)
		return 0;
	task = bpf_get_current_task_btf();
	transfer.tgid = task->tgid;
	if (!is_watched(transfer.tgid) || unlikely(!is_complete()))
		return 0;
	if (is_left_out(sk->__sk_common.skc_num, sk->__sk_common.skc_dport))
		return 0;
	connection = connection_or_new(sk);
	if (!connection || connection->ignored)
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	transfer.thread = task->pid;
	transfer.direction = direction;
	transfer.length = result;
	transfer.sequence = direction == INBOUND ? received_until(tcp->copied_seq, tcp->rcv_nxt, sk->__sk_common.skc_flags) : tcp->write_seq;
	transfer.round_trip = tcp->srtt_us >> 3;
	transfer.retransmits = tcp->total_retrans;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
#if defined(__TARGET_ARCH_x86)
	transfer.start = call_start(task, regs->orig_ax);
	find_buffers(&transfer.buffers, regs->orig_ax, regs->si, regs->dx);
#else
	transfer.start = call_start(task, (__u32)regs->syscallno);
	find_buffers(&transfer.buffers, (__u32)regs->syscallno, regs->regs[1], regs->regs[2]);
#endif
	if (flags & MSG_TRUNC && direction == INBOUND)
		transfer.buffers.is_opaque = 1;
	on_transfer(sk, connection, &transfer);
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

char dual_license[] SEC("license") = "Dual MIT/GPL";
