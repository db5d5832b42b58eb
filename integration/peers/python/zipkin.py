"""Sends spans with py_zipkin, in any version, and prints them as a Zipkin v2 JSON array, encoded by py_zipkin itself."""

import argparse
import json

import requests
from py_zipkin import Encoding, Kind
from py_zipkin.encoding import Span, create_endpoint, get_encoder
from py_zipkin.encoding._encoders import _V1JSONEncoder, _V2JSONEncoder, _V2ProtobufEncoder
from py_zipkin.transport import BaseTransportHandler
from py_zipkin.zipkin import ZipkinAttrs, zipkin_client_span, zipkin_span

FORMATS = {
    "json": (Encoding.V2_JSON, "application/json"),
    "protobuf": (Encoding.V2_PROTO3, "application/x-protobuf"),
    "v1-json": (Encoding.V1_JSON, "application/json"),
}


class Transport(BaseTransportHandler):
    def __init__(self, url, content_type):
        self.url, self.content_type = url, content_type

    def get_max_payload_bytes(self):
        return None

    def send(self, payload):
        answer = requests.post(self.url, data=payload, headers={"content-type": self.content_type}, timeout=10)
        if answer.status_code != 202:
            raise SystemExit(f"HTTP status {answer.status_code}: {answer.text}")


def record_into(sent):
    """Whatever is encoded, in either format, is kept as JSON too."""
    as_json = _V2JSONEncoder.encode_span

    def recording(encode):
        def encode_span(encoder, span):
            sent.append(json.loads(as_json(_V2JSONEncoder(), span)))
            return encode(encoder, span)

        return encode_span

    for encoder in (_V1JSONEncoder, _V2JSONEncoder, _V2ProtobufEncoder):
        encoder.encode_span = recording(encoder.encode_span)


def send_instrumented(transport, encoding, trace):
    """Spans as an instrumented service makes them."""
    with zipkin_span(
        service_name="python-frontend",
        span_name="GET /orders",
        transport_handler=transport,
        zipkin_attrs=ZipkinAttrs(trace, "a2fb4a1d1a96d312", "0020000000000001", "0", True),
        kind=Kind.SERVER,
        binary_annotations={"http.method": "GET", "note": "žluťoučký"},
        encoding=encoding,
        host="10.1.2.3",
        port=8080,
    ) as server:
        server.add_annotation("received", timestamp=1_700_000_000.5)
        with zipkin_client_span(service_name="python-frontend", span_name="query") as client:
            client.add_sa_binary_annotation(port=5432, service_name="postgres", host="::1")
            client.update_binary_annotations({"error": "timeout"})


def send_edges(transport, encoding, trace):
    """Spans at the edges of the format: every kind, no parent, no times, no endpoint, IPv6, shared."""
    encoder = get_encoder(encoding)
    spans = [
        Span(
            trace_id=trace,
            name=f"edge {kind.name}",
            parent_id="1234567890abcdef" if number else None,
            span_id=f"{number + 1:016x}",
            kind=kind,
            timestamp=1_700_000_000.25 + number if number != 1 else None,
            duration=0.001 * number if number > 1 else None,
            local_endpoint=create_endpoint(9411, "edges", "2001:db8::1" if number == 3 else "192.168.0.1") if number != 2 else None,
            shared=number == 3,
            tags={"n": str(number)},
        )
        for number, kind in enumerate(Kind)
    ]
    transport.send(encoder.encode_queue([encoder.encode_span(span) for span in spans]))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", required=True, help="http://host:port/api/v2/spans, or v1")
    arguments.add_argument("--format", choices=sorted(FORMATS), required=True)
    arguments.add_argument("--trace", required=True, help="trace id, 32 hexadecimal digits")
    chosen = arguments.parse_args()
    encoding, content_type = FORMATS[chosen.format]
    sent = []
    record_into(sent)
    transport = Transport(chosen.url, content_type)
    send_instrumented(transport, encoding, chosen.trace)
    if encoding is not Encoding.V1_JSON:
        # py_zipkin's v1 needs an endpoint and has no messages.
        send_edges(transport, encoding, chosen.trace)
    print(json.dumps(sent, ensure_ascii=False))


main()
