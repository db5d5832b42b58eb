"""Takes docs/images/zipkin-trace.png: a trace with its kernel events in Zipkin's own page.

Starts a Zipkin server, Sluice with configs/ebpf-zipkin.yaml, the traced shop beside this file, and a headless Chromium,
and ends them all. Needs root, Java, Debian's chromium, and the peers that integration/peers/fetch gets:

    integration/.peers/python/bin/python integration/screenshot/take.py --sluice target/ci/sluice
"""

import argparse
import asyncio
import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import aiohttp

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE = 120
SPANS = 5


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def eventually(what, condition):
    begin = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - begin > PATIENCE:
            sys.exit(f"it did not come about that {what}")
        time.sleep(0.05)
    return found


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read()
    except OSError:
        return None


def zipkin(port):
    return [
        "java", "-Xmx256m", "-jar", str(ROOT / "integration/.peers/zipkin.jar"),
        "--armeria.ports[0].address=127.0.0.1", f"--armeria.ports[0].port={port}",
        "--armeria.ports[0].protocols=http", "--zipkin.self-tracing.enabled=false",
    ]  # fmt: skip


def sluice(program, folder, zipkin_port, otlp_port, health_port):
    settings = {
        "receivers.otlp.protocols.grpc.endpoint": f"127.0.0.1:{otlp_port}",
        "receivers.otlp.protocols.http.endpoint": f"127.0.0.1:{free_port()}",
        "receivers.zipkin.endpoint": f"127.0.0.1:{free_port()}",
        "extensions.health_check.endpoint": f"127.0.0.1:{health_port}",
        # Without the system calls there is room for the tags.
        "connectors.trace_events.events": "[request, response]",
        "exporters.zipkin.endpoint": f"http://127.0.0.1:{zipkin_port}/api/v2/spans",
        "exporters.file/unjoined.path": f"{folder}/unjoined.jsonl",
        "service.telemetry.metrics.level": "none",
    }
    sets = [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
    return [program, "run", "--config", str(ROOT / "configs/ebpf-zipkin.yaml"), *sets]


def is_whole(zipkin_port, trace):
    """Whether all spans have come, each of a request with its events."""
    spans = json.loads(get(f"http://127.0.0.1:{zipkin_port}/api/v2/trace/{trace}") or "[]")
    finished = {
        (span["id"], span.get("kind"))
        for span in spans
        for annotation in span.get("annotations", [])
        if annotation["value"] == "Finished HTTP Response Sampling-1"
    }
    return len({(span["id"], span.get("kind")) for span in spans}) == SPANS and len(finished) == SPANS - 1


class Page:
    """A page of Chromium, by its DevTools protocol."""

    def __init__(self, socket):
        self.socket, self.number = socket, 0

    async def call(self, method, **parameters):
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": parameters})
        while True:
            answer = await self.socket.receive_json(timeout=PATIENCE)
            if answer.get("id") == self.number:
                return answer["result"]

    async def evaluate(self, expression):
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, what, expression):
        begin = time.monotonic()
        while not await self.evaluate(expression):
            if time.monotonic() - begin > PATIENCE:
                sys.exit(f"the page does not show {what}:\n{await self.evaluate('document.body.innerText')}")
            await asyncio.sleep(0.1)

    async def click(self, what, find):
        """Clicks on what this expression finds, once it is there."""
        await self.until(what, f"!!({find})")
        place = await self.evaluate(
            f"(() => {{ const place = ({find}).getBoundingClientRect();"
            " return [place.x + place.width / 2, place.y + place.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )


async def photograph(debug_port, url, target):
    pages = eventually("Chromium is ready", lambda: get(f"http://127.0.0.1:{debug_port}/json/list"))
    address = next(page for page in json.loads(pages) if page["type"] == "page")["webSocketDebuggerUrl"]
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
        page = Page(socket)
        await page.call("Emulation.setDeviceMetricsOverride", width=1400, height=1880, deviceScaleFactor=1, mobile=False)
        await page.call("Page.navigate", url=url)
        shows = "document.body && document.body.innerText.includes('{}')"
        await page.until("the trace", shows.format("payments"))
        find = "[...document.querySelectorAll('{}')].filter(one => one.textContent.trim().toLowerCase() == '{}').at(-1)"
        await page.click("the span of payments", find.format("*", "payments: post /charges"))
        await page.until("its annotations", shows.format("HTTP Request Sampling-1"))
        await page.until("its tags", shows.format("http.request.sampling-1.tags"))
        # Until nothing on the page has moved for a while.
        last = None
        while (now := await page.evaluate("document.body.innerHTML.length + ':' + document.getAnimations().length")) != last:
            last = now
            await asyncio.sleep(0.5)
        shot = await page.call("Page.captureScreenshot", format="png")
        target.write_bytes(base64.b64decode(shot["data"]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs/images/zipkin-trace.png")
    arguments = parser.parse_args()
    zipkin_port, otlp_port, health_port, debug_port = (free_port() for _ in range(4))
    running = []
    with tempfile.TemporaryDirectory() as folder:

        def start(command):
            log = open(pathlib.Path(folder) / f"{len(running)}.log", "wb")
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder))

        try:
            start(zipkin(zipkin_port))
            program = str(pathlib.Path(arguments.sluice).resolve())
            start(sluice(program, folder, zipkin_port, otlp_port, health_port))
            start([
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--remote-debugging-port={debug_port}", f"--user-data-dir={folder}/chromium", "about:blank",
            ])  # fmt: skip
            eventually("Zipkin is ready", lambda: get(f"http://127.0.0.1:{zipkin_port}/health"))
            eventually("Sluice is ready", lambda: get(f"http://127.0.0.1:{health_port}/"))
            shop = [sys.executable, str(HERE / "shop.py"), "--endpoint", f"http://127.0.0.1:{otlp_port}"]
            printed = subprocess.run(shop, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
            trace = re.fullmatch("[0-9a-f]{32}", printed.strip()).group()
            eventually("the trace is whole", lambda: is_whole(zipkin_port, trace))
            asyncio.run(photograph(debug_port, f"http://127.0.0.1:{zipkin_port}/zipkin/traces/{trace}", arguments.output))
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    print(f"{arguments.output}: {os.path.getsize(arguments.output) / 1024:.0f} KB")


main()
