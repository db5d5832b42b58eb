"""A server of one framework, which says on its standard output what it received and answered, a line of JSON a request.

Arguments: werkzeug|aiohttp ADDRESS PORT. What paths mean:
/fixed/N/... a body of N bytes; /chunked/N/... the same, its length not told; /count/... takes a body; /status/S/...
"""

import json
import os
import sys

framework, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


def log(method, path, status, received, sent):
    line = json.dumps({"method": method, "path": path, "status": status, "received": received, "sent": sent})
    # In one write, since threads share it.
    os.write(1, line.encode() + b"\n")


def answer(method, path, received):
    """The status, the body, and whether its length is told."""
    action, argument = path.split("/")[1:3]
    if action == "status":
        status = int(argument)
        return status, b"" if status in (204, 304) else b"status %d" % status, True
    if action == "count":
        return 200, b"%d" % received, True
    return 200, b"x" * int(argument), action == "fixed"


def pieces(body):
    third = len(body) // 3 + 1
    return [body[start : start + third] for start in range(0, len(body), third)]


def serve_werkzeug():
    import logging

    from flask import Flask, Response, request
    from werkzeug.serving import run_simple

    logging.getLogger("werkzeug").disabled = True
    application = Flask("server")

    @application.route("/<path:_>", methods=["GET", "HEAD", "POST", "PUT"])
    def all(_):
        received = 0
        while piece := request.stream.read(65536):
            received += len(piece)
        status, body, has_length = answer(request.method, request.path, received)
        log(request.method, request.path, status, received, 0 if request.method == "HEAD" else len(body))
        return Response(body if has_length else pieces(body), status)

    run_simple(address, port, application, threaded=True)


def serve_aiohttp():
    from aiohttp import web

    async def all(request):
        received = 0
        async for piece in request.content.iter_any():
            received += len(piece)
        status, body, has_length = answer(request.method, request.path, received)
        log(request.method, request.path, status, received, 0 if request.method == "HEAD" else len(body))
        if has_length:
            return web.Response(status=status, body=body)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for piece in pieces(body):
            await response.write(piece)
        await response.write_eof()
        return response

    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", all)
    web.run_app(application, host=address, port=port, print=None, access_log=None)


{"werkzeug": serve_werkzeug, "aiohttp": serve_aiohttp}[framework]()
