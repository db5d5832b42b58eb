"""A shop of three services, traced with the OpenTelemetry SDK for Python: storefront asks orders, which asks payments.

Payments takes its time and then refuses. Prints the trace id. Arguments: --endpoint URL (OTLP over gRPC)
"""

import argparse
import http.client
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

HOST = "127.0.0.1"


def tracer(service, endpoint):
    resource = Resource.create(
        {"service.name": service, "host.name": socket.gethostname(), "process.pid": os.getpid()}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    return provider, provider.get_tracer(service)


def finish(span, status):
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def ask(tracing, port, method, path):
    with tracing.start_as_current_span(f"{method} {path}", kind=SpanKind.CLIENT) as span:
        headers = {"authorization": "Bearer a-secret", "content-type": "application/json"}
        propagate.inject(headers)
        connection = http.client.HTTPConnection(HOST, port)
        connection.request(method, path, body='{"order": 4711, "amount": "19.90"}', headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        finish(span, answer.status)
        return answer.status


def serve(service, endpoint, answer):
    """Forks a service that answers one request; gives its process id and its port."""
    server = HTTPServer((HOST, 0), BaseHTTPRequestHandler)
    child = os.fork()
    if child:
        port = server.server_port
        server.server_close()
        return child, port
    provider, tracing = tracer(service, endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            context = propagate.extract({name.lower(): value for name, value in self.headers.items()})
            with tracing.start_as_current_span(f"POST {self.path}", context=context, kind=SpanKind.SERVER) as span:
                status, body = answer(tracing)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                finish(span, status)

        def log_message(self, *_):
            pass

    server.RequestHandlerClass = Handler
    server.handle_request()
    provider.shutdown()
    os._exit(0)


def refuse(_):
    time.sleep(0.42)
    return 503, b'{"error": "the bank does not answer"}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    endpoint = parser.parse_args().endpoint
    payments, payments_port = serve("payments", endpoint, refuse)

    def order(tracing):
        time.sleep(0.08)
        return ask(tracing, payments_port, "POST", "/charges"), b'{"error": "not paid"}'

    orders, orders_port = serve("orders", endpoint, order)
    provider, tracing = tracer("storefront", endpoint)
    with tracing.start_as_current_span("checkout") as span:
        trace = f"{span.get_span_context().trace_id:032x}"
        ask(tracing, orders_port, "POST", "/orders")
    provider.shutdown()
    for child in (orders, payments):
        os.waitpid(child, 0)
    print(trace)
    sys.stdout.flush()


main()
