//! A ring that is full.

use super::*;

/// A reader that stands still while far more happens than its ring holds: losses are counted, what is told is right.
#[test]
fn a_full_ring_costs_exchanges_and_mixes_none() {
    const CONNECTIONS: usize = 8;
    const REQUESTS: usize = 400;
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        let receiver = format!(
            "    tier: {tier}\n    ports: [{}]\n    ring_buffer_size: 256KiB\n    {ALL}",
            server.address.port()
        );
        let sluice = joined_to_file(&setup, &receiver);
        let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        let mut asked: Vec<Asked> = streams.iter_mut().map(ask).collect();
        for _ in 0..2 {
            sluice.process.signal(Signal::STOP).unwrap();
            // Two transfers at each end, each of some hundred bytes.
            for _ in 0..REQUESTS {
                asked.extend(streams.iter_mut().map(ask));
            }
            sluice.process.signal(Signal::CONT).unwrap();
            eventually("losses are counted", || {
                sum(setup.telemetry, "sluice_ebpf_lost_events", "reason=\"ring_full_data\"") > 0
            });
            // Slower than it reads.
            for _ in 0..20 {
                asked.extend(streams.iter_mut().map(ask));
                let seen = sum(setup.telemetry, "sluice_ebpf_events", "");
                eventually("it reads", || sum(setup.telemetry, "sluice_ebpf_events", "") >= seen);
            }
        }
        drop(streams);
        wait_until_forgotten(&setup);
        send_spans(&setup, &asked);
        let seen = sum(setup.telemetry, "sluice_ebpf_exchanges", "");
        let recorded =
            || sum(setup.telemetry, "otelcol_receiver_accepted_log_records", "receiver=\"ebpf_network\"");
        eventually("what was seen is recorded", || recorded() == seen);
        let lost = sum(setup.telemetry, "sluice_ebpf_lost_events", "");
        sluice.assert_within(LIMIT_MIB);
        sluice.stop();

        let joined = joined_requests(&setup);
        for (span, content) in &joined {
            let number = u64::from_str_radix(span, 16).unwrap();
            assert!(
                content.starts_with(&format!("GET /t/{number} ")) && content.contains(&trace_of(number)),
                "{content} is on the span of {number}"
            );
        }
        let unjoined = unjoined(&setup);
        unjoined.iter().for_each(assert_one_request);
        println!(
            "tier {tier}: {} requests, {lost} events lost, {} exchanges on spans, {} not",
            asked.len(),
            joined.len(),
            unjoined.len()
        );
        assert!(joined.len() < asked.len() && joined.len() > CONNECTIONS * 40, "{} joined", joined.len());
    }
}
