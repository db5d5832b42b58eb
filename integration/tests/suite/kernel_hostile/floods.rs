//! More connections, exchanges and spans than may be held.

use super::*;

/// As many connections as a test may take, each with one exchange.
#[test]
fn short_connections_are_seen_and_forgotten() {
    const THREADS: u8 = 4;
    let each = if std::env::var("CI").is_ok() { 20_000 } else { 3_000 };
    if !is_root() {
        return;
    }
    let setup = Setup::alone();
    let address = free_address().unwrap();
    // Each address has ports of its own for those that wait for their end.
    let servers: Vec<Server> = (0..THREADS)
        .map(|number| Server::start(SocketAddr::from(([127, 0, 0, 2 + number], address.port()))))
        .collect();
    let receiver = format!(
        "    ports: [{}]\n    max_connections: 64\n    ring_buffer_size: 16MiB\n    \
         sampling: {{window: 100ms, default: {{ratio: 0}}}}",
        address.port()
    );
    // One that was there before, and is never used, and one that is.
    let (unused, mut used) = (servers[0].connect(), servers[0].connect());
    let sluice = joined_to_file(&setup, &receiver);
    ask(&mut used);
    drop(used);
    std::thread::scope(|scope| {
        for server in &servers {
            scope.spawn(|| (0..each).for_each(|_| _ = ask(&mut server.connect())));
        }
    });
    let count = usize::from(THREADS) * each;
    wait_until_forgotten(&setup);
    drop(unused);
    let seen = sum(setup.telemetry, "sluice_ebpf_exchanges", "");
    let lost = sum(setup.telemetry, "sluice_ebpf_lost_events", "");
    let unfollowed = sum(setup.telemetry, "sluice_ebpf_unfollowed_connections", "");
    println!(
        "{count} connections: {seen} exchanges, {lost} events lost, {unfollowed} connections not followed"
    );
    assert!(seen + lost + unfollowed >= 2 * count, "what is missing is counted");
    assert!(seen >= count, "most are seen");
    sluice.assert_within(LIMIT_MIB);
    sluice.stop();
}

/// More exchanges and more spans than the connector may hold.
#[test]
fn floods_of_exchanges_and_spans_stay_within_their_bounds() {
    const SPANS: u64 = 50_000;
    const KIBIBYTES: usize = 256;
    if !is_root() {
        return;
    }
    let setup = Setup::new();
    let server = Server::start(free_address().unwrap());
    let receiver = format!("    ports: [{}]\n    {ALL}", server.address.port());
    let exporters = format!("  file: {{path: {}/traces.jsonl}}", setup.directory.path().display());
    let bound = KIBIBYTES << 10;
    let config = joined(&setup, &receiver, &exporters, "file").replace(
        "trace_events: {}",
        &format!(
            "trace_events: {{exchange_wait: 5m, max_exchange_bytes: {bound}, max_held_span_bytes: {bound}, max_remembered_span_bytes: {bound}}}"
        ),
    );
    let sluice = start(&setup, &config);
    let held = |what: &str| sum(setup.telemetry, "sluice_connector_held_bytes", &format!("what=\"{what}\""));
    let most = |known: usize| {
        let now = ["exchanges", "held_spans", "remembered_spans"].map(held).into_iter().max().unwrap();
        known.max(now)
    };
    // Exchanges whose spans do not come: the oldest leave unjoined.
    let mut stream = server.connect();
    let mut peak = 0;
    let asked: Vec<Asked> = (0..4_000)
        .map(|turn| {
            if turn % 100 == 0 {
                peak = most(peak);
            }
            ask(&mut stream)
        })
        .collect();
    let unjoined = || sum(setup.telemetry, "sluice_connector_unjoined_exchanges", "reason=\"memory\"");
    eventually("the oldest leave", || unjoined() > asked.len());
    // Spans whose exchanges do not come: further ones pass at once. All must come out.
    for chunk in 0..SPANS / 1_000 {
        let spans: Vec<Asked> =
            (0..1_000).map(|_| Asked { number: next_number(), start: now() - 1_000, end: now() }).collect();
        send_spans(&setup, &spans);
        if chunk % 5 == 0 {
            peak = most(peak);
        }
    }
    let not_held = sum(setup.telemetry, "sluice_connector_not_held_spans", "reason=\"memory\"");
    assert!(not_held > 0, "spans beyond the bound are counted");
    // The last exchanges are still there, and find their spans.
    let last = &asked[asked.len() - 20..];
    send_spans(&setup, last);
    eventually("the last exchanges are joined", || joined_requests(&setup).len() >= last.len());
    peak = most(peak);
    assert!(peak <= bound, "{peak} bytes were held");
    eventually("all spans come out", || {
        let sent = sum(setup.telemetry, "otelcol_exporter_sent_spans", "exporter=\"file\"");
        u64::try_from(sent).unwrap() >= SPANS + 20
    });
    println!(
        "{not_held} of {SPANS} spans did not wait, {} exchanges left, at most {peak} bytes held",
        unjoined()
    );
    sluice.assert_within(LIMIT_MIB);
    sluice.stop();
    for (span, content) in joined_requests(&setup) {
        let number = u64::from_str_radix(&span, 16).unwrap();
        assert!(content.starts_with(&format!("GET /t/{number} ")), "{content} is on the span of {number}");
    }
}
