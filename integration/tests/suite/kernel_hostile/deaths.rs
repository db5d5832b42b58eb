//! Processes that are killed in the middle of an exchange.

use super::*;

/// Clients and servers that are killed between request and answer.
#[test]
fn processes_that_die_in_an_exchange_leave_a_record_and_nothing_else() {
    const EACH: usize = 10;
    let (true, Some(bash), Some(python)) = (is_root(), program("bash"), program("python3")) else { return };
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        let dying: Vec<SocketAddr> = (0..EACH).map(|_| free_address().unwrap()).collect();
        let mut ports: Vec<u16> = dying.iter().map(SocketAddr::port).collect();
        ports.push(server.address.port());
        let receiver = format!("    tier: {tier}\n    ports: {ports:?}\n    {ALL}");
        let config = recording(&setup, &receiver).replace(
            "metrics: {level: none}",
            &format!(
                "metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}",
                setup.telemetry.ip(),
                setup.telemetry.port()
            ),
        );
        let sluice = start(&setup, &config);
        // A client dies once it has seen the begin of an answer, or none but an interim one, or before it has asked.
        let mut numbers = Vec::new();
        for turn in 0..3 * EACH {
            let number = next_number();
            let (text, waits) = match turn % 3 {
                0 => (request("half", number), "read -r <&3;"),
                1 => (request("interim", number), "read -r <&3;"),
                _ => (request("cut", number).trim_end().to_owned(), ""),
            };
            if turn % 3 < 2 {
                numbers.push(number);
            }
            let (address, port) = (server.address.ip(), server.address.port());
            let script =
                format!("exec 3<>/dev/tcp/{address}/{port}; printf '%s' \"$1\" >&3; {waits} kill -9 $$");
            let status = Command::new(&bash).args(["-c", &script, "-", &text]).status().unwrap();
            assert!(!status.success(), "it was killed");
        }
        let mut of_dead_servers = Vec::new();
        for address in &dying {
            let script = format!(
                "import os, socket\nserver = socket.create_server(('127.0.0.1', {}))\nprint('ready', flush=True)\n\
                 client, _ = server.accept()\nclient.recv(65536)\n\
                 client.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 1000\\r\\n\\r\\nhalf')\nos.kill(os.getpid(), 9)",
                address.port()
            );
            let mut child = Command::new(&python)
                .args(["-c", &script])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = [0; 6];
            child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
            let (mut stream, number) = (TcpStream::connect(address).unwrap(), next_number());
            stream.write_all(request("dies", number).as_bytes()).unwrap();
            // A reset, if it has not read all; else the end.
            let _ = stream.read_to_end(&mut Vec::new());
            child.wait().unwrap();
            of_dead_servers.push(number);
        }
        numbers.extend(of_dead_servers);
        for role in ["client", "server"] {
            eventually("all are recorded", || recorded(&setup, role).len() >= numbers.len());
            let records = recorded(&setup, role);
            assert_eq!(records.len(), numbers.len(), "heads that never ended are no requests: {records:#?}");
            for (record, number) in
                records.iter().map(|record| (record, record["url.path"].as_str().unwrap()))
            {
                let number: u64 = number.rsplit('/').next().unwrap().parse().unwrap();
                assert!(numbers.contains(&number), "{record:#?}");
                assert_eq!(record["error.type"], "connection_closed", "tier {tier}: {record:#?}");
            }
        }
        eventually("no connection is remembered", || {
            sum(setup.telemetry, "sluice_ebpf_connections", "") == 0
        });
        eventually("nothing of them is held", || {
            sum(setup.telemetry, "sluice_ebpf_connection_bytes", "") == 0
        });
        sluice.stop();
    }
}
