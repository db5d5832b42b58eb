//! The processes that Rover found, kept as they came.

use prost::Message;
use sluice_protocols::skywalking::{
    attributes::event_name,
    v3::{EbpfProcessPingPkgList, EbpfProcessReportList},
};

use super::{
    Malformed,
    output::Output,
    record::{Source, record, write_raw_body},
};

/// Writes an `EBPFProcessReportList`.
pub(super) fn report(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let report = EbpfProcessReportList::decode(message)?;
    write(message, event_name::EBPF_PROCESSES, &report.ebpf_agent_id, output)
}

/// Writes an `EBPFProcessPingPkgList`.
pub(super) fn pings(message: &[u8], output: &mut Output) -> Result<(), Malformed> {
    let pings = EbpfProcessPingPkgList::decode(message)?;
    write(message, event_name::EBPF_PROCESS_PINGS, &pings.ebpf_agent_id, output)
}

fn write(message: &[u8], name: &str, agent: &str, output: &mut Output) -> Result<(), Malformed> {
    let source = Source { instance: agent, ..Source::default() };
    record(output, source, name, 0, |writer| write_raw_body(writer, message))
}
