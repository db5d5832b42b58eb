//! Connections: their ends, roles and fates.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
};

use sluice_ebpf::{drop_reasons, event::Incident};

use crate::{
    actor::{CONNECTIONS, REQUEST, RESPONSE},
    watch::{Actor, BOTH, Told, Watch, alone, is_exact, is_privileged, watch_both},
};

#[test]
fn addresses_of_each_family() {
    watch_both("families", |_, story, said| {
        let ends = |is_client| -> Vec<String> {
            story
                .connections()
                .filter(|it| it.is_client == Some(is_client))
                .map(|it| {
                    if is_client {
                        format!("{} {}", it.local, it.peer)
                    } else {
                        format!("{} {}", it.peer, it.local)
                    }
                })
                .collect()
        };
        let expected: Vec<&str> = said.lines().collect();
        assert_eq!(expected.len(), 4);
        assert_eq!(ends(true), expected);
        assert_eq!(ends(false), expected);
        let namespace = std::fs::read_link("/proc/self/ns/net").unwrap().to_string_lossy().into_owned();
        assert!(story.connections().all(|it| namespace == format!("net:[{}]", it.network_namespace)));
    });
}

#[test]
fn a_connect_that_fails_and_one_that_does_not() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string();
        let mut watch = Watch::tier(tier);
        let actor = Actor::start_with("refused", &free);
        let story = watch.until_exit(actor.tgid());
        actor.end();
        let connection = story.end(true);
        assert_eq!(connection.peer.to_string(), free);
        let results = connects(&story.0);
        assert_eq!(results.len(), 1);
        assert!(results[0].flag && results[0].start < results[0].end, "{results:?}");
        assert_eq!(i32::from(results[0].reason), libc::ECONNREFUSED);
        assert_eq!(results[0].socket, connection.socket);

        let actor = Actor::start_with("connect again", &free);
        let story = watch.until_exit(actor.tgid());
        actor.end();
        let results = connects(&story.0);
        assert_eq!(results.iter().map(|it| it.flag).collect::<Vec<_>>(), [true, false]);
        assert_ne!(results[0].socket, results[1].socket, "each connect is a connection of its own");
        let peers: Vec<String> = story
            .connections()
            .filter(|it| it.is_client == Some(true))
            .map(|it| it.peer.to_string())
            .collect();
        assert_eq!(peers.len(), 2);
        assert_eq!(peers[0], free);
        let sent: Vec<_> = story.transfers().filter(|it| it.is_outbound).collect();
        assert_eq!(sent[0].socket, results[1].socket);
        assert_eq!(sent[0].bytes, REQUEST);
        assert!(is_closed(&story.0, results[0].socket) && is_closed(&story.0, results[1].socket));
    }
}

fn connects(told: &[Told]) -> Vec<Incident> {
    told.iter()
        .filter_map(|told| match told {
            Told::Connected(incident) => Some(*incident),
            _ => None,
        })
        .collect()
}

fn is_closed(told: &[Told], socket: u64) -> bool {
    told.iter().any(|told| matches!(told, Told::Closed(incident) if incident.socket == socket))
}

#[test]
fn a_connection_is_told_before_its_transfers_and_its_close_after_them() {
    watch_both("read after the end", |_, story, _| {
        for is_client in [true, false] {
            let socket = story.end(is_client).socket;
            let kinds: Vec<char> = story
                .0
                .iter()
                .filter_map(|told| match told {
                    Told::Connection(it) if it.socket == socket => Some('c'),
                    Told::Transfer(it) if it.socket == socket => Some('t'),
                    Told::Connected(it) if it.socket == socket => Some('m'),
                    Told::Closed(it) if it.socket == socket => Some('x'),
                    _ => None,
                })
                .collect();
            assert_eq!(String::from_iter(kinds), if is_client { "cmttx" } else { "cttx" });
        }
    });
}

