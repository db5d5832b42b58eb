//! Exchanges that nobody asks for: they are counted, and the others are told as if they had been, too.

use std::net::{Ipv4Addr, TcpListener};

use sluice_ebpf::{Settings, TierChoice};

use crate::{
    actor::{EXCHANGES, REMARKABLE, SLOW, calls_of_exchange},
    watch::{Actor, Story, Told, Watch, alone, is_privileged},
};

/// What is told of the act, and how many exchanges are not.
fn watch(tier: TierChoice, act: &str) -> (Story, u64) {
    // What others do on the host would be counted, too.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut watch = Watch::new(&Settings {
        tier,
        remarkable_after: Some(SLOW / 2),
        ports: vec![port],
        ..Settings::default()
    });
    let actor = Actor::start_with(act, &port.to_string());
    let story = watch.until_exit(actor.tgid());
    actor.end();
    (story, watch.untold())
}

/// The streams of one end, each exchange with its calls.
fn stream(is_inbound: bool, is_client: bool) -> Vec<Vec<u8>> {
    let side = usize::from(is_inbound == is_client);
    (0..=EXCHANGES)
        .map(|number| {
            let [requests, responses] = calls_of_exchange(number);
            if side == 0 {
                requests
            } else if number < EXCHANGES {
                responses
            } else {
                Vec::new()
            }
        })
        .map(|calls| calls.concat())
        .collect()
}

/// What is told of one end leaves out whole exchanges only, says where, and is what was sent.
fn is_exact_but_for_whole_exchanges(story: &Story, is_client: bool) -> Vec<usize> {
    let socket = story.end(is_client).socket;
    let streams = [true, false].map(|is_inbound| stream(is_inbound, is_client));
    let begins = streams.each_ref().map(|stream| {
        let ends = stream.iter().scan(0, |end, message| {
            *end += message.len() as u64;
            Some(*end)
        });
        std::iter::once(0).chain(ends).collect::<Vec<u64>>()
    });
    let mut next = [0_u64; 2];
    let mut told = Vec::new();
    for event in &story.0 {
        match event {
            Told::Transfer(transfer) if transfer.socket == socket => {
                let side = usize::from(transfer.is_outbound);
                assert_eq!(transfer.offset, next[side], "a gap: {transfer:#?}");
                let sent = streams[side].concat();
                let begin = usize::try_from(next[side]).unwrap();
                assert_eq!(transfer.bytes, sent[begin..begin + transfer.bytes.len()]);
                next[side] += u64::from(transfer.length);
                let number = begins[side].partition_point(|begin| *begin <= transfer.offset) - 1;
                told.push(number);
            }
            Told::Settled(settled) if settled.socket == socket => {
                let places = [settled.received, settled.sent];
                let numbers = [0, 1].map(|side| begins[side].iter().position(|begin| *begin == places[side]));
                assert!(
                    numbers[0].is_some() && numbers[0] == numbers[1],
                    "not where an exchange begins: {settled:#?}"
                );
                assert!(places > next, "{settled:#?}");
                next = places;
            }
            Told::Closed(closed) if closed.socket == socket => {
                assert_eq!([closed.received, closed.sent], next, "its end is told");
            }
            _ => {}
        }
    }
    assert_eq!(next, begins.map(|begins| begins[EXCHANGES + 1]));
    told.sort_unstable();
    told.dedup();
    told
}

#[test]
fn what_failed_or_was_slow_or_is_not_plain_is_told() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    let (story, untold) = watch(TierChoice::A, "exchanges");
    for is_client in [true, false] {
        // A machine that stands still makes others slow.
        let told = is_exact_but_for_whole_exchanges(&story, is_client);
        assert!(REMARKABLE.iter().all(|number| told.contains(number)), "{told:?}");
        assert!(told.len() < REMARKABLE.len() + 5, "{told:?}");
    }
    let both = is_exact_but_for_whole_exchanges(&story, true).len()
        + is_exact_but_for_whole_exchanges(&story, false).len();
    assert_eq!(untold, u64::try_from(2 * (EXCHANGES + 1) - both).unwrap());
}

#[test]
fn tier_b_tells_all() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    let (story, untold) = watch(TierChoice::B, "exchanges");
    let streams = [false, true].map(|is_inbound| stream(is_inbound, true).concat());
    story.is_exact(&streams[0], &streams[1]);
    assert_eq!(untold, 0);
}

#[test]
fn a_connection_that_ends_says_how_far_it_came() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for (act, requests) in [("exchanges and end", 0), ("exchanges and a request", 1)] {
        let (story, untold) = watch(TierChoice::A, act);
        assert_eq!(untold, 4, "{act}");
        let whole =
            |side: usize| (0..2).map(|number| calls_of_exchange(number)[side].concat().len() as u64).sum();
        let (asked, answered): (u64, u64) = (whole(0), whole(1));
        for is_client in [true, false] {
            let socket = story.end(is_client).socket;
            let settled = story.0.iter().find_map(|told| match told {
                Told::Settled(settled) if settled.socket == socket => Some([settled.received, settled.sent]),
                _ => None,
            });
            assert_eq!(settled, Some(if is_client { [answered, asked] } else { [asked, answered] }), "{act}");
            let told: Vec<_> = story.transfers().filter(|transfer| transfer.socket == socket).collect();
            assert_eq!(told.len(), requests, "{act}");
            assert!(
                told.iter().all(|transfer| transfer.offset == asked && transfer.is_outbound == is_client)
            );
        }
    }
}
