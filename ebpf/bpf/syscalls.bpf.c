/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tier B, for kernels without the tracepoints of tier A: the end of every system call that may move bytes, its socket found
 * by a walk from the file descriptor. */
#define TIER_B
#include "transfer.h"
#include "timing.h"
#include "states.h"
#include "processes.h"
#include "existing.h"

/* The call that ends: its number and arguments are still in the registers that it was made with. */
struct call_made {
	__u64 number;
	__u64 descriptor;
	__u64 second;
	__u64 third;
	__u64 fourth;
};

/* Messages of one call whose lengths are added up; offsets show what is missing. */
#define MAX_MESSAGES 64

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 2
#define RECVFROM 45
#define RECVMSG 47
#define RECVMMSG 299
#define SENDMMSG 307
#else
#define TIF_32BIT (1UL << 22)
#define RECVFROM 207
#define RECVMSG 212
#define RECVMMSG 243
#define SENDMMSG 269
#endif

/* What a call's number and arguments mean differs for 32-bit programs. */
static __always_inline bool is_32_bit(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status & TS_COMPAT;
#else
	return task->thread_info.flags & TIF_32BIT;
#endif
}

static __always_inline struct call_made read_call(const struct pt_regs *regs)
{
	struct call_made call;

#if defined(__TARGET_ARCH_x86)
	call.number = regs->orig_ax;
	call.descriptor = regs->di;
	call.second = regs->si;
	call.third = regs->dx;
	call.fourth = regs->r10;
#else
	call.number = regs->syscallno;
	/* The result has taken the place of the first argument. */
	call.descriptor = regs->orig_x0;
	call.second = regs->regs[1];
	call.third = regs->regs[2];
	call.fourth = regs->regs[3];
#endif
	return call;
}

/* The beginnings of structures that are read at once, if what is wanted is in them: it takes hardly longer than one field. */
#define FILE_BYTES 48
#define SOCKET_BYTES 128

#define field_at(bytes, structure, field) (*(typeof(((structure *)0)->field) *)((bytes) + bpf_core_field_offset(structure, field)))

static __always_inline struct sock *socket_at(struct task_struct *task, __u64 descriptor)
{
	struct fdtable *table = task->files->fdt;
	struct file **files, *file = NULL;
	struct socket *socket;
	struct inode *inode;

	if (!table || descriptor >= table->max_fds)
		return NULL;
	files = table->fd;
	if (bpf_probe_read_kernel(&file, sizeof(file), files + (descriptor & 0x3fffffff)) || !file)
		return NULL;
	if (bpf_core_field_offset(struct file, private_data) + sizeof(socket) <= FILE_BYTES &&
	    bpf_core_field_offset(struct file, f_inode) + sizeof(inode) <= FILE_BYTES) {
		__u8 bytes[FILE_BYTES];

		if (bpf_probe_read_kernel(bytes, sizeof(bytes), file))
			return NULL;
		socket = field_at(bytes, struct file, private_data);
		inode = field_at(bytes, struct file, f_inode);
	} else {
		socket = BPF_CORE_READ(file, private_data);
		inode = BPF_CORE_READ(file, f_inode);
	}
	if (!socket || (BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	return BPF_CORE_READ(socket, sk);
}

/* What is read of any socket. */
struct common {
	__be16 peer_port;
	__u16 local_port;
	__u16 family;
	unsigned long flags;
};

static __always_inline bool read_common(struct common *common, struct sock *sk)
{
	__u8 bytes[SOCKET_BYTES];

	if (bpf_core_field_offset(struct sock_common, skc_flags) + sizeof(common->flags) > SOCKET_BYTES) {
		common->flags = BPF_CORE_READ(sk, __sk_common.skc_flags);
		common->peer_port = BPF_CORE_READ(sk, __sk_common.skc_dport);
		common->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
		common->family = BPF_CORE_READ(sk, __sk_common.skc_family);
		return true;
	}
	if (bpf_probe_read_kernel(bytes, sizeof(bytes), sk))
		return false;
	common->peer_port = field_at(bytes, struct sock_common, skc_dport);
	common->local_port = field_at(bytes, struct sock_common, skc_num);
	common->family = field_at(bytes, struct sock_common, skc_family);
	common->flags = field_at(bytes, struct sock_common, skc_flags);
	return true;
}

static __always_inline __u64 receive_flags(const struct call_made *call)
{
	switch (call->number) {
	case RECVFROM:
	case RECVMMSG:
		return call->fourth;
	case RECVMSG:
		return call->third;
	}
	return 0;
}

/* The result of a call for several messages counts them; each holds its own length. */
static __always_inline __u32 length_of_messages(__u64 messages, __u32 count)
{
	__u32 total = 0, length;

	for (int i = 0; i < MAX_MESSAGES; i++) {
		__u64 place = messages + i * sizeof(struct user_message) + offsetof(struct user_message, length);

		if (i >= count || bpf_probe_read_user(&length, sizeof(length), (void *)place))
			break;
		total += length;
	}
	return total;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_ends, struct pt_regs *regs, long result)
{
	struct call_made call = read_call(regs);
	struct transfer transfer = {};
	struct connection *connection;
	struct task_struct *task;
	struct common common;
	struct tcp_sock *tcp;
	struct sock *sk;
	__u64 flags;
	int direction = direction_of(call.number);

	/* Most calls end here, without anything looked up. */
	if (direction < 0 || result <= 0)
		return 0;
	task = bpf_get_current_task_btf();
	transfer.tgid = task->tgid;
	if (is_32_bit(task) || !is_watched(transfer.tgid))
		return 0;
	flags = receive_flags(&call);
	if (flags & ASIDE)
		return 0;
	sk = socket_at(task, call.descriptor);
	if (!sk || !read_common(&common, sk) || (common.family != AF_INET && common.family != AF_INET6))
		return 0;
	if (is_left_out(common.local_port, common.peer_port))
		return 0;
	/* Where there is one of this peer, the protocol has been looked at. */
	connection = stored_connection(sk);
	if (unlikely(!connection || connection->peer_port != common.peer_port)) {
		if (!is_tcp(sk))
			return 0;
		connection = connection_or_new(sk);
	}
	if (!connection || connection->ignored)
		return 0;
	tcp = (struct tcp_sock *)sk;
	transfer.direction = direction;
	transfer.length = result;
	if (direction == INBOUND)
		transfer.sequence = received_until(BPF_CORE_READ(tcp, copied_seq),
						   common.flags & (1 << SOCK_DONE) ? BPF_CORE_READ(tcp, rcv_nxt) : 0, common.flags);
	else
		transfer.sequence = BPF_CORE_READ(tcp, write_seq);
	transfer.round_trip = BPF_CORE_READ(tcp, srtt_us) >> 3;
	transfer.retransmits = BPF_CORE_READ(tcp, total_retrans);
	transfer.thread = task->pid;
	transfer.start = call_start(task, call.number);
	find_buffers(&transfer.buffers, call.number, call.second, call.third);
	if (flags & MSG_TRUNC)
		transfer.buffers.is_opaque = 1;
	if (call.number == RECVMMSG || call.number == SENDMMSG) {
		transfer.length = length_of_messages(call.second, result);
		transfer.buffers.is_opaque |= result != 1;
		if (!transfer.length)
			return 0;
	}
	on_transfer(sk, connection, &transfer);
	return 0;
}

char dual_license[] SEC("license") = "Dual MIT/GPL";
