/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Processes that begin and end. Both tiers have these programs. */
#ifndef SLUICE_PROCESSES_H
#define SLUICE_PROCESSES_H

#include "settings.h"

static __always_inline void fill_process(struct process_event *event, __u8 kind, __u32 tgid, __u32 parent)
{
	event->kind = kind;
	event->tgid = tgid;
	event->parent = parent;
	event->cgroup = bpf_get_current_cgroup_id();
	event->time = bpf_ktime_get_ns();
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct process_event event = {};
	__u32 tgid = child->tgid, from = parent->tgid;
	__u8 *verdict;

	if (tgid == from)
		return 0;
	/* What is still known is of a process that had this number before. */
	forget_verdict(tgid);
	verdict = bpf_map_lookup_elem(&processes, &from);
	if (verdict) {
		__u8 inherited = *verdict;

		bpf_map_update_elem(&processes, &tgid, &inherited, BPF_ANY);
	}
	fill_process(&event, KIND_FORK, tgid, from);
	tell(&event, sizeof(event), LOSS_RING_FULL_PROCESS);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct execute_event);
} execute_scratches SEC(".maps");

/* The name and the arguments are read here: a process may be gone before user space can look. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_execute, struct task_struct *task, int old_pid, struct linux_binprm *program)
{
	__u32 processor = bpf_get_smp_processor_id();
	__u32 tgid = task->tgid;
	struct execute_event *event = bpf_map_lookup_elem(&execute_scratches, &processor);
	__u64 begin, length;
	long name;

	if (!event)
		return 0;
	/* What the program was before says nothing of what it is now. */
	forget_verdict(tgid);
	fill_process(&event->process, KIND_EXECUTE, tgid, task->real_parent->tgid);
	name = bpf_probe_read_kernel_str(event->text, MAX_FILE_NAME, program->filename);
	if (name < 0 || name > MAX_FILE_NAME)
		name = 0;
	begin = task->mm->arg_start;
	length = task->mm->arg_end - begin;
	if (length > MAX_ARGUMENTS)
		length = MAX_ARGUMENTS;
	if (bpf_probe_read_user(event->text + name, length, (void *)begin))
		length = 0;
	event->process.file_name_length = name;
	event->process.arguments_length = length;
	tell(event, sizeof(event->process) + (name & 511) + (length & 1023), LOSS_RING_FULL_PROCESS);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct process_event event = {};
	__u32 tgid = task->tgid;

	/* The first thread may end before others, or because another one runs a new program. */
	if (task->signal->live.counter > 0)
		return 0;
	forget_verdict(tgid);
	fill_process(&event, KIND_EXIT, tgid, 0);
	tell(&event, sizeof(event), LOSS_RING_FULL_PROCESS);
	return 0;
}

#endif
