use std::{collections::HashSet, time::Duration};

use bytes::Bytes;

use super::*;
use crate::ebpf_network::{
    exchange::Ending,
    record::{
        Outcome, Reason,
        testing::{BEGIN, Parts, Sample, W3C, ends, finish, push, recorder, records, sampling, text},
    },
    redaction::RedactionConfig,
    socket::Role,
    trace_context::{Context, Format},
};

const MILLISECOND: u64 = 1_000_000;

fn rules(json: &str) -> Rules {
    Rules::new(&sampling(json)).unwrap()
}

fn judged(rules: &Rules, sample: &Sample) -> Result<(Class, String), Skipped> {
    sample.with(|exchange| rules.judge(exchange).map(|sampled| (sampled.class, sampled.rule.name.clone())))
}

#[test]
fn classes_are_tried_in_order() {
    use Class::{ClientError, ServerError, Slow};
    let all = r#"{"default":{"min_duration":"300ms"}}"#;
    let only_slow = r#"{"default":{"status_5xx":false,"status_4xx":false,"min_duration":"300ms"}}"#;
    let without_duration = r"{}";
    for (config, status, milliseconds, expected) in [
        (all, 500, 1, Some(ServerError)),
        (all, 599, 900, Some(ServerError)),
        (all, 404, 900, Some(ClientError)),
        (all, 400, 1, Some(ClientError)),
        (all, 200, 300, Some(Slow)),
        (all, 200, 299, None),
        (all, 600, 1, None),
        (all, 399, 1, None),
        (only_slow, 500, 900, Some(Slow)),
        (only_slow, 404, 1, None),
        (without_duration, 200, 60_000, None),
        (without_duration, 503, 1, Some(ServerError)),
    ] {
        let sample = Sample::new("/", status, milliseconds * MILLISECOND);
        let class = judged(&rules(config), &sample).ok().map(|(class, _)| class);
        assert_eq!(class, expected, "{config} {status} {milliseconds}");
    }
}

