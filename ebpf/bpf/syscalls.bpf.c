/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tier B, for kernels without the tracepoints of tier A: every system call that may move bytes, its socket found by a walk
 * from the file descriptor. */
#define TIER_B
#include "transfer.h"
#include "states.h"
#include "processes.h"
#include "existing.h"

struct call {
	__u64 number; /* plus one; 0 means none */
	__u64 descriptor;
	__u64 second;
	__u64 third;
	__u64 fourth;
	__u64 start;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

/* Which way a call moves bytes; negative for a call that moves none. */
static __always_inline int direction_of(long number)
{
	switch (number) {
#if defined(__TARGET_ARCH_x86)
	case 0: case 19: case 45: case 47: case 299: case 327:
		return INBOUND;
	case 1: case 20: case 40: case 44: case 46: case 307: case 328:
		return OUTBOUND;
#else
	case 63: case 65: case 207: case 212: case 243: case 286:
		return INBOUND;
	case 64: case 66: case 71: case 206: case 211: case 269: case 287:
		return OUTBOUND;
#endif
	}
	return -1;
}

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
static __always_inline bool is_32_bit(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status & TS_COMPAT;
#else
	return task->thread_info.flags & TIF_32BIT;
#endif
}

/* The number of the call that ends. */
static __always_inline long number_of(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax;
#else
	return regs->syscallno;
#endif
}

SEC("tp_btf/sys_enter")
int BPF_PROG(call_begins, struct pt_regs *regs, long number)
{
	struct call *call;

	if (direction_of(number) < 0 || is_32_bit() || !is_watched(bpf_get_current_pid_tgid() >> 32))
		return 0;
	call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		count_loss(LOSS_TASK_STATE);
		return 0;
	}
	call->number = number + 1;
#if defined(__TARGET_ARCH_x86)
	call->descriptor = regs->di;
	call->second = regs->si;
	call->third = regs->dx;
	call->fourth = regs->r10;
#else
	call->descriptor = regs->regs[0];
	call->second = regs->regs[1];
	call->third = regs->regs[2];
	call->fourth = regs->regs[3];
#endif
	call->start = bpf_ktime_get_ns();
	return 0;
}

static __always_inline struct sock *socket_at(__u64 descriptor)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = task->files->fdt;
	struct file **files, *file = NULL;
	struct socket *socket;

	if (!table || descriptor >= table->max_fds)
		return NULL;
	files = table->fd;
	if (bpf_probe_read_kernel(&file, sizeof(file), files + (descriptor & 0x3fffffff)) || !file)
		return NULL;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

static __always_inline __u64 receive_flags(const struct call *call)
{
	switch (call->number - 1) {
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
	struct transfer transfer = {};
	struct connection *connection;
	struct call *call;
	struct tcp_sock *tcp;
	struct sock *sk;
	__u64 thread, flags;
	int direction = direction_of(number_of(regs));

	/* Most calls end here, without anything looked up. */
	if (direction < 0 || result <= 0 || is_32_bit())
		return 0;
	call = bpf_task_storage_get(&calls, bpf_get_current_task_btf(), 0, 0);
	if (!call || call->number != number_of(regs) + 1)
		return 0;
	flags = receive_flags(call);
	if (flags & ASIDE)
		goto end;
	sk = socket_at(call->descriptor);
	if (!sk || !is_tcp(sk))
		goto end;
	connection = connection_or_new(sk);
	if (!connection || connection->ignored)
		goto end;
	tcp = (struct tcp_sock *)sk;
	transfer.direction = direction;
	transfer.length = result;
	if (direction == INBOUND)
		transfer.sequence = received_until(BPF_CORE_READ(tcp, copied_seq), BPF_CORE_READ(tcp, rcv_nxt),
						   BPF_CORE_READ(sk, __sk_common.skc_flags));
	else
		transfer.sequence = BPF_CORE_READ(tcp, write_seq);
	transfer.round_trip = BPF_CORE_READ(tcp, srtt_us) >> 3;
	transfer.retransmits = BPF_CORE_READ(tcp, total_retrans);
	transfer.start = call->start;
	find_buffers(&transfer.buffers, call->number - 1, call->second, call->third);
	if (flags & MSG_TRUNC)
		transfer.buffers.is_opaque = 1;
	if (call->number - 1 == RECVMMSG || call->number - 1 == SENDMMSG) {
		transfer.length = length_of_messages(call->second, result);
		transfer.buffers.is_opaque |= result != 1;
		if (!transfer.length)
			goto end;
	}
	thread = bpf_get_current_pid_tgid();
	on_transfer(sk, connection, &transfer, thread >> 32, (__u32)thread);
end:
	call->number = 0;
	return 0;
}

char dual_license[] SEC("license") = "Dual MIT/GPL";
