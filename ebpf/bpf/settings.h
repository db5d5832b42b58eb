/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What user space sets before loading, and the maps that all programs share. */
#ifndef SLUICE_SETTINGS_H
#define SLUICE_SETTINGS_H

#include "events.h"

#define MAX_PORTS 64

/* How many bytes from the start of a message on are captured. */
const volatile __u32 capture_size = 4096;
/* Whether `processes` decides who is watched. */
const volatile __u8 filter_processes = 0;
/* If not 0, only connections with one of these ports at either end. */
const volatile __u32 port_count = 0;
const volatile __u16 ports[MAX_PORTS] = {};
/* Whether content is wanted at all. */
const volatile __u8 capture = 1;
/* If not 0, exchanges that succeed within so many nanoseconds are counted and not told. */
const volatile __u64 remarkable_after = 0;
/* How much may wait in the ring until the reader is woken; a power of two. */
const volatile __u32 wake_up_at = 128 * 1024;

enum verdict {
	VERDICT_WATCH = 1,
	VERDICT_IGNORE = 2,
};

/* Thread group to verdict. One that is missing is watched: user space decides when it hears of it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u8);
} processes SEC(".maps");

/* Verdicts of late, by the last bits of the thread group; each is the thread group and its verdict. Looking here costs a tenth
 * of what looking there does. User space writes a new verdict there first, then here; never one for our own process. */
#define RECENT 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RECENT);
	__type(key, __u32);
	__type(value, __u64);
} recent_verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* Our own thread group, as the initial namespace numbers it; found by the iterator that we run ourselves. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} own_process SEC(".maps");

#ifndef TIER_B
/* Not zero once all programs are attached: before, a request might be told and its response not. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} complete SEC(".maps");
#endif

static __always_inline bool is_complete(void)
{
#ifdef TIER_B
	/* One program tells of all transfers. */
	return true;
#else
	__u32 zero = 0;
	__u32 *flag = bpf_map_lookup_elem(&complete, &zero);

	return flag && *flag;
#endif
}

static __always_inline void count_loss(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&losses, &reason);

	if (count)
		*count += 1;
}

/*
 * Waking the reader for every event doubles a request's latency, so it is woken when what is waiting passes `wake_up_at` or a
 * multiple of it: once, not for each event until it has caught up.
 */
static __always_inline __u64 wake_up(__u64 size)
{
	/* Read in place, without the call that would tell it. */
	struct bpf_ringbuf *ring = ((struct bpf_ringbuf_map *)&events)->rb;
	__u64 waiting = ring->producer_pos - ring->consumer_pos;
	/* With the header of an event, and rounded up, as the ring takes it. */
	__u64 taken = (size + 15) & ~(__u64)7;

	return (waiting ^ (waiting + taken)) & ~((__u64)wake_up_at - 1) ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline bool tell(void *event, __u64 size, __u32 loss)
{
	if (bpf_ringbuf_output(&events, event, size, wake_up(size)) == 0)
		return true;
	count_loss(loss);
	return false;
}

static __always_inline bool is_own(__u32 tgid)
{
	__u32 zero = 0;
	__u32 *own = bpf_map_lookup_elem(&own_process, &zero);

	return own && *own == tgid;
}

static __always_inline __u64 *recent_verdict(__u32 tgid)
{
	__u32 place = tgid & (RECENT - 1);

	return bpf_map_lookup_elem(&recent_verdicts, &place);
}

static __always_inline void forget_verdict(__u32 tgid)
{
	__u64 *recent = recent_verdict(tgid), known;

	bpf_map_delete_elem(&processes, &tgid);
	if (!recent)
		return;
	known = *(volatile __u64 *)recent;
	if (known >> 32 == tgid)
		__sync_val_compare_and_swap(recent, known, 0);
}

/* Whether a process is watched of which no verdict of late is known. */
static __noinline bool is_watched_by_map(__u32 tgid, __u64 *recent, __u64 known)
{
	__u8 *verdict;

	if (is_own(tgid))
		return false;
	verdict = bpf_map_lookup_elem(&processes, &tgid);
	if (!verdict)
		return true;
	/* Not if user space has written a newer one since. */
	__sync_val_compare_and_swap(recent, known, (__u64)tgid << 32 | *verdict);
	return *verdict != VERDICT_IGNORE;
}

static __always_inline bool is_watched(__u32 tgid)
{
	__u64 *recent, known;

	if (tgid == 0)
		return false;
	if (!filter_processes)
		return !is_own(tgid);
	recent = recent_verdict(tgid);
	if (unlikely(!recent))
		return !is_own(tgid);
	known = *(volatile __u64 *)recent;
	if (unlikely(known >> 32 != tgid))
		return is_watched_by_map(tgid, recent, known);
	return (__u32)known != VERDICT_IGNORE;
}

#endif
