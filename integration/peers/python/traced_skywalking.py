"""A client (requests) and a server (flask), each a process of its own, with SkyWalking's agent in both (`sw8` headers).

The server prints a line of JSON for each request: its path, and the header `sw8` as it arrived, whole and in parts, taken
apart here without the agent's help. Requests for /relay/... are passed on to /page/..., so that headers also come from
an agent that received one. The agents find no back-end, and work on.

Arguments: --requests N [--mark TEXT, which tells it from others by its command line]
"""

import argparse
import base64
import json
import logging
import os
import sys
import threading

HOST = "127.0.0.1"


def start_agent(service):
    from skywalking import agent, config

    config.init(
        # Port 9 discards, where anything listens there at all.
        agent_collector_backend_services=f"{HOST}:9",
        agent_protocol="http",
        agent_name=service,
        agent_logging_level="CRITICAL",
        agent_meter_reporter_active=False,
        agent_log_reporter_active=False,
        agent_profile_active=False,
    )
    agent.start()


def parts(header):
    sample, trace, segment, span, *names = header.split("-")
    text = [base64.b64decode(part).decode() for part in (trace, segment, *names)]
    keys = ("trace", "segment", "service", "instance", "endpoint", "target")
    return {"sample": sample, "span": int(span), **dict(zip(keys, text, strict=True))}


def serve(ready, end):
    start_agent("skywalking-server")
    import requests
    from flask import Flask, Response, request
    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").disabled = True
    application = Flask("traced")

    @application.route("/<path:_>")
    def all(_):
        header = request.headers["sw8"]
        line = {"path": request.path, "sw8": header, **parts(header)}
        os.write(1, json.dumps(line).encode() + b"\n")
        if request.path.startswith("/relay/"):
            url = f"http://{HOST}:{server.server_port}{request.path.replace('/relay/', '/page/relayed-')}"
            return Response(requests.get(url, timeout=20).content)
        status = {"broken": 503, "missing": 404}.get(request.path.split("/")[1], 200)
        return Response(json.dumps({"path": request.path}), status, content_type="application/json")

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    server = make_server(HOST, 0, application, threaded=True)
    os.write(ready, b"%d\n" % server.server_port)
    os.close(ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.read(end, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=8)
    parser.add_argument("--mark")
    arguments = parser.parse_args()

    ready, told = os.pipe()
    waits, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        os.close(end)
        serve(told, waits)
        os._exit(0)
    os.close(told)
    os.close(waits)
    port = int(os.read(ready, 16))
    start_agent("skywalking-client")
    import requests

    session = requests.Session()
    for turn in range(arguments.requests):
        action = ("page", "missing", "broken", "relay")[turn % 4]
        session.get(f"http://{HOST}:{port}/{action}/{turn}", timeout=20)
    session.close()
    os.write(end, b"x")
    _, status = os.waitpid(child, 0)
    # The agent's threads would try to report on.
    sys.stdout.flush()
    os._exit(os.waitstatus_to_exitcode(status))


main()