#[test]
fn a_reset_is_told_of_both_ends() {
    watch_both("reset", |_, story, _| {
        let resets: Vec<(u64, bool)> = story
            .0
            .iter()
            .filter_map(|told| match told {
                Told::Reset(incident) => Some((incident.socket, incident.flag)),
                _ => None,
            })
            .collect();
        let (client, server) = (story.end(true).socket, story.end(false).socket);
        assert!(resets.contains(&(client, false)), "the client sent it: {resets:?}");
        assert!(resets.contains(&(server, true)), "the server received it: {resets:?}");
        assert!(is_closed(&story.0, client) && is_closed(&story.0, server));
    });
}

#[test]
fn what_is_dropped_and_sent_again_is_told_of_either_end() {
    let filtered = drop_reasons().into_iter().find(|(_, name)| name == "SOCKET_FILTER").unwrap().0;
    watch_both("lossy", |_, story, said| {
        let (client, server) = (story.end(true).socket, story.end(false).socket);
        story.is_exact(&[REQUEST, REQUEST].concat(), b"");
        let times: u32 = said.parse().unwrap();
        assert!(times > 0);
        let retransmits: Vec<(u64, u32)> = story
            .0
            .iter()
            .filter_map(|told| match told {
                Told::Retransmit(incident) => Some((incident.socket, incident.retransmits)),
                _ => None,
            })
            .collect();
        assert_eq!(retransmits, (1..=times).map(|count| (client, count)).collect::<Vec<_>>());
        // All but the last were thrown away.
        let drops: Vec<u64> = story
            .0
            .iter()
            .filter_map(|told| match told {
                Told::Dropped(incident) if incident.reason == filtered => Some(incident.socket),
                _ => None,
            })
            .collect();
        assert_eq!(drops, vec![server; usize::try_from(times).unwrap()]);
    });
}

#[test]
fn a_connect_that_nobody_answers() {
    watch_both("unanswered", |_, story, _| {
        let socket = story.end(true).socket;
        let results = connects(&story.0);
        assert_eq!(results.len(), 1);
        assert!(results[0].flag && results[0].socket == socket, "{results:?}");
        assert_eq!(i32::from(results[0].reason), libc::ETIMEDOUT);
        assert!(results[0].retransmits > 0, "its first packet was sent again");
        assert!(is_closed(&story.0, socket));
    });
}

#[test]
fn a_descriptor_used_again_is_another_connection() {
    watch_both("same descriptor", |_, story, said| {
        let descriptors: HashSet<&str> = said.lines().collect();
        assert_eq!((said.lines().count(), descriptors.len()), (CONNECTIONS, 1), "it is always the same");
        let sockets: Vec<(u64, bool)> =
            story.connections().map(|it| (it.socket, it.is_client.unwrap())).collect();
        assert_eq!(sockets.len(), 2 * CONNECTIONS);
        assert_eq!(sockets.iter().map(|(socket, _)| socket).collect::<HashSet<_>>().len(), 2 * CONNECTIONS);
        for (socket, is_client) in sockets {
            for is_outbound in [true, false] {
                let transfers: Vec<_> = story
                    .transfers()
                    .filter(|it| it.socket == socket && it.is_outbound == is_outbound)
                    .collect();
                is_exact(&transfers, if is_client == is_outbound { REQUEST } else { RESPONSE });
            }
            assert!(is_closed(&story.0, socket));
        }
    });
}

#[test]
fn connections_older_than_the_programs() {
    if !is_privileged() {
        return;
    }
    let _alone = alone();
    for tier in BOTH {
        let mut actor = Actor::start("older");
        let ends = actor.said();
        let mut watch = Watch::tier(tier);
        let existing = watch.programs.take_existing();
        let of_actor = |is_client| {
            existing
                .iter()
                .find(|it| it.tgid == actor.tgid() && it.is_client == Some(is_client))
                .copied()
                .unwrap()
        };
        let (client, server) = (of_actor(true), of_actor(false));
        assert_eq!(format!("{} {}", client.local, client.peer), ends);
        assert_eq!(format!("{} {}", server.peer, server.local), ends);
        actor.go_on();
        let story = watch.until_exit(actor.tgid());
        actor.end();
        // The stream is counted from the first transfer that is seen.
        story.is_exact(REQUEST, RESPONSE);
        assert_eq!(format!("{} {}", story.end(true).local, story.end(true).peer), ends);
    }
}
