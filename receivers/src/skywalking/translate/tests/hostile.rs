//! Messages that are too large, broken, or no text.

use super::*;

#[test]
fn a_large_segment_is_taken_whole() {
    let spans = (0..100_000).map(|id| span(id, id - 1)).collect();
    let translated = translate(Kind::Segment, &encoded(&[segment("s", spans)])).unwrap();
    assert_eq!(translated.items, 100_000);
}

#[test]
fn a_broken_message_leaves_nothing_and_the_next_is_taken() {
    let good = segment("s", vec![span(0, -1)]).encode_to_vec();
    let mut broken = segment("s", vec![span(0, -1), span(1, 0)]).encode_to_vec();
    broken.extend_from_slice(&[0x1a, 0x02, 0x08]);
    let mut translator = Translator::new(Kind::Segment, Rules::Distinct);
    assert!(translator.push(&broken).is_err());
    translator.push(&good).unwrap();
    assert_eq!(translator.take().unwrap().0.items, 1);
    assert!(translator.take().is_none());
}

#[test]
fn what_a_message_becomes_is_charged_while_it_grows() {
    let budget = Budget::new(4 << 20);
    let mut greedy = segment(&"x".repeat(100_000), (0..1000).map(|id| span(id, -1)).collect());
    let mut translator = Translator::new(Kind::Segment, Rules::Distinct).charged_to(&budget);
    let refused = translator.push(&greedy.encode_to_vec()).unwrap_err();
    assert!(matches!(refused, Malformed::Exhausted(_)), "100 MB of OTLP from 100 kB");
    greedy.spans.truncate(2);
    translator.push(&greedy.encode_to_vec()).unwrap();
    let (translated, charge) = translator.take().unwrap();
    assert_eq!(translated.items, 2);
    drop(charge);
    assert_eq!(budget.used(), 0);
    let list = [0x0a, 0x00].repeat(100_000);
    let mut translator = Translator::new(Kind::MeterCollection, Rules::Distinct).charged_to(&budget);
    assert!(matches!(translator.push(&list), Err(Malformed::Exhausted(_))), "a list of nothing");
}

#[test]
fn invalid_text_is_repaired_and_counted() {
    let mut message = segment("s", vec![span(0, -1)]).encode_to_vec();
    message.extend_from_slice(&[0x22, 0x02, b'a', 0xff]);
    let translated = translate(Kind::Segment, &[message]).unwrap();
    assert_eq!(translated.repaired, 1);
    let resource = traces(&translated).resource_spans.remove(0).resource.unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), "a\u{fffd}");
}
