//! The body of a unary call at the door.

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use sluice_pipeline::budget::Budget;
use sluice_pipeline::compression::{compress, decompress_charged};
use sluice_pipeline::grpc::frame;
use sluice_pipeline::http::body::{self, Limits as BodyLimits, Pace};

use super::compression::ENCODINGS;
use super::{fail, otlp, tagged};

/// The largest message , and the budget that it is charged to, which some inputs exceed.
const MESSAGE: usize = 256 << 10;
const BUDGET: u64 = 384 << 10;

pub(super) const TOKENS: &[&[u8]] =
    &[b"\x00\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01", b"\xff\xff\xff\xff", b"\x00\x00\x10\x00\x00"];

thread_local! {
    /// Bodies are read under timers.
    static CLOCK: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap_or_else(|error| fail(&error.to_string()));
}

/// Framed messages, compressed and not, cut into pieces of one byte and of many.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let message = otlp::messages().swap_remove(0).1;
    let framed = |compressed: bool, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap_or(0);
        [&frame::prefix(compressed, length)[..], message].concat()
    };
    let with = |place: usize, cut: u8, body: &[u8]| tagged(place, &[&[cut][..], body].concat());
    let plain = framed(false, &message);
    let large = framed(false, &vec![7; 200_000]);
    let mut seeds =
        vec![with(0, 0, &plain), with(0, 255, &plain), with(0, 255, &large), with(0, 9, &plain.repeat(2))];
    for (place, encoding) in ENCODINGS.into_iter().enumerate() {
        for content in [message.clone(), vec![0; 300_000]] {
            let packed = compress(encoding, None, &[content.into()]).unwrap_or_default();
            seeds.push(with(place, 63, &framed(true, &packed)));
        }
    }
    seeds
}

/// The way of a unary call's body at the door: read in pieces, charged, unframed, decompressed. The first byte says
/// how it is compressed, the second where it is cut into pieces.
pub(super) fn run(input: &[u8]) -> String {
    let [encoding, cut, body @ ..] = input else { return String::new() };
    let Some(encoding) = ENCODINGS.get(usize::from(*encoding) % ENCODINGS.len()) else {
        return String::new();
    };
    let budget = Budget::new(BUDGET);
    let pieces = body
        .chunks(usize::from(*cut) + 1)
        .map(|piece| Ok::<_, String>(Frame::data(Bytes::copy_from_slice(piece))));
    let limits = BodyLimits {
        budget: &budget,
        bytes: MESSAGE,
        key: "max_recv_msg_size_mib",
        pace: Pace::default(),
        deadline: None,
    };
    let reading = body::read(StreamBody::new(stream::iter(pieces)), limits, frame::announced);
    let admitted = match CLOCK.with(|clock| clock.block_on(reading)) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            assert_eq!(budget.used(), 0, "a refused body keeps a charge");
            return refusal.reason().to_owned();
        }
    };
    assert_eq!(admitted.bytes, body, "what was read is not what was sent");
    assert!(budget.used() >= body.len() as u64, "not all that is held is charged");
    let mut charge = admitted.charge;
    let said = match frame::message(admitted.bytes) {
        Ok((compressed, message)) => {
            let again = [&frame::prefix(compressed, u32::try_from(message.len()).unwrap_or(0))[..], &message]
                .concat();
            assert_eq!(again, body, "a frame does not round-trip");
            match compressed.then(|| decompress_charged(*encoding, &message, MESSAGE, &mut charge)) {
                Some(Ok(content)) => {
                    assert!(content.bytes.len() <= MESSAGE, "more came out than may");
                    assert!(
                        budget.used() >= (body.len() + content.bytes.len()) as u64,
                        "content is not charged"
                    );
                    format!("ok {}", content.whole)
                }
                Some(Err(error)) => error.to_string(),
                None => "ok".to_owned(),
            }
        }
        Err(error) => error.to_string(),
    };
    drop(charge);
    assert_eq!(budget.used(), 0, "a charge outlives its call");
    said
}
