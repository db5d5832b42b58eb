//! The store against a naive one.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use sluice_pipeline::{budget::Budget, component::ComponentContext};

use super::*;
use crate::prometheus_model::{Exponential, Value};

/// What happens to a family.
#[derive(Clone, Debug)]
enum Event {
    Cumulative { series: u8, start: u64, time: u64, value: u32 },
    Delta { series: u8, start: u64, time: u64, value: u32 },
    End { series: u8, time: u64 },
    Sweep { later: u64 },
}

/// A series as simply as it can be told.
#[derive(Clone, Debug, PartialEq)]
struct Naive {
    start: u64,
    time: u64,
    total: f64,
    /// The intervals added up, of a delta series.
    intervals: Option<Vec<(u64, u64)>>,
    updated: u64,
}

const EXPIRATION: u64 = 300_000;
const MOST: usize = 3;

fn apply(series: &mut BTreeMap<u8, Naive>, event: &Event, now: Moment) -> bool {
    let room = series.len() < MOST;
    match *event {
        Event::Cumulative { series: name, start, time, value } => {
            let new = Naive { start, time, total: f64::from(value), intervals: None, updated: now.elapsed };
            match series.get_mut(&name) {
                None if !room => return false,
                None => drop(series.insert(name, new)),
                Some(held) => {
                    let older = start > 0 && start < held.start;
                    if held.intervals.is_some() || older || time < held.time {
                        return false;
                    }
                    *held = Naive { start: start.max(held.start), ..new };
                }
            }
        }
        Event::Delta { series: name, start, time, value } => match series.get_mut(&name) {
            None if !room => return false,
            None => {
                let begin = if start == 0 { time } else { start };
                let intervals = Some(vec![(start, time)]);
                let updated = now.elapsed;
                series
                    .insert(name, Naive { start: begin, time, total: f64::from(value), intervals, updated });
            }
            Some(Naive { intervals: None, .. }) => return false,
            Some(held) => {
                let intervals = held.intervals.as_mut().unwrap();
                if intervals.iter().rev().take(4).any(|known| *known == (start, time)) {
                    return false;
                }
                intervals.push((start, time));
                held.total += f64::from(value);
                held.time = held.time.max(time);
                held.updated = now.elapsed;
            }
        },
        Event::End { series: name, time } => match series.get(&name) {
            Some(held) if time < held.time => return false,
            _ => drop(series.remove(&name)),
        },
        Event::Sweep { .. } => {
            series.retain(|_, held| held.updated >= now.elapsed.saturating_sub(EXPIRATION));
        }
    }
    true
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let point = || (0..5_u8, 0..4_u64, 1..12_u64, 0..100_u32);
    let event = prop_oneof![
        4 => point().prop_map(|(series, start, time, value)| Event::Cumulative { series, start, time, value }),
        4 => point().prop_map(|(series, start, time, value)| Event::Delta { series, start, time, value }),
        1 => (0..5_u8, 1..12_u64).prop_map(|(series, time)| Event::End { series, time }),
        1 => (0..400_000_u64).prop_map(|later| Event::Sweep { later }),
    ];
    proptest::collection::vec(event, 0..60)
}

fn about() -> About {
    About { name: "m_total".into(), kind: Kind::Counter, help: "".into(), unit: "".into() }
}

