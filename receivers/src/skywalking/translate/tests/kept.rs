//! Segments that are kept as they came are what they would have become.

use sluice_pipeline::grpc::frame;
use sluice_protocols::skywalking::COLLECT_SEGMENTS;

use super::*;

const LIMIT: u64 = 1 << 30;

/// The messages that were kept, and what they become.
fn keep(kind: Kind, rules: Rules, messages: &[Vec<u8>], budget: &Budget) -> (Option<Chunk>, Translator) {
    let mut translator = Translator::new(kind, rules).charged_to(budget).keeping(budget);
    for message in messages {
        translator.push(message).unwrap();
    }
    (translator.take_kept(), translator)
}

fn messages_of(chunk: &Chunk) -> Vec<Vec<u8>> {
    let framed = chunk.native().unwrap().messages_of(COLLECT_SEGMENTS).unwrap();
    frame::each(framed).map(<[u8]>::to_vec).collect()
}

/// With as much text as agents' segments have, so that they grow no more than those.
fn with_text(mut segment: v3::SegmentObject) -> v3::SegmentObject {
    segment.service = "s".repeat(200);
    segment
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn they_go_on_as_they_came_and_read_as_translated(
        segments in proptest::collection::vec(samples::segment().prop_map(with_text), 1..4),
        contrib: bool,
    ) {
        let rules = if contrib { Rules::Contrib } else { Rules::Distinct };
        let messages: Vec<_> =
            segments.iter().filter(|segment| !segment.spans.is_empty()).map(Message::encode_to_vec).collect();
        let budget = Budget::new(LIMIT);
        let (kept, mut rest) = keep(Kind::Segment, rules, &messages, &budget);
        prop_assert!(rest.take().is_none());
        let Some(kept) = kept else {
            prop_assert!(messages.is_empty());
            return Ok(());
        };
        let expected = translate_by(Kind::Segment, rules, &messages).unwrap();
        prop_assert_eq!(messages_of(&kept), messages);
        prop_assert_eq!((kept.items(), &kept.bytes()[..]), (expected.items, &expected.bytes[..]));
        prop_assert!(budget.used() >= kept.memory() as u64, "charged is also what they become");
        drop(kept);
        prop_assert_eq!(budget.used(), 0);
    }

    /// Broken in any place they are refused, or taken, as if they were translated.
    #[test]
    fn they_are_refused_where_translating_fails(
        segment in samples::segment().prop_map(with_text),
        place: proptest::sample::Index,
        byte: u8,
        end: proptest::sample::Index,
    ) {
        let mut message = segment.encode_to_vec();
        *place.get_mut(&mut message) = byte;
        message.truncate(message.len() - end.index(3));
        for kind in [Kind::Segment, Kind::SegmentCollection] {
            let budget = Budget::new(LIMIT);
            let mut eager = Translator::new(kind, Rules::Distinct);
            let mut keeping = Translator::new(kind, Rules::Distinct).charged_to(&budget).keeping(&budget);
            prop_assert_eq!(keeping.push(&message).is_ok(), eager.push(&message).is_ok());
            let kept = keeping.take_kept();
            let translated = keeping.take().map(|(translated, _)| translated.bytes);
            prop_assert!(kept.is_none() || translated.is_none(), "a message goes one way");
            let found = kept.map(|chunk| chunk.bytes().to_vec()).or(translated);
            prop_assert_eq!(found, eager.take().map(|(translated, _)| translated.bytes));
        }
    }
}

#[test]
fn the_segments_of_a_collection_are_messages_of_their_own() {
    let segments = ["a", "b"].map(|id| segment(id, vec![span(0, -1)]));
    let collection = v3::SegmentCollection { segments: segments.to_vec() }.encode_to_vec();
    let (kept, _) = keep(Kind::SegmentCollection, Rules::Distinct, &[collection], &Budget::new(LIMIT));
    let kept = kept.unwrap();
    assert_eq!((kept.items(), messages_of(&kept)), (2, encoded(&segments)));
}

