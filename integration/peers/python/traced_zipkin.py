"""A client (requests) and a server (flask), each a process of its own, traced with py_zipkin (B3 headers).

Prints a line of JSON for each span: what the application itself knows of the request that it stands for. The server's
lines have the trace headers as they arrived. Spans go out as py_zipkin's own transport sends them: before the call that
they stand for returns, so of a server before its answer is written.

Arguments: --collector-port PORT --headers multi|single --spans shared|own --requests N
"""

import argparse
import json
import logging
import os
import sys
import threading

import requests
from flask import Flask, Response, request
from py_zipkin import Encoding, Kind
from py_zipkin.request_helpers import create_http_headers, extract_zipkin_attrs_from_headers
from py_zipkin.transport import SimpleHTTPTransport
from py_zipkin.util import generate_random_64bit_string
from py_zipkin.zipkin import ZipkinAttrs, zipkin_client_span, zipkin_span
from werkzeug.serving import WSGIRequestHandler, make_server

HOST = "127.0.0.1"
TRACE_HEADERS = ("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags")


def report(attributes, kind, path, status, headers):
    line = {
        "trace": attributes.trace_id,
        "span": attributes.span_id,
        "parent": attributes.parent_span_id,
        "kind": kind,
        "path": path,
        "status": status,
        "headers": headers,
    }
    # In one write, since threads share it.
    os.write(1, json.dumps(line).encode() + b"\n")


def carried(headers):
    return {name.lower(): value for name, value in headers.items() if name.lower() in TRACE_HEADERS}


def serve(arguments, ready, end):
    logging.getLogger("werkzeug").disabled = True
    application = Flask("traced")
    transport = SimpleHTTPTransport(HOST, arguments.collector_port)

    @application.route("/<path:_>")
    def all(_):
        status = {"broken": 503, "missing": 404}.get(request.path.split("/")[1], 200)
        attributes = extract_zipkin_attrs_from_headers(request.headers)
        if arguments.spans == "own":
            own = generate_random_64bit_string()
            attributes = ZipkinAttrs(attributes.trace_id, own, attributes.span_id, "0", attributes.is_sampled)
        with zipkin_span(
            service_name="zipkin-server",
            span_name="serve",
            kind=Kind.SERVER,
            zipkin_attrs=attributes,
            report_root_timestamp=arguments.spans == "own",
            transport_handler=transport,
            encoding=Encoding.V2_JSON,
            host=HOST,
            port=server.server_port,
        ):
            report(attributes, "SERVER", request.path, status, carried(request.headers))
        return Response(json.dumps({"path": request.path}), status, content_type="application/json")

    # Connections stay open, as behind any other server.
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    server = make_server(HOST, 0, application, threaded=True)
    os.write(ready, b"%d\n" % server.server_port)
    os.close(ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(end, 1)


def ask(arguments, session, port, path):
    with zipkin_client_span(
        service_name="zipkin-client",
        span_name="ask",
        sample_rate=100,
        use_128bit_trace_id=arguments.headers == "single",
        transport_handler=SimpleHTTPTransport(HOST, arguments.collector_port),
        encoding=Encoding.V2_JSON,
        host=HOST,
    ) as span:
        span.add_sa_binary_annotation(port=port, service_name="zipkin-server", host=HOST)
        headers = {name: value for name, value in create_http_headers().items() if value is not None}
        if arguments.headers == "single":
            headers = {"b3": f"{headers['X-B3-TraceId']}-{headers['X-B3-SpanId']}-{headers['X-B3-Sampled']}"}
        answer = session.get(
            f"http://{HOST}:{port}{path}", headers={"authorization": "Bearer zipkin-secret", **headers}, timeout=20
        )
        report(span.zipkin_attrs, "CLIENT", path, answer.status_code, carried(headers))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--collector-port", type=int, required=True)
    parser.add_argument("--headers", choices=("multi", "single"), required=True)
    parser.add_argument("--spans", choices=("shared", "own"), required=True)
    parser.add_argument("--requests", type=int, default=9)
    arguments = parser.parse_args()

    ready, told = os.pipe()
    waits, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        os.close(end)
        serve(arguments, told, waits)
        os._exit(0)
    os.close(told)
    os.close(waits)
    port = int(os.read(ready, 16))
    session = requests.Session()
    for turn in range(arguments.requests):
        ask(arguments, session, port, f"/{('page', 'missing', 'broken')[turn % 3]}/{turn}")
    session.close()
    os.write(end, b"x")
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
