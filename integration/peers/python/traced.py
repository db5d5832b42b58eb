"""A client and a server, each a process of its own, traced with the OpenTelemetry SDK for Python (W3C headers).

Prints a line of JSON for each span: what the application itself knows of the request that it stands for. A proxy that only
passes headers on may stand between the two.
"""

import argparse
import http.client
import json
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind


def tracer(service, endpoint):
    resource = Resource.create(
        {"service.name": service, "host.name": socket.gethostname(), "process.pid": os.getpid()}
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200, max_queue_size=65536))
    return provider, provider.get_tracer("traced")


def report(span, kind, path, status):
    context = span.get_span_context()
    line = {
        "trace": f"{context.trace_id:032x}",
        "span": f"{context.span_id:016x}",
        "kind": kind,
        "path": path,
        "status": status,
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def serve(listener, endpoint, pipe):
    provider, tracing = tracer("traced-server", endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            context = propagate.extract(dict((name.lower(), value) for name, value in self.headers.items()))
            status = 503 if self.path.startswith("/broken") else 404 if self.path.startswith("/missing") else 200
            body = json.dumps({"path": self.path}).encode()
            with tracing.start_as_current_span("serve", context=context, kind=SpanKind.SERVER) as span:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                report(span, "SERVER", self.path, status)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket = listener
    # The last answers arrive before what they are is reported.
    server.daemon_threads = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(pipe, 1)
    server.shutdown()
    server.server_close()
    provider.shutdown()


def ask(tracing, address, paths):
    connection = http.client.HTTPConnection(*address)
    for path in paths:
        with tracing.start_as_current_span("ask", kind=SpanKind.CLIENT) as span:
            headers = {"authorization": "Bearer traced-secret"}
            propagate.inject(headers)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            report(span, "CLIENT", path, answer.status)
    connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--server-port", type=int, required=True)
    parser.add_argument("--proxy-port", type=int, default=0)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--connections", type=int, default=1)
    arguments = parser.parse_args()

    listener = socket.create_server(("127.0.0.1", arguments.server_port), backlog=128)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write_end)
        serve(listener, arguments.endpoint, read_end)
        os._exit(0)
    os.close(read_end)
    listener.close()

    provider, tracing = tracer("traced-client", arguments.endpoint)
    address = ("127.0.0.1", arguments.proxy_port or arguments.server_port)
    pages = ["/page", "/missing", "/broken"]
    threads = []
    for number in range(arguments.connections):
        paths = [f"{pages[turn % 3]}/{number}-{turn}" for turn in range(arguments.requests)]
        threads.append(threading.Thread(target=ask, args=(tracing, address, paths)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    provider.shutdown()
    os.write(write_end, b"x")
    os.waitpid(child, 0)


main()