proptest! {
    #[test]
    fn series_are_what_a_naive_store_has(events in events()) {
        let budget = Budget::new(1 << 30);
        let keys = PrometheusKeys { max_series: MOST, ..PrometheusKeys::default() };
        let store = Store::new(&keys, &ComponentContext::detached("prometheus", budget.clone()));
        let mut naive = BTreeMap::new();
        let mut now = Moment { unix_nano: 1 << 60, elapsed: 0 };
        for event in &events {
            if let Event::Sweep { later } = event {
                now.elapsed += later;
            }
            let labels = |series: u8| format!("series=\"{series}\"");
            let mut family = store.family(&about()).unwrap();
            let taken = match *event {
                Event::Cumulative { series, start, time, value } | Event::Delta { series, start, time, value } => {
                    let delta = matches!(event, Event::Delta { .. });
                    let value = Value::Number(f64::from(value));
                    let point = Point { start, time, delta, value, exemplars: Vec::new() };
                    store.take(&mut family, &labels(series), point, now).is_ok()
                }
                Event::End { series, time } => store.end(&family, &labels(series), time, now).is_ok(),
                Event::Sweep { .. } => {
                    store.sweep(now);
                    true
                }
            };
            prop_assert_eq!(taken, apply(&mut naive, event, now), "{:?}", event);
        }
        let mut held = BTreeMap::new();
        let family = store.family(&about()).unwrap();
        family.read(&mut Cursor::default(), 0, |series| {
            let Value::Number(value) = series.value else { return false };
            held.insert(series.labels.to_string(), (series.start, series.time, value)).is_none()
        });
        let expected: BTreeMap<String, (u64, u64, f64)> = naive
            .iter()
            .map(|(name, series)| (format!("series=\"{name}\""), (series.start, series.time, series.total)))
            .collect();
        prop_assert_eq!(held, expected);
        prop_assert_eq!(store.series(), naive.len());
        now.elapsed += 2 * EXPIRATION;
        store.sweep(now);
        prop_assert_eq!((store.series(), budget.used()), (0, 0), "nothing is left behind");
    }

    /// Observations at the finest scale; whatever scales they are sent in, each is in the bucket that it belongs to.
    #[test]
    fn exponential_histograms_add_up_exactly(
        sent in proptest::collection::vec((-4..12_i32, proptest::collection::vec(-60_000..60_000_i64, 1..20)), 1..6)
    ) {
        let mut total: Option<Exponential> = None;
        let mut all: Vec<&i64> = Vec::new();
        for (scale, observations) in &sent {
            // Indices at scale 12, the finest that is sent.
            let indices: Vec<i64> = observations.iter().map(|index| index >> (12 - scale)).collect();
            let first = *indices.iter().min().unwrap();
            let width = usize::try_from(indices.iter().max().unwrap() - first + 1).unwrap();
            if width > 16_000 {
                continue;
            }
            let mut counts = vec![0; width];
            for index in &indices {
                counts[usize::try_from(index - first).unwrap()] += 1;
            }
            let point = Exponential { count: observations.len() as u64, sum: Some(1.0), ..Exponential::default() };
            let offset = i32::try_from(first).unwrap();
            let none = (0, std::iter::empty());
            let more = point.with_buckets(*scale, (offset, counts.into_iter()), none).unwrap();
            all.extend(observations);
            match &mut total {
                Some(total) => total.add(more),
                None => total = Some(more),
            }
        }
        if let Some(total) = total {
            let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
            for observation in &all {
                *expected.entry(**observation >> (12 - total.scale)).or_default() += 1;
            }
            let offset = i64::from(total.positive.offset);
            let held: BTreeMap<i64, u64> =
                (offset..).zip(total.positive.counts.clone()).filter(|(_, count)| *count > 0).collect();
            prop_assert_eq!(held, expected);
            prop_assert_eq!(total.count, all.len() as u64);
            prop_assert!((-4..=8).contains(&total.scale) && total.positive.counts.len() <= 1024);
        }
    }
}

#[test]
fn exemplars_are_bounded_and_the_newest_stay() {
    let exemplar = |value: f64, time: u64| Exemplar { labels: "".into(), value, time };
    let mut any = Vec::new();
    exemplars::merge(
        &mut any,
        (0..50_u32).map(|at| exemplar(f64::from(at), u64::from(at))).collect(),
        &exemplars::Place::Any,
    );
    assert_eq!(any.iter().map(|exemplar| exemplar.time).collect::<Vec<_>>(), (40..50).collect::<Vec<_>>());
    let mut buckets = Vec::new();
    let place = exemplars::Place::Bucket(&[1.0, 2.0]);
    let newer =
        vec![exemplar(9.0, 1), exemplar(1.0, 5), exemplar(0.5, 4), exemplar(1.5, 2), exemplar(8.0, 3)];
    exemplars::merge(&mut buckets, newer, &place);
    assert_eq!(buckets, [exemplar(1.0, 5), exemplar(1.5, 2), exemplar(8.0, 3)]);
}

#[test]
fn a_scrape_shows_each_series_once_while_others_come_and_go() {
    let store = Store::new(
        &PrometheusKeys::default(),
        &ComponentContext::detached("prometheus", Budget::new(1 << 30)),
    );
    let now = Moment { unix_nano: 1 << 60, elapsed: 0 };
    let mut family = store.family(&about()).unwrap();
    let add = |family: &mut Arc<Family>, labels: &str| {
        let point =
            Point { start: 1, time: 2, delta: false, value: Value::Number(1.0), exemplars: Vec::new() };
        store.take(family, labels, point, now).unwrap();
    };
    for labels in ["a", "b", "c"] {
        add(&mut family, labels);
    }
    let mut seen: Vec<String> = Vec::new();
    let mut cursor = Cursor::default();
    let scraped = Arc::clone(&family);
    let mut step = |seen: &mut Vec<String>| {
        scraped.read(&mut cursor, 0, |series| {
            seen.push(series.labels.to_string());
            false
        })
    };
    assert!(step(&mut seen));
    store.end(&family, "a", 2, now).unwrap();
    add(&mut family, "a");
    store.end(&family, "c", 2, now).unwrap();
    add(&mut family, "c");
    while step(&mut seen) {}
    assert_eq!(seen, ["a", "b"], "what came back is part of the next scrape");
}
