//! Transfers: what each call moved is told exactly, and what was captured is what was sent.

use sluice_ebpf::{
    Settings,
    event::{operation, protocol},
};

use crate::{
    actor::{BINARY, CLIENT_HELLO, FILE, LARGE, PREFACE, REQUEST, RESPONSE, pattern},
    watch::{Actor, BOTH, Transfer, Watch, alone, is_privileged, watch_both},
};

fn operations(transfers: &[&Transfer]) -> Vec<u8> {
    transfers.iter().map(|transfer| transfer.operation).collect()
}

fn captured(transfers: &[&Transfer]) -> Vec<u8> {
    transfers.iter().flat_map(|transfer| transfer.bytes.clone()).collect()
}

#[test]
fn reads_and_writes() {
    watch_both("read and write", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        let requests = story.stream(true, true);
        assert_eq!(operations(&requests), [operation::WRITE]);
        assert_eq!(captured(&requests), REQUEST);
        let responses = story.stream(true, false);
        assert_eq!(operations(&responses), [operation::READ, operation::READ]);
        assert_eq!(captured(&responses), RESPONSE);
        assert!(story.transfers().all(|it| it.protocol == protocol::HTTP1 && !it.is_opaque && !it.faulted));
        // Nobody asked when calls begin.
        assert!(story.transfers().all(|it| it.start == 0));
    });
}

#[test]
fn calls_are_timed_if_that_is_asked_for() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let mut watch = Watch::new(&Settings { tier, time_calls: true, ..Settings::default() });
        let actor = Actor::start("read and write");
        let story = watch.until_exit(actor.tgid());
        actor.end();
        story.is_exact(REQUEST, RESPONSE);
        assert!(story.transfers().all(|it| it.start != 0 && it.start < it.end));
    }
}

#[test]
fn vectors_also_empty_ones() {
    watch_both("vectors", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        for (is_client, is_outbound, number, sent) in [
            (true, true, operation::WRITEV, REQUEST),
            (false, false, operation::READV, REQUEST),
            (false, true, operation::WRITEV, RESPONSE),
        ] {
            let transfers = story.stream(is_client, is_outbound);
            assert_eq!(operations(&transfers), [number]);
            assert_eq!(captured(&transfers).escape_ascii().to_string(), sent.escape_ascii().to_string());
        }
    });
}

#[test]
fn of_many_vectors_the_first_are_captured_and_all_are_counted() {
    watch_both("many vectors", |_, story, _| {
        story.is_exact(&[REQUEST, REQUEST].concat(), b"");
        let sent = story.stream(true, true);
        assert_eq!((sent[0].bytes.as_slice(), sent[0].faulted), (&REQUEST[..16], false));
        assert_eq!(sent[1].bytes, REQUEST);
    });
}

#[test]
fn sends_and_receives() {
    watch_both("send and receive", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        assert_eq!(captured(&story.stream(true, true)), REQUEST);
        assert_eq!(operations(&story.stream(false, true)), [operation::SENDTO]);
        assert_eq!(operations(&story.stream(true, false)), [operation::RECVFROM]);
        assert_eq!(captured(&story.stream(true, false)), RESPONSE);
    });
}

#[test]
fn messages() {
    watch_both("messages", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        for (is_client, is_outbound, number) in
            [(true, true, operation::SENDMSG), (false, false, operation::RECVMSG)]
        {
            let transfers = story.stream(is_client, is_outbound);
            assert_eq!(operations(&transfers), [number]);
            assert_eq!(captured(&transfers), REQUEST);
        }
    });
}

#[test]
fn several_messages_in_a_call_are_counted_and_a_single_one_is_captured() {
    watch_both("several messages", |_, story, _| {
        story.is_exact(&REQUEST.repeat(3), RESPONSE);
        for (is_client, is_outbound) in [(true, true), (false, false)] {
            assert!(
                story.stream(is_client, is_outbound).iter().all(|it| it.is_opaque && it.bytes.is_empty())
            );
        }
        for (is_client, is_outbound, number) in
            [(false, true, operation::SENDMMSG), (true, false, operation::RECVMMSG)]
        {
            let transfers = story.stream(is_client, is_outbound);
            assert_eq!(operations(&transfers), [number]);
            assert_eq!(captured(&transfers), RESPONSE);
        }
    });
}

#[test]
fn of_files_the_length() {
    watch_both("file", |_, story, _| {
        let sent = [RESPONSE, &pattern(FILE)].concat();
        story.is_exact(REQUEST, &sent);
        let transfers = story.stream(false, true);
        assert_eq!(captured(&transfers), RESPONSE);
        let (header, body) = transfers.split_first().unwrap();
        assert!(!header.is_opaque && !body.is_empty());
        assert!(body.iter().all(|it| it.is_opaque && it.operation == operation::SENDFILE));
        // The reader's side has the body.
        assert!(captured(&story.stream(true, false)).len() > RESPONSE.len());
    });
}

