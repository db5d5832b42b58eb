"""Makes the measurements of the suite with the official client, and compares its exposition with the one at a URL.

Both are read by the client's own parsers: text 0.0.4, or OpenMetrics, whose parser is strict. Exits with what differs.
"""

import argparse
import urllib.request

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary, disable_created_metrics
from prometheus_client import exposition as text
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

TRACE = {"trace_id": "0102030405060708090a0b0c0d0e0f10", "span_id": "0102030405060708"}


def measurements():
    registry = CollectorRegistry()
    orders = Counter("orders", "Orders \\ by\nstate.", ["job", "state"], registry=registry)
    orders.labels("shop", "paid").inc(3, exemplar=TRACE)
    orders.labels("shop", "open").inc(1.5)
    rooms = Gauge("temperature", "In rooms.", ["job", "room"], unit="celsius", registry=registry)
    rooms.labels("shop", 'a"b\\c\nd').set(-7.25)
    rooms.labels("shop", "žluťoučký").set(float("inf"))
    rooms.labels("shop", "none").set(float("nan"))
    latency = Histogram("latency", "Of orders.", ["job"], unit="seconds", buckets=(0.1, 0.5, 1), registry=registry)
    for value in (0.05, 0.25, 0.75, 5):
        latency.labels("shop").observe(value)
    latency.labels("shop").observe(0.25, exemplar=TRACE)
    size = Summary("payload", "Of requests.", ["job"], unit="bytes", registry=registry)
    size.labels("shop").observe(100)
    size.labels("shop").observe(200)
    Info("target", "Target metadata", ["job"], registry=registry).labels("shop").info({"host_name": "box"})
    return registry


def comparable(families, with_exemplars):
    """Every family and sample by what identifies it; times are those of the clock, and only their presence counts."""
    found = {}
    for family in families:
        found["family", family.name] = (family.type, family.documentation, family.unit)
        for sample in family.samples:
            labels = {name: float(value) if name == "le" else value for name, value in sample.labels.items()}
            value = "set" if sample.name.endswith("_created") else repr(float(sample.value))
            exemplar = (sample.exemplar.labels, sample.exemplar.value) if with_exemplars and sample.exemplar else None
            key = (sample.name, tuple(sorted(labels.items())))
            if key in found:
                raise SystemExit(f"{key} is there twice")
            found[key] = (value, exemplar)
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--url", required=True)
    arguments.add_argument("--format", choices=["text", "openmetrics"], required=True)
    arguments = arguments.parse_args()
    if arguments.format == "text":
        disable_created_metrics()
        accept, parse, generate = "text/plain", parse_text, text.generate_latest
    else:
        accept, parse, generate = "application/openmetrics-text", parse_openmetrics, openmetrics.generate_latest
    request = urllib.request.Request(arguments.url, headers={"Accept": accept})
    with urllib.request.urlopen(request) as response:
        served = response.read().decode()
    strict = arguments.format == "openmetrics"
    expected = comparable(parse(generate(measurements()).decode()), strict)
    actual = comparable(parse(served), strict)
    differences = [
        f"{key}: {actual.get(key)} instead of {expected.get(key)}"
        for key in sorted(expected.keys() | actual.keys(), key=repr)
        if actual.get(key) != expected.get(key)
    ]
    if differences:
        raise SystemExit("\n".join(differences) + "\n" + served)
    print(len(actual))


main()
