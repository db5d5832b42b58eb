"""A shop of two services with SkyWalking's agent for Python: `NAME-web` takes requests and calls `NAME-stock` over HTTP
(requests and flask, as the agent instruments them). Both log, both have meters, and both poll for profile tasks.

Each service is a process of its own. Prints `stock ADDRESS` once both run, and `done` once the agents had time to report.

Arguments: --backend host:port --name NAME [--protocol grpc|http] [--requests N]
    [--slow N: requests of half a second, for profilers]
"""

import argparse
import logging
import os
import subprocess
import sys
import threading
import time

HOST = "127.0.0.1"
# Agents read these when they are imported.
PERIODS = {
    "SW_AGENT_COLLECTOR_HEARTBEAT_PERIOD": "1",
    "SW_AGENT_COLLECTOR_PROPERTIES_REPORT_PERIOD_FACTOR": "1",
    "SW_AGENT_METER_REPORTER_PERIOD": "1",
    "SW_AGENT_COLLECTOR_GET_PROFILE_TASK_INTERVAL": "1",
}
# What agents need to send what they have.
GRACE = 4


def start_agent(arguments, role):
    service = f"{arguments.name}-{role}"
    os.environ.update(PERIODS)
    from skywalking import agent, config

    config.init(
        agent_collector_backend_services=arguments.backend,
        agent_protocol=arguments.protocol,
        agent_name=service,
        agent_instance_name=f"{service}-1",
        agent_logging_level="CRITICAL",
    )
    agent.start()


def busy(seconds):
    """Works, so that a profiler sees where."""
    end = time.time() + seconds
    while time.time() < end:
        sum(range(1000))


def serve(arguments):
    start_agent(arguments, "stock")
    from flask import Flask
    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").disabled = True
    application = Flask("stock")

    @application.route("/stock")
    def stock():
        logging.getLogger("stock").warning("looked up")
        return "1"

    @application.route("/missing")
    def missing():
        return "none", 404

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    server = make_server(HOST, 0, application, threaded=True)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    time.sleep(GRACE)
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--protocol", choices=("grpc", "http"), default="grpc")
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments)
    command = [sys.executable, __file__, "--serve", *sys.argv[1:]]
    stock = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(stock.stdout.readline())
    print(f"stock {HOST}:{port}", flush=True)
    start_agent(arguments, "web")
    import requests
    from skywalking import Component, Layer
    from skywalking.meter.counter import Counter, CounterMode
    from skywalking.trace.context import get_context
    from skywalking.trace.tags import TagHttpMethod

    # Over HTTP the agent has no meters.
    orders = None
    if arguments.protocol == "grpc":
        orders = Counter.Builder("shop_orders", CounterMode.INCREMENT, (("region", "eu"),)).build()

    def order(work):
        with get_context().new_entry_span(op="/order") as span:
            span.layer = Layer.Http
            span.component = Component.Flask
            span.tag(TagHttpMethod("POST"))
            logging.getLogger("web").warning("ordered")
            work()
        if orders:
            orders.increment(1)

    for number in range(arguments.requests):
        page = "missing" if number % 2 else "stock"
        order(lambda page=page: requests.get(f"http://{HOST}:{port}/{page}", timeout=20))
        # So that OAP knows whose address it is before the next call.
        time.sleep(1)
    for _ in range(arguments.slow):
        order(lambda: busy(0.5))
    stock.stdin.close()
    time.sleep(GRACE)
    stock.wait()
    print("done", flush=True)
    os._exit(0)


main()
