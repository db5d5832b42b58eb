/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Connections that are older than the programs: an iterator over all open files, read once at start. */
#ifndef SLUICE_EXISTING_H
#define SLUICE_EXISTING_H

#include "connections.h"

SEC("iter/task_file")
int existing(struct bpf_iter__task_file *context)
{
	struct connection_event event = {};
	struct task_struct *task = context->task;
	struct file *file = context->file;
	__u32 zero = 0, self = bpf_get_current_pid_tgid() >> 32;
	struct socket *socket;
	struct sock *sk;

	bpf_map_update_elem(&own_process, &zero, &self, BPF_ANY);
	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || !is_tcp(sk) || BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED)
		return 0;
	event.kind = KIND_CONNECTION;
	event.role = BPF_CORE_READ(sk, sk_max_ack_backlog) ? ROLE_SERVER : ROLE_CLIENT;
	event.tgid = task->tgid;
	event.time = bpf_ktime_get_ns();
	read_ends(&event, sk);
	bpf_seq_write(context->meta->seq, &event, sizeof(event));
	return 0;
}

#endif