#[test]
fn looking_ahead_moves_nothing() {
    watch_both("peek", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        assert_eq!(operations(&story.stream(false, false)), [operation::READ]);
    });
}

#[test]
fn what_is_thrown_away_is_counted_and_not_captured() {
    watch_both("discard", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        let received = story.stream(false, false);
        assert_eq!((received[0].length, received[0].is_opaque, received[0].bytes.len()), (10, true, 0));
        assert!(!received[1].is_opaque);
    });
}

#[test]
fn an_urgent_byte_read_apart_repeats_nothing() {
    watch_both("urgent", |_, story, _| {
        // TCP skips the urgent byte in the stream of the one who receives.
        let received = story.stream(false, false);
        assert_eq!(received.len(), 2);
        assert_eq!((received[0].offset, received[0].length), (0, u32::try_from(REQUEST.len()).unwrap()));
        assert_eq!(received[1].offset, REQUEST.len() as u64 + 1);
        assert_eq!(captured(&received), REQUEST.repeat(2));
        let sent = [REQUEST, b"!", REQUEST].concat();
        crate::watch::is_exact(&story.stream(true, true), &sent);
    });
}

#[test]
fn memory_that_no_one_has_touched() {
    watch_both("mapped", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        assert_eq!(captured(&story.stream(true, true)), REQUEST);
        assert_eq!(captured(&story.stream(false, false)), REQUEST);
    });
}

#[test]
fn a_call_that_moves_a_part() {
    watch_both("partial", |_, story, said| {
        let taken: usize = said.parse().unwrap();
        let mut sent = [REQUEST, &pattern(16 << 20)].concat();
        sent.truncate(taken);
        sent.extend(REQUEST);
        story.is_exact(&sent, b"");
        let transfers = story.stream(true, true);
        assert_eq!(transfers[0].length as usize, taken);
        assert_eq!(transfers[0].bytes.len(), 4096);
        assert_eq!(transfers[1].bytes, REQUEST);
    });
}

#[test]
fn of_a_large_message_the_beginning_in_order() {
    watch_both("large", |_, story, _| {
        let message = [REQUEST, &pattern(LARGE)].concat();
        story.is_exact(&[message.as_slice(), REQUEST].concat(), b"");
        let all = captured(&story.stream(true, true));
        assert_eq!(all, [&message[..4096], REQUEST].concat());
    });
}

#[test]
fn as_much_as_is_asked_for_is_captured() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        for capture in [0, 50, 16_384] {
            let mut watch = Watch::new(&Settings { tier, capture, ..Settings::default() });
            let actor = Actor::start("large");
            let story = watch.until_exit(actor.tgid());
            actor.end();
            let message = [REQUEST, &pattern(LARGE)].concat();
            story.is_exact(&[message.as_slice(), REQUEST].concat(), b"");
            let want = capture as usize;
            let expected = [&message[..want], &REQUEST[..REQUEST.len().min(want)]].concat();
            assert_eq!(captured(&story.stream(true, true)), expected);
        }
    }
}

#[test]
fn the_end_of_a_connection_is_no_byte() {
    watch_both("end with the last bytes", |_, story, _| {
        story.is_exact(REQUEST, RESPONSE);
        assert_eq!(captured(&story.stream(true, false)), RESPONSE);
    });
}

#[test]
fn what_is_read_after_the_end_belongs_to_the_same_connection() {
    watch_both("read after the end", |_, story, said| {
        story.is_exact(REQUEST, RESPONSE);
        assert_eq!(story.end(true).local.port().to_string(), said);
    });
}

#[test]
fn calls_of_32_bit_programs_are_not_taken_for_others() {
    watch_both("32-bit", |_, story, _| story.is_exact(REQUEST, RESPONSE));
}

#[test]
fn what_is_no_http_is_left_alone_after_a_while() {
    watch_both("unrecognised", |_, story, _| {
        story.is_exact(&[BINARY.repeat(12).as_slice(), REQUEST].concat(), b"");
        let sent = story.stream(true, true);
        assert_eq!(captured(&sent), b"", "nothing of it is captured, not even what looks like a request");
        assert!(sent[..7].iter().all(|it| it.protocol == protocol::UNKNOWN));
        assert!(sent[7..].iter().all(|it| it.protocol == protocol::OTHER));
    });
}

#[test]
fn tls_and_http2_are_recognised_and_left_alone() {
    for (act, number, first) in [("tls", protocol::TLS, CLIENT_HELLO), ("http2", protocol::HTTP2, PREFACE)] {
        watch_both(act, |_, story, _| {
            story.is_exact(&[first, REQUEST].concat(), b"");
            let sent = story.stream(true, true);
            assert_eq!(captured(&sent), b"");
            assert!(sent.iter().all(|it| it.protocol == number));
        });
    }
}
