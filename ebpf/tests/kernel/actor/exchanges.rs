//! Acts of many exchanges on one connection, of which some are remarkable.

use std::{net::TcpStream, time::Duration};

use super::calls::{connect_at, read_all, write};

/// How many exchanges there are.
pub(crate) const EXCHANGES: usize = 100;
/// An exchange of at least this length is slow.
pub(crate) const SLOW: Duration = Duration::from_millis(800);

/// The calls of one exchange: what the client sends, and what the server answers.
pub(crate) fn calls(number: usize) -> [Vec<Vec<u8>>; 2] {
    let get = |number: usize, more: &str| {
        format!("GET /{number} HTTP/1.1\r\nHost: test\r\n{more}\r\n").into_bytes()
    };
    let answer = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello").into_bytes();
    let halves = |message: Vec<u8>| vec![message[..30].to_vec(), message[30..].to_vec()];
    let post = b"POST /30 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_vec();
    match number {
        10 => [vec![get(10, "")], vec![answer("503 Service Unavailable")]],
        15 => [vec![get(15, "")], vec![answer("404 Not Found")]],
        20 => [vec![get(20, "")], halves(answer("200 OK"))],
        25 => [halves(get(25, "")), vec![answer("200 OK")]],
        30 => [vec![post], vec![answer("200 OK")]],
        40 => [vec![[get(40, ""), get(40, "")].concat()], vec![[answer("200 OK"), answer("503 X")].concat()]],
        50 => [vec![get(50, &format!("Cookie: {}\r\n", "c".repeat(2_000)))], vec![answer("200 OK")]],
        97 => [vec![get(97, "")], vec![[answer("100 Continue"), answer("200 OK")].concat()]],
        _ => [vec![get(number, "")], vec![answer(if number.is_multiple_of(2) { "200 OK" } else { "304 X" })]],
    }
}

/// Those that are told: number 60 is slow, and the last has no answer. From number 97 on it is not sure any more whether all
/// requests are answered.
pub(crate) const REMARKABLE: [usize; 12] = [10, 15, 20, 25, 30, 40, 50, 60, 97, 98, 99, EXCHANGES];

/// Over the port given.
pub(super) fn exchanges(port: &str) {
    let (client, server) = connect_at(port.parse().unwrap());
    let send = |from: &TcpStream, to: &TcpStream, calls: &[Vec<u8>]| {
        for call in calls {
            write(from, call);
            read_all(to, call.len());
        }
    };
    for number in 0..EXCHANGES {
        let [requests, responses] = calls(number);
        send(&client, &server, &requests);
        if number == 60 {
            std::thread::sleep(SLOW);
        }
        send(&server, &client, &responses);
    }
    send(&client, &server, &calls(EXCHANGES)[0]);
}

/// Two exchanges over the port given, and, if so asked, one more request, which stays without an answer.
pub(super) fn exchanges_that_end(port: &str, with_a_request: bool) {
    let (client, server) = connect_at(port.parse().unwrap());
    let send = |from: &TcpStream, to: &TcpStream, call: &[u8]| {
        write(from, call);
        read_all(to, call.len());
    };
    for number in 0..2 {
        let [requests, responses] = calls(number);
        send(&client, &server, &requests[0]);
        send(&server, &client, &responses[0]);
    }
    if with_a_request {
        send(&client, &server, &calls(2)[0][0]);
    }
}
