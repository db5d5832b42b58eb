use proptest::prelude::*;

use super::*;
use crate::otlp::{
    check::check,
    testing::{any_signal, valid_bytes},
};

/// An item with what surrounds it, outermost first; only the latter where a message has no items.
#[derive(Debug, PartialEq)]
struct Found {
    headers: Vec<Vec<u8>>,
    item: Option<Vec<u8>>,
}

fn found(signal: Signal, batches: &[Batch]) -> Vec<Found> {
    let mut all = Vec::new();
    for chunk in batches.iter().flat_map(Batch::chunks) {
        find(path(signal), chunk.bytes(), &mut Vec::new(), &mut all);
    }
    all
}

fn find(path: &[Step], message: &[u8], headers: &mut Vec<Vec<u8>>, all: &mut Vec<Found>) {
    let [step, below @ ..] = path else {
        all.push(Found { headers: headers.clone(), item: Some(message.to_vec()) });
        return;
    };
    let (children, others): (Vec<_>, Vec<_>) =
        Fields::of(message).flatten().partition(|field| step.leads_on(field.number));
    let repeated = others.iter().filter(|field| !step.once.contains(&field.number));
    headers.push(repeated.flat_map(|field| field.raw.to_vec()).collect());
    if children.is_empty() {
        all.push(Found { headers: headers.clone(), item: None });
    }
    for child in children {
        find(below, child.value.bytes(), headers, all);
    }
    headers.pop();
}

/// The original payloads of profiles, which only one part each may have.
fn payloads(batches: &[Batch]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let batches = batches.iter().filter(|batch| batch.signal() == Signal::Profiles);
    for chunk in batches.flat_map(Batch::chunks) {
        let groups = crate::otlp::view::resource_groups(chunk.bytes()).flat_map(|group| group.scope_groups());
        let profiles = groups.flat_map(|group| group.profiles());
        payloads.extend(profiles.map(|profile| profile.original_payload.to_vec()));
    }
    payloads.retain(|payload| !payload.is_empty());
    payloads
}

fn batches() -> impl Strategy<Value = Batch> {
    any_signal().prop_flat_map(|signal| {
        proptest::collection::vec(valid_bytes(signal), 1..4).prop_map(move |messages| {
            let chunks = messages.into_iter().map(|bytes| {
                let checked = check(signal, bytes.into()).unwrap();
                Chunk::new(checked.bytes, checked.items)
            });
            Batch::from_chunks(signal, chunks.collect(), Arc::new(Context::default()))
        })
    })
}

fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (0usize..40).prop_map(Limit::Items),
        (0usize..3000).prop_map(Limit::Bytes),
        (0usize..20_000).prop_map(Limit::Bytes),
    ]
}

proptest! {
    #[test]
    fn parts_hold_the_same_items_in_the_same_surroundings((batch, limit) in (batches(), limits())) {
        let signal = batch.signal();
        let parts = split(batch.clone(), limit);
        prop_assert_eq!(found(signal, &parts), found(signal, std::slice::from_ref(&batch)));
        prop_assert_eq!(payloads(&parts), payloads(std::slice::from_ref(&batch)));
        let origins = parts.iter().flat_map(Batch::origins);
        let mut origins: Vec<_> = origins.collect();
        origins.dedup();
        prop_assert_eq!(origins, batch.origins());
    }

    #[test]
    fn parts_are_canonical_and_within_the_limit((batch, limit) in (batches(), limits())) {
        let signal = batch.signal();
        for part in split(batch, limit) {
            let within = match limit {
                Limit::Items(most) => part.items() <= most,
                Limit::Bytes(most) => part.bytes() <= most,
            };
            prop_assert!(within || part.items() <= 1, "{} items, {} bytes", part.items(), part.bytes());
            prop_assert!(signal != Signal::Profiles || part.chunks().len() == 1);
            for chunk in part.chunks() {
                let checked = check(signal, chunk.bytes().clone()).unwrap();
                prop_assert!(!checked.canonicalised);
                prop_assert_eq!(checked.items, chunk.items());
            }
        }
    }

    #[test]
    fn all_parts_but_the_last_are_full((batch, most) in (batches(), 1usize..20)) {
        let joins = Batch::can_join(batch.signal());
        let mut parts = split(batch, Limit::Items(most));
        parts.pop();
        for part in parts.into_iter().filter(|_| joins) {
            prop_assert_eq!(part.items(), most);
        }
    }
}

/// A batch of one chunk: a resource with an attribute of this size around spans with a name of the other size.
fn spans(resource: usize, count: usize, name: usize) -> Batch {
    let mut bytes = Vec::new();
    Writer::new(&mut bytes).message(1, |group| {
        group.message(1, |message| message.message(1, |pair| pair.bytes(1, &vec![b'r'; resource])));
        group.message(2, |scope| {
            for _ in 0..count {
                scope.message(2, |span| span.bytes(5, &vec![b's'; name]));
            }
        });
    });
    Batch::new(Signal::Traces, Chunk::new(bytes.into(), count), Context::default())
}

#[test]
fn a_batch_within_the_limit_stays_untouched() {
    let batch = spans(10, 10, 10);
    let parts = split(batch.clone(), Limit::Items(10));
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].chunks()[0].bytes().as_ptr(), batch.chunks()[0].bytes().as_ptr());
}

#[test]
fn bytes_are_filled_to_the_brim() {
    // 7 bytes of framing and 29 of resource around 12 bytes a span.
    let parts = split(spans(23, 100, 8), Limit::Bytes(36 + 12 * 5));
    let sizes: Vec<_> = parts.iter().map(|part| (part.items(), part.bytes())).collect();
    assert!(sizes.iter().all(|(items, bytes)| *items == 5 && *bytes <= 96 && *bytes > 84), "{sizes:?}");
}

#[test]
fn whole_chunks_are_moved_and_the_rest_is_filled_up() {
    let mut batch = spans(1, 6, 4);
    let kept = batch.chunks()[0].bytes().as_ptr();
    batch.join(spans(1, 6, 4));
    let parts = split(batch, Limit::Items(8));
    assert_eq!(parts.iter().map(Batch::items).collect::<Vec<_>>(), [8, 4]);
    assert_eq!(parts[0].chunks()[0].bytes().as_ptr(), kept);
    assert_eq!(parts[0].chunks()[1].origin(), parts[1].chunks()[0].origin());
}

#[test]
fn a_huge_resource_does_not_multiply_without_end() {
    let batch = spans(1 << 20, 100_000, 0);
    let before = batch.bytes();
    let parts = split(batch, Limit::Items(1));
    assert_eq!(parts.iter().map(Batch::items).sum::<usize>(), 100_000);
    let after: usize = parts.iter().map(Batch::bytes).sum();
    assert!(after < 8 * before, "{before} bytes became {after}");
}
