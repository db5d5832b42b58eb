//! The compiled programs of this architecture.

use std::fmt;

use aya::include_bytes_aligned;

/// How transfers are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// By the tracepoints `sock_send_length` and `sock_recv_length` (Linux 6.3 and later): no system call is hooked.
    A,
    /// By all system calls, filtered: for kernels without those tracepoints.
    B,
}

#[cfg(target_arch = "x86_64")]
static SOCKETS: &[u8] = include_bytes_aligned!("../objects/sockets.x86_64.o");
#[cfg(target_arch = "x86_64")]
static SYSCALLS: &[u8] = include_bytes_aligned!("../objects/syscalls.x86_64.o");
#[cfg(target_arch = "aarch64")]
static SOCKETS: &[u8] = include_bytes_aligned!("../objects/sockets.aarch64.o");
#[cfg(target_arch = "aarch64")]
static SYSCALLS: &[u8] = include_bytes_aligned!("../objects/syscalls.aarch64.o");

/// A program and the tracepoint that it is attached to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    pub(crate) program: &'static str,
    pub(crate) tracepoint: &'static str,
    /// What is missing without it; `None` if nothing works without it.
    pub(crate) missing: Option<&'static str>,
}

const fn required(program: &'static str, tracepoint: &'static str) -> Hook {
    Hook { program, tracepoint, missing: None }
}

const fn optional(program: &'static str, tracepoint: &'static str, missing: &'static str) -> Hook {
    Hook { program, tracepoint, missing: Some(missing) }
}

/// In both tiers.
const SHARED: [Hook; 10] = [
    required("set_state", "inet_sock_set_state"),
    required("destroy", "tcp_destroy_sock"),
    optional("process_fork", "sched_process_fork", "processes that begin with a fork are found late"),
    optional(
        "process_execute",
        "sched_process_exec",
        "processes that live only briefly may not be identified",
    ),
    optional("process_exit", "sched_process_exit", "ended processes are remembered for longer"),
    optional("retransmit", "tcp_retransmit_skb", "no retransmits as they happen"),
    optional("receive_reset", "tcp_receive_reset", "no resets received"),
    optional("send_reset", "tcp_send_reset", "no resets sent"),
    optional("drop", "kfree_skb", "no drops"),
    optional("drop_received", "kfree_skb", "no drops of segments that arrived"),
];

impl Tier {
    pub(crate) fn object(self) -> &'static [u8] {
        match self {
            Self::A => SOCKETS,
            Self::B => SYSCALLS,
        }
    }

    pub(crate) fn hooks(self, time_calls: bool) -> Vec<Hook> {
        let mut hooks = SHARED.to_vec();
        match self {
            Self::A => {
                hooks.push(required("send_length", "sock_send_length"));
                hooks.push(required("receive_length", "sock_recv_length"));
            }
            Self::B => hooks.push(required("call_ends", "sys_exit")),
        }
        if time_calls {
            hooks.push(optional("stamp", "sys_enter", "system calls have no duration"));
        }
        hooks
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::A => "A (socket tracepoints)",
            Self::B => "B (system calls)",
        })
    }
}
