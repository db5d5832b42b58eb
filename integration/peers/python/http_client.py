"""Sends the requests of a plan in order, and says on its standard output what came back, a line of JSON a request.

Arguments: requests|aiohttp PLAN, a file of a JSON array of {base, method, path, body, chunked, expect}.
"""

import asyncio
import json
import sys

library, plan = sys.argv[1], json.load(open(sys.argv[2]))


def log(item, status, received):
    print(json.dumps({"method": item["method"], "path": item["path"], "status": status, "received": received, "sent": item["body"]}))


def pieces(size):
    third = size // 3 + 1
    return [b"y" * min(third, size - start) for start in range(0, size, third)]


def send_requests():
    import requests

    with requests.Session() as session:
        for item in plan:
            data = None
            if item["body"]:
                data = iter(pieces(item["body"])) if item["chunked"] else b"y" * item["body"]
            answer = session.request(item["method"], item["base"] + item["path"], data=data, timeout=20)
            log(item, answer.status_code, len(answer.content))


async def send_aiohttp():
    import aiohttp

    async def stream(size):
        for piece in pieces(size):
            yield piece

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        for item in plan:
            data = None
            if item["body"]:
                data = stream(item["body"]) if item["chunked"] else b"y" * item["body"]
            options = {"data": data, "expect100": item["expect"]}
            async with session.request(item["method"], item["base"] + item["path"], **options) as answer:
                log(item, answer.status, len(await answer.read()))


if library == "requests":
    send_requests()
else:
    asyncio.run(send_aiohttp())
