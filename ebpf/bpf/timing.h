/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Which system calls may move bytes, and, where that is asked for, when each of them began. Both tiers have this program. */
#ifndef SLUICE_TIMING_H
#define SLUICE_TIMING_H

#include "settings.h"

/* Set if `stamp` is attached: calls have a begin. */
const volatile __u8 time_calls = 0;

struct call {
	__u64 number;
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

/* When the call with this number began that the thread is in; 0 if that is not known. */
static __always_inline __u64 call_start(struct task_struct *task, __u64 number)
{
	struct call *call;

	if (!time_calls)
		return 0;
	call = bpf_task_storage_get(&calls, task, 0, 0);
	return call && call->number == number ? call->start : 0;
}

/* Optional, since it runs at every system call of the host. */
SEC("tp_btf/sys_enter")
int BPF_PROG(stamp, struct pt_regs *regs, long number)
{
	struct task_struct *task;
	struct call *call;

	if (direction_of(number) < 0)
		return 0;
	task = bpf_get_current_task_btf();
	if (!is_watched(task->tgid))
		return 0;
	call = bpf_task_storage_get(&calls, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		count_loss(LOSS_TASK_STATE);
		return 0;
	}
	call->number = number;
	call->start = bpf_ktime_get_ns();
	return 0;
}

#endif
