/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the programs tell user space. `src/event.rs` reads the same layouts. */
#ifndef SLUICE_EVENTS_H
#define SLUICE_EVENTS_H

#include "kernel.h"

enum kind {
	KIND_CONNECTION = 1,
	KIND_DATA = 2,
	KIND_CLOSE = 3,
	KIND_CONNECT = 4,
	KIND_RETRANSMIT = 5,
	KIND_RESET = 6,
	KIND_DROP = 7,
	KIND_EXECUTE = 8,
	KIND_FORK = 9,
	KIND_EXIT = 10,
	KIND_SETTLED = 11,
};

enum direction {
	INBOUND = 0,
	OUTBOUND = 1,
};

enum role {
	ROLE_UNKNOWN = 0,
	ROLE_CLIENT = 1,
	ROLE_SERVER = 2,
};

/* The call that moved bytes. */
enum operation {
	OPERATION_OTHER = 0,
	OPERATION_READ,
	OPERATION_READV,
	OPERATION_RECVFROM,
	OPERATION_RECVMSG,
	OPERATION_RECVMMSG,
	OPERATION_WRITE,
	OPERATION_WRITEV,
	OPERATION_SENDTO,
	OPERATION_SENDMSG,
	OPERATION_SENDMMSG,
	OPERATION_SENDFILE,
	OPERATION_SPLICE,
	OPERATION_IO_URING,
};

/* What a connection carries, as far as the first bytes of its messages tell. */
enum protocol {
	PROTOCOL_UNKNOWN = 0,
	PROTOCOL_HTTP1 = 1,
	PROTOCOL_HTTP2 = 2,
	PROTOCOL_TLS = 3,
	PROTOCOL_OTHER = 4,
};

/* flags of data_event */
#define FLAG_OPAQUE 1  /* content is out of reach */
#define FLAG_FAULT 2   /* reading the user's memory failed half-way */

#define MAX_CAPTURE 16384
#define MAX_ARGUMENTS 512
#define MAX_FILE_NAME 256

struct connection_event {
	__u8 kind;
	__u8 role;
	__u8 family;
	__u8 fresh; /* seen since it was established */
	__u32 tgid;
	__u64 socket;
	__u64 time;
	__u64 cgroup;
	__u32 network_namespace;
	__u16 local_port;
	__u16 peer_port;
	__u8 local[16];
	__u8 peer[16];
};

struct data_event {
	__u8 kind;
	__u8 direction;
	__u8 operation;
	__u8 flags;
	__u32 tgid;
	__u64 socket;
	__u64 offset;
	__u64 start;
	__u64 end;
	__u32 length;
	__u32 captured;
	__u32 round_trip;
	__u32 retransmits;
	__u32 thread;
	__u8 protocol;
	__u8 padding[3];
};

/* close, connect, retransmit, reset, drop, settled */
struct socket_event {
	__u8 kind;
	__u8 failed; /* connect: not established; reset: received */
	__u16 reason; /* connect: the socket's error; drop: the kernel's reason */
	__u32 tgid;
	__u64 socket;
	__u64 start;
	__u64 end;
	__u32 round_trip;
	__u32 retransmits;
	__u64 extents[2]; /* by direction; of a close: bytes moved, of settled: where the next message begins */
};

struct process_event {
	__u8 kind;
	__u8 padding[3];
	__u32 tgid;
	__u32 parent;
	__u16 file_name_length;
	__u16 arguments_length;
	__u64 cgroup;
	__u64 time;
};

struct execute_event {
	struct process_event process;
	char text[MAX_FILE_NAME + MAX_ARGUMENTS]; /* the file name, then the arguments, each ended by a zero byte */
};

/* Why something was not told, by place in the array `losses`. */
enum loss {
	LOSS_RING_FULL_DATA = 0,
	LOSS_RING_FULL_CONNECTION,
	LOSS_RING_FULL_PROCESS,
	LOSS_SOCKET_STATE,
	LOSS_TASK_STATE,
	LOSS_NESTED,
	LOSS_COUNT,
};

#endif
