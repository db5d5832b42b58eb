"""SkyWalking's agent for Python against a back-end: two segments, the second a child of the first, an exception, a log.

Prints a line of JSON with what the agent itself says of its ids, then goes on (heartbeats, meters) until its input ends.

Arguments: --backend HOST:PORT --protocol grpc|http
"""

import argparse
import json
import logging
import os
import sys

# Read when the agent is imported.
os.environ["SW_AGENT_COLLECTOR_HEARTBEAT_PERIOD"] = "1"
os.environ["SW_AGENT_METER_REPORTER_PERIOD"] = "1"

from skywalking import Component, Layer, agent, config
from skywalking.trace.carrier import Carrier
from skywalking.trace.context import get_context
from skywalking.trace.tags import TagDbType, TagHttpMethod, TagHttpStatusCode


def first(log):
    context = get_context()
    with context.new_entry_span(op="/buy") as entry:
        entry.layer = Layer.Http
        entry.component = Component.Flask
        entry.tag(TagHttpMethod("GET"))
        entry.tag(TagHttpStatusCode(200))
        log.warning("only %d left", 3)
        with context.new_exit_span(op="/stock", peer="stock.example:8080", component=Component.Requests) as exit:
            exit.layer = Layer.Http
            return exit.inject()


def second(carrier):
    context = get_context()
    with context.new_entry_span(op="/stock", carrier=carrier) as entry:
        entry.layer = Layer.Http
        try:
            with context.new_local_span(op="count") as local:
                local.tag(TagDbType("sql"))
                raise KeyError("shelf")
        except KeyError:
            pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", required=True)
    parser.add_argument("--protocol", choices=("grpc", "http"), required=True)
    arguments = parser.parse_args()
    config.init(
        agent_collector_backend_services=arguments.backend,
        agent_protocol=arguments.protocol,
        agent_name="python-shop",
        agent_instance_name="python-shop-1",
        agent_logging_level="CRITICAL",
    )
    agent.start()
    sent = first(logging.getLogger("shop"))
    received = Carrier()
    headers = {item.key: item.val for item in sent}
    for item in received:
        item.val = headers[item.key]
    second(received)
    line = {"trace": sent.trace_id, "segment": sent.segment_id, "span": int(sent.span_id)}
    print(json.dumps(line), flush=True)
    sys.stdin.read()
    # The agent's threads would try to report on.
    os._exit(0)


main()