#[test]
fn what_succeeds_sooner_than_remarkable_is_taken_by_no_rule() {
    let least = Duration::from_millis;
    for (config, after) in [
        (r"{}", Some(Duration::MAX)),
        (r#"{"default":{"min_duration":"300ms"}}"#, Some(least(300))),
        (
            r#"{"default":{"min_duration":"300ms"},"rules":[{"uri":"^/a","min_duration":"20ms"}]}"#,
            Some(least(20)),
        ),
        (r#"{"default":{"min_duration":"300ms"},"rules":[{"uri":"^/a"}]}"#, Some(least(300))),
        (r#"{"default":{"min_duration":"300ms"},"rules":[{"uri":"^/a","ratio":0.01}]}"#, None),
        (r#"{"default":{"min_duration":"0s"}}"#, None),
    ] {
        let rules = rules(config);
        assert_eq!(rules.remarkable_after(), after, "{config}");
        let Some(after) = after else { continue };
        for path in ["/", "/a"] {
            let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).min(1 << 40);
            let sooner = Sample::new(path, 302, nanoseconds - 1);
            assert_eq!(judged(&rules, &sooner), Err(Skipped::Unremarkable), "{config}");
        }
    }
}

#[test]
fn without_response_only_the_time_of_the_request_counts() {
    let mut sample = Sample::new("/", 500, 900 * MILLISECOND);
    sample.status = None;
    sample.ending = Ending::ConnectionClosed;
    assert_eq!(judged(&rules(r#"{"default":{"min_duration":"1ms"}}"#), &sample), Err(Skipped::Unremarkable));
    assert!(judged(&rules(r#"{"default":{"min_duration":"100ns"}}"#), &sample).is_ok());
}

#[test]
fn the_first_rule_that_matches_the_path_decides() {
    let rules = rules(
        r#"{"rules":[{"uri":"^/api/","name":"api"},{"uri":"orders"},{"uri":"secret","status_5xx":false}]}"#,
    );
    for (target, expected) in [
        ("/api/orders", "api"),
        ("/v2/orders?x=1", "orders"),
        ("/x?next=/api/", "default"),
        ("http://host/api/x", "api"),
        ("http://api/", "default"),
        ("*", "default"),
    ] {
        let (_, rule) = judged(&rules, &Sample::new(target, 500, 1)).unwrap();
        assert_eq!(rule, expected, "{target}");
    }
    assert_eq!(judged(&rules, &Sample::new("/secret", 500, 1)), Err(Skipped::Unremarkable));
}

#[test]
fn trace_contexts_decide_first() {
    let mut sample = Sample::new("/", 500, 1);
    sample.contexts = vec![Context { sampled: Some(false), ..W3C }];
    assert_eq!(judged(&rules("{}"), &sample), Err(Skipped::NotSampled));
    assert!(judged(&rules(r#"{"honour_sampled_flag":false}"#), &sample).is_ok());
    sample.contexts = vec![Context { sampled: None, ..W3C }];
    assert!(judged(&rules("{}"), &sample).is_ok());
    sample.contexts.clear();
    assert_eq!(judged(&rules("{}"), &sample), Err(Skipped::Untraced));
    assert!(judged(&rules(r#"{"untraced":true}"#), &sample).is_ok());
}

#[test]
fn a_ratio_takes_its_share_of_traces_on_all_sides_alike() {
    let rules = rules(r#"{"untraced":true,"default":{"status_4xx":false,"ratio":0.1}}"#);
    let mut sample = Sample::new("/", 200, 1);
    let mut taken = 0;
    for number in 0..2_000_u64 {
        let id: &'static str = Box::leak(
            format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 0xffff_ffff).into_boxed_str(),
        );
        let long: &'static str = Box::leak(format!("{:0>32}", id.to_uppercase()).into_boxed_str());
        sample.contexts = vec![Context { trace_id: id, ..W3C }];
        let class = judged(&rules, &sample).map(|(class, _)| class);
        assert!(matches!(class, Ok(Class::Ratio) | Err(Skipped::Unremarkable)));
        sample.contexts = vec![Context { trace_id: long, format: Format::B3, ..W3C }];
        assert_eq!(judged(&rules, &sample).map(|(class, _)| class), class);
        taken += usize::from(class.is_ok());
    }
    assert!((140..260).contains(&taken), "{taken} of 2000");
    assert_eq!(judged(&rules, &Sample::new("/", 503, 1)).unwrap().0, Class::ServerError);
}

#[test]
fn only_what_a_rule_can_use_is_wanted() {
    let rules = rules(
        r#"{"syscall_events":true,"rules":[
            {"uri":"^/both","request":{"content":true,"max_size":"1KiB"},"response":{"content":true,"max_size":"8KiB"}},
            {"uri":"^/request","request":{"content":true,"max_size":2000}},
            {"uri":"^/never","status_5xx":false,"status_4xx":false,"request":{"content":true,"max_size":"64KiB"}}]}"#,
    );
    assert_eq!(rules.limits(), Limits { request: 2000, response: 8192, syscalls: true });
    let wants = |sample: &Sample| sample.with(|exchange| rules.wants(&exchange.request));
    let both = Sample::new("/both", 200, 1);
    assert_eq!(wants(&both), Wants { request: 1024, response: 8192, syscalls: true });
    assert_eq!(
        wants(&Sample::new("/request?x", 200, 1)),
        Wants { request: 2000, response: 0, syscalls: true }
    );
    assert_eq!(wants(&Sample::new("/other", 200, 1)), Wants { request: 0, response: 0, syscalls: true });
    assert_eq!(wants(&Sample::new("/never", 200, 1)), Wants::default());
    assert_eq!(wants(&Sample { contexts: Vec::new(), ..both }), Wants::default());
}

#[test]
fn the_longest_of_each_class_and_pair_are_held() {
    let mut top = Top::new(2);
    let resource = Bytes::from_static(b"r");
    let pair = Pair::new(1, Role::Server, &ends());
    let mut offer = |pair, class, duration: u64| {
        top.offer(pair, class, duration, (1, &resource), |record| record.extend(duration.to_le_bytes()))
    };
    assert_eq!(offer(pair, Class::Slow, 5), Offer::Held);
    assert_eq!(offer(pair, Class::Slow, 3), Offer::Held);
    assert_eq!(offer(pair, Class::Slow, 3), Offer::Shorter);
    assert_eq!(offer(pair, Class::Slow, 9), Offer::Replaced);
    assert_eq!(offer(pair, Class::Slow, 4), Offer::Shorter);
    assert_eq!(offer(pair, Class::ClientError, 1), Offer::Held);
    // Another connection of the same pair, then another peer.
    let mut other = ends();
    other.peer.set_port(1);
    assert_eq!(offer(Pair::new(1, Role::Server, &other), Class::Slow, 1), Offer::Shorter);
    assert_eq!(offer(Pair::new(1, Role::Client, &other), Class::Slow, 2), Offer::Held);
    other.peer = "10.9.9.9:1".parse().unwrap();
    assert_eq!(offer(Pair::new(1, Role::Server, &other), Class::Slow, 7), Offer::Held);
    let mut held = HashSet::new();
    top.drain(|_, _, record| assert!(held.insert(record.to_vec())));
    assert_eq!(held, [5_u64, 9, 1, 2, 7].map(|duration| duration.to_le_bytes().to_vec()).into());
    assert_eq!(top.bytes(), 0);
    top.drain(|_, _, _| panic!("a window starts empty"));
}

#[test]
fn a_window_is_bounded_in_bytes() {
    let mut top = Top::new(1);
    let resource = Bytes::from_static(b"r");
    let mut outcomes = HashSet::new();
    for process in 0..40 {
        let pair = Pair::new(process, Role::Server, &ends());
        let offer = top.offer(pair, Class::Slow, 5, (process, &resource), |record| record.resize(1 << 20, 0));
        outcomes.insert(offer == Offer::Full);
    }
    assert_eq!(outcomes.len(), 2);
    assert!(top.bytes() <= 33 << 20);
    let first = Pair::new(0, Role::Server, &ends());
    assert_eq!(top.offer(first, Class::Slow, 6, (0, &resource), |_| {}), Offer::Replaced);
}

#[test]
fn records_come_when_their_window_ends() {
    let config = sampling(r#"{"top":2,"window":"2s"}"#);
    let mut recorder = recorder(&config, &RedactionConfig::default());
    let second = 1_000_000_000;
    for duration in [3, 1, 2] {
        push(&mut recorder, &Sample::new(&format!("/{duration}"), 500, duration * 1_000), BEGIN);
    }
    recorder.roll(BEGIN + 2 * second - 1);
    assert_eq!((recorder.records(), recorder.bytes() > 0), (0, true));
    // The next one rolls the window over and opens another.
    assert_eq!(push(&mut recorder, &Sample::new("/next", 500, 1), BEGIN + 2 * second), Outcome::Held);
    assert_eq!(recorder.records(), 2);
    let first = records(&recorder.finish().unwrap());
    let mut paths: Vec<_> = first.iter().map(|record| text(record, "url.path")).collect();
    paths.sort();
    assert_eq!(paths, ["/2", "/3"]);
    assert!(recorder.finish().is_none());
    recorder.roll(BEGIN + 4 * second);
    assert_eq!(recorder.records(), 1);
    assert_eq!(records(&finish(&mut recorder).unwrap()).len(), 1);
}

#[test]
fn every_exchange_without_record_has_a_reason() {
    let config = sampling(r#"{"top":1}"#);
    let mut recorder = recorder(&config, &RedactionConfig::default());
    let untraced = Sample { contexts: Vec::new(), ..Sample::new("/", 500, 1) };
    let mut outcome = |sample: &Sample| push(&mut recorder, sample, BEGIN);
    assert_eq!(outcome(&untraced), Outcome::Dropped(Reason::Skipped(Skipped::Untraced)));
    assert_eq!(outcome(&Sample::new("/", 200, 1)), Outcome::Dropped(Reason::Skipped(Skipped::Unremarkable)));
    assert_eq!(outcome(&Sample::new("/", 500, 1)), Outcome::Held);
    assert_eq!(outcome(&Sample::new("/", 500, 1)), Outcome::Dropped(Reason::Shorter));
    assert_eq!(outcome(&Sample::new("/", 500, 200)), Outcome::Replaced);
}

#[test]
fn problems_are_located() {
    for (json, key, words) in [
        (r#"{"rules":[{"uri":"a"},{"uri":"/x(?"}]}"#, "sampling.rules.1.uri", "/x(?"),
        (r#"{"rules":[{"uri":"(a{1000}){1000}"}]}"#, "sampling.rules.0.uri", "size limit"),
        (r#"{"rules":[{"status_5xx":true}]}"#, "sampling.rules.0", "needs a \"uri\""),
        (r#"{"default":{"uri":"x"}}"#, "sampling.default.uri", "below \"rules\""),
        (r#"{"default":{"ratio":1.5}}"#, "sampling.default.ratio", "from 0 to 1"),
        (
            r#"{"default":{"request":{"content":true,"max_size":"1MiB"}}}"#,
            "sampling.default.request.max_size",
            "64KiB",
        ),
        (r#"{"top":0}"#, "sampling.top", "1 to 1000"),
        (r#"{"window":"1ms"}"#, "sampling.window", "100ms to 1m"),
    ] {
        let problems = sampling(json).problems("sampling");
        assert_eq!(problems.len(), 1, "{json}: {problems:?}");
        assert_eq!(problems[0].key, key, "{json}");
        assert!(problems[0].message.contains(words), "{json}: {}", problems[0].message);
    }
    assert!(sampling("{}").problems("sampling").is_empty());
}

#[test]
fn targets_of_every_form_are_split() {
    for (target, path, query) in [
        ("/a/b?c=d?e", "/a/b", "c=d?e"),
        ("http://user@host:80/a?b", "/a", "b"),
        ("http://host", "/", ""),
        ("http://host?b", "/", "b"),
        ("host:443", "", ""),
        ("*", "*", ""),
        ("/a#b", "/a", ""),
        ("/redirect/http://x/y", "/redirect/http://x/y", ""),
        ("", "", ""),
    ] {
        let found = split(target);
        assert_eq!((found.path, found.query), (path, query), "{target}");
    }
}

#[test]
fn content_is_only_kept_where_the_rule_says_so() {
    let config = sampling(r#"{"default":{"response":{"content":true}}}"#);
    let mut recorder = recorder(&config, &RedactionConfig::default());
    let sample =
        Sample { response: Parts::new("HTTP/1.1 500 No\r\n\r\n", "gone"), ..Sample::new("/", 500, 1) };
    push(&mut recorder, &sample, BEGIN);
    let record = records(&finish(&mut recorder).unwrap()).remove(0);
    assert_eq!(text(&record, "sluice.request.content"), "");
    assert_eq!(text(&record, "sluice.response.content"), "HTTP/1.1 500 No\r\n\r\ngone");
}