#[test]
fn segments_without_spans_are_gone_and_cost_nothing() {
    let budget = Budget::new(LIMIT);
    let empty = segment("s", Vec::new()).encode_to_vec();
    let (kept, mut rest) = keep(Kind::Segment, Rules::Distinct, &[empty, Vec::new()], &budget);
    assert!(kept.is_none() && rest.take().is_none());
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_has_to_be_repaired_is_translated() {
    let mut message = segment("s", vec![span(0, -1)]).encode_to_vec();
    message.extend_from_slice(&[0x22, 0x02, b'a', 0xff]);
    let [before, after] = ["t", "u"].map(|id| segment(id, vec![span(0, -1)]).encode_to_vec());
    let messages = [before.clone(), message, after.clone()];
    let (kept, mut rest) = keep(Kind::Segment, Rules::Distinct, &messages, &Budget::new(LIMIT));
    assert_eq!(messages_of(&kept.unwrap()), [before]);
    let (translated, _) = rest.take().unwrap();
    assert_eq!((translated.items, translated.repaired), (2, 1), "nothing overtakes it");
    rest.push(&after).unwrap();
    assert_eq!(messages_of(&rest.take_kept().unwrap()), [after]);
}

#[test]
fn each_occurrence_of_a_text_is_looked_at() {
    let segment = segment("s", vec![span(0, -1)]).encode_to_vec();
    // Of a tag with two keys the last counts, but OAP would not take the first.
    let tag = [0x0a, 1, 0xff, 0x0a, 1, b'a'];
    let mut span = vec![0x62, 6];
    span.extend(tag);
    let mut message = vec![0x1a, 8];
    message.extend(span);
    message.extend(segment);
    let (kept, mut rest) = keep(Kind::Segment, Rules::Distinct, &[message], &Budget::new(LIMIT));
    assert!(kept.is_none());
    assert_eq!(rest.take().unwrap().0.items, 2);
}

#[test]
fn what_is_long_is_translated_while_there_is_memory() {
    let budget = Budget::new(LIMIT);
    let text = "x".repeat(3 << 19);
    let (kept, mut rest) =
        keep(Kind::Segment, Rules::Distinct, &[segment(&text, vec![span(0, -1)]).encode_to_vec()], &budget);
    assert!(kept.is_none());
    assert_eq!(rest.take().unwrap().0.items, 1);
    // Many that are nothing take nothing.
    let nothing = [0x0a, 0].repeat(400_000);
    let (kept, mut rest) = keep(Kind::SegmentCollection, Rules::Distinct, &[nothing], &Budget::new(1 << 16));
    assert!(kept.is_none() && rest.take().is_none());
}

#[test]
fn they_are_cut_by_what_they_become() {
    let message = with_text(segment("s", vec![span(0, -1); 5])).encode_to_vec();
    let budget = Budget::new(LIMIT);
    let mut translator = Translator::new(Kind::Segment, Rules::Distinct).charged_to(&budget).keeping(&budget);
    translator.push(&message).unwrap();
    let size = translator.size();
    let kept = translator.take_kept().unwrap();
    assert!(kept.bytes().len() > message.len() && size >= kept.bytes().len(), "{size}");
    assert!(kept.room() >= kept.memory(), "room is asked for both forms");
}

#[test]
fn what_may_grow_too_much_is_metered() {
    let budget = Budget::new(4 << 20);
    // 100 MB of OTLP of 100 kB.
    let greedy = segment(&"x".repeat(100_000), (0..1000).map(|id| span(id, -1)).collect());
    let mut translator = Translator::new(Kind::Segment, Rules::Distinct).charged_to(&budget).keeping(&budget);
    assert!(matches!(translator.push(&greedy.encode_to_vec()), Err(Malformed::Exhausted(_))));
    drop(translator);
    assert_eq!(budget.used(), 0);
}
