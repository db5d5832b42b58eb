//! The record writer of the eBPF receiver: whatever stands around them, secrets stay out of valid records.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use sluice_pipeline::{Signal, otlp::check::check};
use sluice_receivers::ebpf_network::{
    exchange::{Ending, Exchange, Message, Request, Response},
    record::{Clock, Outcome, Process, Recorder},
    redaction::{RedactionConfig, Redactor},
    sampling::{ContentConfig, RuleConfig, Rules, SamplingConfig},
    socket::{Ends, Role},
    trace_context::Contexts,
};

use super::fail;

/// No mutation makes this, and none of it is anywhere else.
const SECRET: &str = "q7ZxW2vKp9LmR4tB";

pub(super) const DICTIONARY: &[&[u8]] = &[
    b"\r\n",
    b"\r\n ",
    b"\r",
    b"\r\n\r\n",
    b"Cookie: ",
    b"Content-Type: application/json",
    b"Content-Type: text/html",
    b"Content-Type: application/x-www-form-urlencoded",
    b"Content-Encoding: gzip",
    b"; charset=iso-8859-1",
    b"password=",
    b"%70assword%3D",
    b"\"token\":",
    b"\\u0074oken",
    b"http://",
    b"https%3A%2F%2F",
    b"@",
    b"%40",
    b"&",
    b"Bearer ",
    b"eyJhbGciOiJIUzI1NiJ9.",
    b"-----BEGIN PRIVATE KEY-----",
    b"<password>",
    b"</",
    b"<input name=\"token\" value=\"",
    b"{\"a\":[",
    b"'",
    b"\"",
    b"\x1f\x8b\x08\x00",
    b"\xff",
];

/// Where the secret goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A header after the input.
    Header,
    /// The last member of a JSON body after the input.
    Json,
    /// The last field of a form after the input.
    Form,
    /// The last key of the query, the input before it.
    Query,
    /// Nowhere: the input is the body, of the type that it says.
    None,
}

const PLACES: [Place; 5] = [Place::Header, Place::Json, Place::Form, Place::Query, Place::None];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    const INPUTS: [&[u8]; 5] = [
        b"Host: shop\r\nX-Api-Key: a\r\n b\r\nReferer: http://a:b@c/?token=d\r\n",
        br#"{"a":[1,{"password":"b","log":"{\"token\":\"c\"}"}],"url":"http:\/\/a:b@c","#,
        b"a=b&user%5Bpassword%5D=c&d=e",
        b"a=b&next=https%3A%2F%2Fx%2F%3Fcode%3Dy",
        b"Content-Type: text/html\r\n\r\n<a><password>b</password><input name='token' value=\"c\"></a>",
    ];
    let inputs = INPUTS.iter().enumerate().flat_map(|(place, input)| [(place, *input), (4, *input)]);
    inputs
        .map(|(place, input)| {
            #[expect(clippy::cast_possible_truncation, reason = "a place in a short list")]
            let mut seed = vec![place as u8, 0];
            seed.extend_from_slice(input);
            seed
        })
        .collect()
}

/// The first byte tells the place, the second how much is cut off in the end.
pub(super) fn run(input: &[u8]) -> String {
    let [place, cut, input @ ..] = input else { return String::new() };
    let place = PLACES[usize::from(*place) % PLACES.len()];
    let (head, body) = message(place, input);
    let cut = usize::from(*cut) % 64;
    let whole = (head.len(), body.len());
    let body_length = body.len().saturating_sub(cut);
    let head_length = head.len() - cut.saturating_sub(body.len()).min(head.len());
    let logs = record(&head[..head_length], &body[..body_length], whole);
    let checked = match check(Signal::Logs, logs.clone().into()) {
        Ok(checked) => checked,
        Err(error) => fail(&format!("a record was written that the door refuses: {error}")),
    };
    assert!(!checked.canonicalised && checked.repaired == 0, "a record was written that is not canonical");
    assert_eq!(checked.items, 1, "a record was lost");
    for part in SECRET.as_bytes().windows(6) {
        assert!(!logs.windows(6).any(|window| window == part), "a part of the secret is in the record");
    }
    format!("{place:?} {}", logs.len().checked_ilog2().unwrap_or(0))
}

fn message(place: Place, input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let typed = |kind: &str| format!("GET / HTTP/1.1\r\nContent-Type: {kind}\r\n\r\n").into_bytes();
    let after = |secret: &str| [input, secret.as_bytes()].concat();
    match place {
        Place::Header => {
            let secret = format!("\r\nAuthorization: {SECRET}\r\n\r\n");
            ([b"GET / HTTP/1.1\r\nX: 1", input, secret.as_bytes()].concat(), Vec::new())
        }
        Place::Json => (typed("application/json"), after(&format!("\"pass\\u0077ord\":\"{SECRET}\"}}"))),
        Place::Form => {
            (typed("application/x-www-form-urlencoded"), after(&format!("&p%61ssword={SECRET}&a=b")))
        }
        Place::Query => {
            let printable: Vec<_> = input.iter().copied().filter(u8::is_ascii_graphic).collect();
            let secret = format!("&access_t%6Fken={SECRET} HTTP/1.1\r\n\r\n");
            ([b"GET /?", printable.as_slice(), secret.as_bytes()].concat(), Vec::new())
        }
        Place::None => {
            let end = input.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |place| place + 4);
            let (head, body) = input.split_at(end);
            ([b"GET / HTTP/1.1\r\n", head].concat(), body.to_owned())
        }
    }
}

fn record(head: &[u8], body: &[u8], (head_size, body_size): (usize, usize)) -> Vec<u8> {
    static RULES: LazyLock<(SamplingConfig, Arc<Rules>, Arc<Redactor>)> = LazyLock::new(|| {
        let content = ContentConfig { content: true, ..ContentConfig::default() };
        let fallback =
            RuleConfig { ratio: 1.0, request: content, response: content, ..RuleConfig::default() };
        let config = SamplingConfig { fallback, untraced: true, ..SamplingConfig::default() };
        let (Ok(rules), Ok(redactor)) = (Rules::new(&config), Redactor::new(&RedactionConfig::default()))
        else {
            fail("the default configuration does not compile")
        };
        (config, Arc::new(rules), Arc::new(redactor))
    });
    let (config, rules, redactor) = &*RULES;
    let mut recorder = Recorder::new(config, Arc::clone(rules), Arc::clone(redactor));
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let contexts = Contexts::default();
    let message = Message {
        head,
        body,
        head_size: head_size as u64,
        body_size: body_size as u64,
        wire_size: (head_size + body_size) as u64,
        start: 1,
        end: 2,
    };
    let exchange = Exchange {
        role: Role::Client,
        request: Request {
            method: "GET",
            target: std::str::from_utf8(target).unwrap_or("/"),
            minor_version: 1,
            contexts: &contexts,
            host: "",
            user_agent: "",
            message,
        },
        response: Some(Response { status: 200, minor_version: 1, message }),
        ending: Ending::Complete,
        truncated: head.len() < head_size,
        calls: &[],
    };
    let ends = Ends { local: ([127, 0, 0, 1], 1).into(), peer: ([127, 0, 0, 1], 2).into() };
    let process = Process { id: 1, resource: &Bytes::new() };
    let outcome = recorder.push(&exchange, &ends, process, Clock::default(), 2);
    assert_eq!(outcome, Outcome::Recorded, "an exchange was not recorded");
    recorder.finish().map(|finished| finished.logs).unwrap_or_default()
}
