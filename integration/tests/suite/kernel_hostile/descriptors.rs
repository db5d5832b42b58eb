//! Descriptors that are used again and again.

use super::*;

/// Descriptors of one process that are connections, files and pipes in turn, and the same number for many traces.
#[test]
fn descriptors_used_again_never_mix_traces() {
    const THREADS: usize = 4;
    let turns = if std::env::var("CI").is_ok() { 2_000 } else { 500 };
    if !is_root() {
        return;
    }
    for tier in ["a", "b"] {
        let setup = Setup::new();
        let server = Server::start(free_address().unwrap());
        let receiver = format!("    tier: {tier}\n    ports: [{}]\n    {ALL}", server.address.port());
        let sluice = joined_to_file(&setup, &receiver);
        let asked: Vec<Asked> = std::thread::scope(|scope| {
            let running: Vec<_> =
                (0..THREADS).map(|_| scope.spawn(|| reuse_descriptors(&server, turns))).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        send_spans(&setup, &asked);
        eventually("the exchanges are joined", || joined_requests(&setup).len() >= asked.len() * 99 / 100);
        sluice.stop();

        let mut homes = BTreeMap::new();
        for (span, content) in joined_requests(&setup) {
            let number = u64::from_str_radix(&span, 16).unwrap();
            assert!(
                content.starts_with(&format!("GET /t/{number} ")) && content.contains(&trace_of(number)),
                "{content} is on the span of {number}"
            );
            assert_eq!(homes.insert(number, content), None, "{number} has it twice");
        }
        // The server's side has no spans; what is on its records came from one request too.
        for record in unjoined(&setup) {
            assert_one_request(&record);
        }
        println!("tier {tier}: {} of {} spans have their exchange", homes.len(), asked.len());
    }
}

fn reuse_descriptors(server: &Server, turns: usize) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut kept: OwnedFd = server.connect().into();
    for turn in 0..turns {
        match turn % 5 {
            // The kernel gives the lowest number that is free: this one again and again.
            0 => asked.push(ask(&mut server.connect())),
            // Without a close in between.
            1 => {
                rustix::io::dup2(server.connect(), &mut kept).unwrap();
                let mut stream = TcpStream::from(kept);
                asked.push(ask(&mut stream));
                kept = stream.into();
            }
            // The number of a connection becomes that of a file and of a socket that is no TCP.
            2 => {
                let mut stream = server.connect();
                asked.push(ask(&mut stream));
                drop(stream);
                let mut file = fs::File::options().write(true).open("/dev/null").unwrap();
                file.write_all(request("wrong", next_number()).as_bytes()).unwrap();
                drop(file);
                let (mut one, mut other) = UnixStream::pair().unwrap();
                one.write_all(request("wrong", next_number()).as_bytes()).unwrap();
                assert!(other.read(&mut [0; 512]).unwrap() > 0);
            }
            // A head of another trace that never ends, and the number again.
            3 => {
                let cut = request("cut", next_number());
                server.connect().write_all(&cut.as_bytes()[..cut.len() - 4]).unwrap();
                asked.push(ask(&mut server.connect()));
            }
            // Three requests over a connection, whose end is half closed at last.
            _ => {
                let mut stream = server.connect();
                asked.extend((0..3).map(|_| ask(&mut stream)));
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
            }
        }
    }
    asked
}
