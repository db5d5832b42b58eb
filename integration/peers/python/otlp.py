"""Sends one signal with the OpenTelemetry SDK for Python, and prints what was sent as OTLP/JSON, a line an export.

What is printed comes from the SDK's own encoder and not from what Sluice answered, so that the two can be compared.
"""

import argparse
import base64
import json

from google.protobuf.json_format import MessageToDict
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource

RESOURCE = Resource.create(
    {
        "service.name": "python-shop",
        "service.version": "1.2.3",
        "deployment.environment.name": "tést ✓",
        "process.pid": 4711,
        "process.tags": ["a", "b"],
        "ratio": 0.25,
    },
    schema_url="https://opentelemetry.io/schemas/1.26.0",
)


def otlp_json(message):
    """A protobuf message as OTLP/JSON: as protobuf's JSON, but for ids, which are hexadecimal."""

    def ids(value):
        if isinstance(value, list):
            return [ids(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex() if key in ("traceId", "spanId", "parentSpanId") else ids(item)
            for key, item in value.items()
        }

    return json.dumps(ids(MessageToDict(message, use_integers_for_enums=True)), ensure_ascii=False)


def recording(exporter, encode):
    """Prints what the exporter is given, and fails if it does not succeed."""
    export = exporter.export

    def print_and_export(data, *args, **kwargs):
        print(otlp_json(encode(data)), flush=True)
        result = export(data, *args, **kwargs)
        if result.name != "SUCCESS":
            raise SystemExit(f"the exporter says {result.name}")
        return result

    exporter.export = print_and_export
    return exporter


def send_traces(exporter):
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

    limits = SpanLimits(max_span_attributes=8, max_events=4)
    provider = TracerProvider(resource=RESOURCE, span_limits=limits)
    provider.add_span_processor(BatchSpanProcessor(recording(exporter, encode_spans)))
    tracer = provider.get_tracer("shop.orders", "0.9", schema_url="https://example.com/schema", attributes={"scope": True})
    other = provider.get_tracer("shop.stock")
    elsewhere = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True, TraceFlags(1), TraceState([("vendor", "x:1")])
    )
    for kind in SpanKind:
        with tracer.start_as_current_span(f"order {kind.name.lower()}", kind=kind, links=[Link(elsewhere, {"why": "retry"})]) as span:
            span.set_attribute("text", "žluťoučký \"kůň\"\n")
            span.set_attribute("yes", True)
            span.set_attribute("big", 2**53 + 1)
            span.set_attribute("negative", -1)
            span.set_attribute("ratio", 0.1)
            span.set_attribute("names", ["a", "b"])
            span.set_attribute("numbers", [1, 2, 3])
            span.set_attribute("empty", "")
            span.add_event("first", {"n": 1}, timestamp=1_700_000_000_123_456_789)
            span.add_event("second")
            with other.start_as_current_span("reserve"):
                pass
            span.set_status(Status(StatusCode.ERROR, "out of stock"))
    with tracer.start_as_current_span("crowded") as span:
        for number in range(12):
            span.set_attribute(f"key.{number}", number)
            span.add_event(f"event {number}")
        span.set_status(Status(StatusCode.OK))
    remote = trace.set_span_in_context(trace.NonRecordingSpan(elsewhere))
    tracer.start_span("child of a remote span", context=remote, start_time=1_700_000_000_000_000_001).end(1_700_000_001_000_000_002)
    provider.shutdown()


def send_metrics(exporter):
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

    reader = PeriodicExportingMetricReader(recording(exporter, encode_metrics), export_interval_millis=3_600_000)
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], resource=RESOURCE, views=views)
    meter = provider.get_meter("shop.meter", "2.0")
    counter = meter.create_counter("orders", "{order}", "Orders taken")
    balance = meter.create_up_down_counter("balance")
    duration = meter.create_histogram("duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0, 10.0])
    exponential = meter.create_histogram("exponential")
    meter.create_observable_gauge("temperature", [lambda _: [Observation(21.5, {"room": "a"}), Observation(-3, {"room": "b"})]])
    for number in range(10):
        counter.add(number, {"even": number % 2 == 0})
        balance.add(5 - number)
        duration.record(number * 0.7)
        exponential.record(1.5**number - 1)
    provider.shutdown()


def send_logs(exporter):
    import logging

    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider

    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(recording(exporter, encode_logs)))
    logger = provider.get_logger("shop.logger", "3.1")
    with TracerProvider().get_tracer("t").start_as_current_span("span") as span:
        context = trace.set_span_in_context(span)
        for severity in (SeverityNumber.TRACE, SeverityNumber.INFO, SeverityNumber.FATAL4):
            logger.emit(
                LogRecord(
                    timestamp=1_700_000_000_000_000_000 + severity.value,
                    observed_timestamp=1_700_000_000_000_000_999,
                    context=context,
                    severity_text=severity.name,
                    severity_number=severity,
                    body=f"with \t{severity.name}",
                    attributes={"n": severity.value, "list": ["x", "y"], "nested": {"deep": {"er": 1}}, "raw": b"\x00\xff"},
                )
            )
    for body in ({"map": {"k": [1, 2.5, None, True]}}, ["array", 1], b"bytes", 42, 1.5, False):
        logger.emit(LogRecord(timestamp=1, severity_number=SeverityNumber.WARN, body=body))
    logger.emit(LogRecord(timestamp=2, event_name="shop.opened", attributes={"a": 1}))
    logging.getLogger().setLevel(logging.ERROR)
    provider.shutdown()


def exporter_for(signal, protocol, endpoint, compression):
    if protocol == "grpc":
        from grpc import Compression
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        arguments = {"endpoint": endpoint, "insecure": True, "compression": Compression.Gzip if compression == "gzip" else None}
    else:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        arguments = {"endpoint": f"{endpoint}/v1/{signal}", "compression": Compression(compression)}
    kinds = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
    return kinds[signal](**arguments)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--signal", choices=["traces", "metrics", "logs"], required=True)
    arguments.add_argument("--protocol", choices=["grpc", "http"], required=True)
    arguments.add_argument("--endpoint", required=True, help="http://host:port")
    arguments.add_argument("--compression", choices=["none", "gzip", "deflate"], default="none")
    chosen = arguments.parse_args()
    exporter = exporter_for(chosen.signal, chosen.protocol, chosen.endpoint, chosen.compression)
    {"traces": send_traces, "metrics": send_metrics, "logs": send_logs}[chosen.signal](exporter)


main()
