"""A shop of two services with the OpenTelemetry SDK for Python: `NAME-web` takes requests and calls `NAME-stock`, which
asks a database and takes messages from a queue. Each has providers of its own, as if it were a process; all that happens
is what SDKs see of it.

Prints a line of JSON: the trace ids.

Arguments: --endpoint http://host:port --name NAME [--requests N] [--together: spans of both in one request]
"""

import argparse
import json
import logging

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

REMOTE = trace.TraceFlags(1)


class Service:
    """One process: its providers, which send to the same endpoint."""

    def __init__(self, name, endpoint, spans):
        resource = Resource.create({"service.name": name, "service.instance.id": f"{name}-1"})
        arguments = {"endpoint": endpoint, "insecure": True}
        self.traces = TracerProvider(resource=resource)
        self.traces.add_span_processor(spans)
        self.logs = LoggerProvider(resource=resource)
        self.logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**arguments)))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(**arguments), export_interval_millis=3_600_000)
        self.metrics = MeterProvider([reader], resource=resource)
        self.tracer = self.traces.get_tracer("shop", "1.0")
        self.logger = self.logs.get_logger("shop.log")
        self.meter = self.metrics.get_meter("shop")

    def shutdown(self):
        for provider in (self.traces, self.logs, self.metrics):
            provider.shutdown()


def remote(span):
    """The context of a span as another process has it."""
    context = span.get_span_context()
    parent = trace.SpanContext(context.trace_id, context.span_id, True, REMOTE)
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))


def place(name, number):
    return {"server.address": name, "server.port": number}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--together", action="store_true")
    arguments = parser.parse_args()
    processor = lambda: BatchSpanProcessor(OTLPSpanExporter(endpoint=arguments.endpoint, insecure=True))
    of_web = processor()
    of_stock = of_web if arguments.together else processor()
    web = Service(f"{arguments.name}-web", arguments.endpoint, of_web)
    stock = Service(f"{arguments.name}-stock", arguments.endpoint, of_stock)
    orders = web.meter.create_counter("shop.orders", "{order}")
    duration = stock.meter.create_histogram("shop.duration", "s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    http = {"http.request.method": "GET", "url.scheme": "http"}
    traces = []
    for number in range(arguments.requests):
        at_web = http | place(f"{arguments.name}-web.test", 80) | {"url.path": "/order", "http.response.status_code": 200}
        with web.tracer.start_as_current_span("GET /order", kind=SpanKind.SERVER, attributes=at_web) as entry:
            traces.append(f"{entry.get_span_context().trace_id:032x}")
            entry.add_event("accepted", {"order": number})
            orders.add(1, {"kind": "book"})
            web.logger.emit(
                LogRecord(
                    timestamp=entry.start_time,
                    context=trace.set_span_in_context(entry),
                    severity_number=SeverityNumber.WARN,
                    body=f"order {number}",
                    attributes={"order": number},
                )
            )
            call = http | place(f"{arguments.name}-stock.test", 8080) | {"http.response.status_code": 503}
            call["url.full"] = f"http://{arguments.name}-stock.test:8080/stock"
            with web.tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=call) as client:
                client.set_status(Status(StatusCode.ERROR, "out of stock"))
                called = http | place(f"{arguments.name}-stock.test", 8080) | {"http.response.status_code": 503}
                with stock.tracer.start_as_current_span(
                    "GET /stock", context=remote(client), kind=SpanKind.SERVER, attributes=called
                ) as server:
                    database = {"db.system.name": "mysql", "db.namespace": "stock", "db.query.text": "SELECT 1"}
                    with stock.tracer.start_as_current_span(
                        "SELECT", kind=SpanKind.CLIENT, attributes=database | place("db.test", 3306)
                    ):
                        pass
                    try:
                        raise ValueError("none left")
                    except ValueError as error:
                        server.record_exception(error)
                    server.set_status(Status(StatusCode.ERROR))
                    duration.record(0.5, {"kind": "book"})
            with web.tracer.start_as_current_span("render"):
                pass
            queue = {"messaging.system": "kafka", "messaging.destination.name": "orders"} | place("kafka.test", 9092)
            with web.tracer.start_as_current_span("orders send", kind=SpanKind.PRODUCER, attributes=queue) as producer:
                with stock.tracer.start_as_current_span(
                    "orders process", context=remote(producer), kind=SpanKind.CONSUMER, attributes=queue
                ):
                    pass
    # The called service first, as a rule: its spans end first.
    stock.shutdown()
    web.shutdown()
    logging.getLogger().setLevel(logging.ERROR)
    print(json.dumps({"traces": traces}))


main()
