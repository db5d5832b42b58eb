use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Event::read(&bytes);
    }

    #[test]
    fn no_known_kind_is_read_from_too_few_bytes(kind in 1_u8..=10, length in 0_usize..32) {
        let mut bytes = vec![0; length];
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        prop_assert_eq!(Event::read(&bytes), None);
    }
}

fn transfer(captured: u32, bytes: &[u8]) -> Vec<u8> {
    let mut event = vec![2, 1, operation::WRITEV, FLAG_FAULT];
    event.extend(7_u32.to_le_bytes());
    for number in [11_u64, 4096, 0, 99] {
        event.extend(number.to_le_bytes());
    }
    for number in [300, captured, 55, 2, 8] {
        event.extend(u32::to_le_bytes(number));
    }
    event.extend([protocol::HTTP1, 0, 0, 0]);
    event.extend(bytes);
    event
}

#[test]
fn a_transfer_has_what_was_captured_of_it() {
    let bytes = transfer(4, b"GET /");
    let Some(Event::Data(data)) = Event::read(&bytes) else { panic!("it is a transfer") };
    assert_eq!(data.bytes, b"GET ");
    assert!(data.is_outbound && data.faulted && !data.is_opaque);
    assert_eq!((data.socket, data.offset, data.start, data.end), (11, 4096, 0, 99));
    assert_eq!((data.length, data.round_trip, data.retransmits, data.thread), (300, 55, 2, 8));
}

#[test]
fn more_captured_than_there_is_is_refused() {
    assert_eq!(Event::read(&transfer(6, b"GET /")), None);
}

#[test]
fn addresses_of_ipv4_through_ipv6_are_ipv4() {
    let mut event = vec![1, 2, 10, 1];
    event.extend(7_u32.to_le_bytes());
    event.extend([0; 24]);
    event.extend(1_u32.to_le_bytes());
    event.extend(80_u16.to_le_bytes());
    event.extend(40_000_u16.to_le_bytes());
    event.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
    event.extend(Ipv6Addr::LOCALHOST.octets());
    assert_eq!(event.len(), Connection::SIZE);
    let Some(Event::Connection(connection)) = Event::read(&event) else { panic!("it is a connection") };
    assert_eq!(connection.local, "127.0.0.1:80".parse().unwrap());
    assert_eq!(connection.peer, "[::1]:40000".parse().unwrap());
    assert_eq!(connection.is_client, Some(false));
    assert!(connection.is_fresh);
}

#[test]
fn a_program_has_its_name_and_arguments_apart() {
    let mut event = vec![8, 0, 0, 0];
    for number in [5_u32, 4] {
        event.extend(number.to_le_bytes());
    }
    event.extend(10_u16.to_le_bytes());
    event.extend(12_u16.to_le_bytes());
    event.extend([0; 16]);
    event.extend(b"/bin/curl\0curl\0-s\0http");
    let Some(Event::Execute(execute)) = Event::read(&event) else { panic!("it is a program") };
    assert_eq!(execute.file_name, b"/bin/curl");
    assert_eq!(execute.arguments, b"curl\0-s\0http");
    assert_eq!((execute.process.tgid, execute.process.parent), (5, 4));
}
