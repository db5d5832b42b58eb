//! Whom the programs watch, and what they leave alone.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use sluice_ebpf::{Loss, Settings, TierChoice, Verdict};

use crate::{
    actor::{FLOOD, FLOOD_MESSAGE, REQUEST, RESPONSE},
    watch::{Actor, BOTH, Told, Watch, alone, is_privileged},
};

#[test]
fn its_own_process_is_skipped() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let mut watch = Watch::tier(tier);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(REQUEST).unwrap();
        server.read_exact(&mut vec![0; REQUEST.len()]).unwrap();
        drop((client, server));
        let actor = Actor::start("read and write");
        watch.until_exit(actor.tgid()).is_exact(REQUEST, RESPONSE);
        actor.end();
        let own = watch.story(std::process::id());
        assert!(own.0.iter().all(|told| matches!(told, Told::Fork { .. })), "{own:#?}");
    }
}

#[test]
fn two_instances_do_not_disturb_each_other() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for (first, second) in
        [(TierChoice::A, TierChoice::B), (TierChoice::A, TierChoice::A), (TierChoice::B, TierChoice::B)]
    {
        let mut one = Watch::tier(first);
        let mut other = Watch::tier(second);
        let actor = Actor::start("read and write");
        let tgid = actor.tgid();
        one.until_exit(tgid).is_exact(REQUEST, RESPONSE);
        other.until_exit(tgid).is_exact(REQUEST, RESPONSE);
        actor.end();
        drop(one);
        let actor = Actor::start("read and write");
        other.until_exit(actor.tgid()).is_exact(REQUEST, RESPONSE);
        actor.end();
    }
}

#[test]
fn what_a_full_ring_does_not_take_is_counted_and_leaves_a_gap() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        // What others move on the host would be lost, too, and count.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut watch =
            Watch::new(&Settings { tier, ring_bytes: 1, ports: vec![port], ..Settings::default() });
        let mut actor = Actor::start_with("flood", &port.to_string());
        assert_eq!(actor.said(), "flooded", "a full ring stops no one");
        let lost = watch.lost(Loss::RingFullData);
        assert!(lost > 0);
        // The ring is read up to now, so the last transfers have room.
        watch.read();
        actor.go_on();
        let story = watch.until_exit(actor.tgid());
        actor.end();
        let told = u64::try_from(story.transfers().count()).unwrap();
        assert_eq!(told + watch.lost(Loss::RingFullData), 2 * (FLOOD as u64 + 1));
        for (is_client, is_outbound) in [(true, true), (false, false)] {
            let transfers = story.stream(is_client, is_outbound);
            let missing: u64 =
                transfers.windows(2).map(|it| it[1].offset - it[0].offset - u64::from(it[0].length)).sum();
            let lost = FLOOD + 1 - transfers.len();
            assert_eq!(missing, (lost * FLOOD_MESSAGE) as u64, "the gap is as long as what was lost");
            let last = transfers.last().unwrap();
            assert_eq!(last.offset, (FLOOD * FLOOD_MESSAGE) as u64);
            assert_eq!(last.bytes[..REQUEST.len()], *REQUEST);
        }
    }
}

#[test]
fn verdicts_are_inherited_until_another_program_runs() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        for verdict in [Verdict::Ignore, Verdict::Watch] {
            let mut watch = Watch::new(&Settings { tier, filter_processes: true, ..Settings::default() });
            let mut actor = Actor::start("ignored");
            let tgid = actor.tgid();
            // Its verdict would not outlive that.
            watch.until(|told| matches!(told, Told::Execute { tgid: who, .. } if *who == tgid));
            watch.verdicts.set(tgid, verdict);
            actor.go_on();
            let story = watch.until_exit(tgid);
            let said = actor.end();
            let mut children = said.lines().map(|line| line.parse::<u32>().unwrap());
            let (copy, other) = (children.next().unwrap(), children.next().unwrap());
            if verdict == Verdict::Ignore {
                for ignored in [&story, &watch.story(copy)] {
                    assert_eq!((ignored.connections().count(), ignored.transfers().count()), (0, 0));
                }
            } else {
                story.is_exact(REQUEST, RESPONSE);
                watch.story(copy).is_exact(REQUEST, RESPONSE);
            }
            watch.story(other).is_exact(REQUEST, RESPONSE);
        }
    }
}

#[test]
fn a_verdict_may_be_changed() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        for verdicts in [[Verdict::Ignore, Verdict::Watch], [Verdict::Watch, Verdict::Ignore]] {
            let mut watch = Watch::new(&Settings { tier, filter_processes: true, ..Settings::default() });
            let mut actor = Actor::start("twice");
            let tgid = actor.tgid();
            watch.until(|told| matches!(told, Told::Execute { tgid: who, .. } if *who == tgid));
            watch.verdicts.set(tgid, verdicts[0]);
            actor.go_on();
            assert_eq!(actor.said(), "once");
            watch.verdicts.set(tgid, verdicts[1]);
            actor.go_on();
            let story = watch.until_exit(tgid);
            actor.end();
            // One exchange, of whose two ends each is told of once.
            story.is_exact(REQUEST, RESPONSE);
            assert_eq!(story.connections().count(), 2);
        }
    }
}

#[test]
fn other_ports_are_left_alone() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut watch = Watch::new(&Settings { tier, ports: vec![1, port], ..Settings::default() });
        let actor = Actor::start_with("ports", &port.to_string());
        let story = watch.until_exit(actor.tgid());
        actor.end();
        story.is_exact(REQUEST, b"");
        assert_eq!(story.end(true).peer.port(), port);
        assert_eq!(story.end(false).local.port(), port);
    }
}
