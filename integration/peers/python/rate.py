"""Makes spans at a fixed rate with the OpenTelemetry SDK for Python, as one busy service does, and tells what it lost.

Prints a JSON object: spans ended, spans exported with success, spans in failed exports, and seconds taken.
"""

import argparse
import json
import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult


class Counting:
    """An exporter that counts what another one is given and what became of it."""

    def __init__(self, exporter):
        self.exporter, self.exported, self.failed = exporter, 0, 0

    def export(self, spans):
        result = self.exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
        else:
            self.failed += len(spans)
        return result

    def __getattr__(self, name):
        return getattr(self.exporter, name)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--endpoint", required=True, help="http://host:port of a gRPC receiver")
    arguments.add_argument("--rate", type=int, default=10_000, help="spans a second")
    arguments.add_argument("--seconds", type=int, default=5)
    chosen = arguments.parse_args()
    exporter = Counting(OTLPSpanExporter(endpoint=chosen.endpoint, insecure=True))
    provider = TracerProvider(resource=Resource.create({"service.name": "busy"}))
    # The SDK's defaults, 2048 spans queued and 512 a batch: what does not fit the queue is dropped.
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("rate")
    total, burst = chosen.rate * chosen.seconds, chosen.rate // 200
    start = time.monotonic()
    for made in range(0, total, burst):
        for number in range(burst):
            tracer.start_span("work", attributes={"http.request.method": "GET", "n": number}).end()
        ahead = start + (made + burst) / chosen.rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
    took = time.monotonic() - start
    provider.shutdown()
    print(json.dumps({"ended": total, "exported": exporter.exported, "failed": exporter.failed, "seconds": took}))


main()
