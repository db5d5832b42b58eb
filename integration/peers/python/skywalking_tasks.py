"""The tasks that SkyWalking's agents ask OAP for, with gRPC's own library on both ends and messages as bytes.

`serve` answers every method: a unary one with its path and what it got; a conversation (async-profiler, pprof) with a word
once the first message is there, and at its end with how much content came, and its digest. `call` calls them all, one after
the other, and prints a line of JSON.

Arguments: serve --port N | call --backend HOST:PORT
"""

import argparse
import hashlib
import json
import threading
from concurrent import futures

import grpc

UNARY = (
    "/skywalking.v3.ConfigurationDiscoveryService/fetchConfigurations",
    "/skywalking.v3.ProfileTask/getProfileTaskCommands",
    "/skywalking.v3.ProfileTask/reportTaskFinish",
    "/skywalking.v10.AsyncProfilerTask/getAsyncProfilerTaskCommands",
    "/skywalking.v10.PprofTask/getPprofTaskCommands",
    "/skywalking.v3.EBPFProcessService/reportProcesses",
    "/skywalking.v3.EBPFProcessService/keepAlive",
    "/skywalking.v3.EBPFProfilingService/queryTasks",
    "/skywalking.v3.ContinuousProfilingService/queryPolicies",
    "/skywalking.v3.ContinuousProfilingService/reportProfilingTask",
    "/ConfigurationDiscoveryService/fetchConfigurations",
    "/arthas.ArthasCommandService/getCommand",
)
STREAMS = (
    "/skywalking.v3.ProfileTask/collectSnapshot",
    "/skywalking.v3.ProfileTask/goProfileReport",
    "/skywalking.v3.EBPFProfilingService/collectProfilingData",
    "/arthas.ArthasControlService/sendAll",
)
CONVERSATIONS = ("/skywalking.v10.AsyncProfilerTask/collect", "/skywalking.v10.PprofTask/collect")
REFUSED = "/skywalking.v3.ProfileTask/refused"
PIECE = 1 << 20
PIECES = 12


def content():
    return [bytes([number]) * PIECE for number in range(PIECES)]


def summary(pieces):
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return f"{size} {digest.hexdigest()}".encode()


class Tasks(grpc.GenericRpcHandler):
    def service(self, details):
        path, told = details.method, dict(details.invocation_metadata)

        def unary(request, context):
            context.set_trailing_metadata((("x-path", path),))
            return b"|".join((path.encode(), told.get("x-agent", "").encode(), request))

        def refused(_, context):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not this one")

        def stream(requests, _):
            return summary(requests)

        def conversation(requests, _):
            yield b"go on after " + next(requests)
            yield summary(requests)

        if path == REFUSED:
            return grpc.unary_unary_rpc_method_handler(refused)
        if path in CONVERSATIONS:
            return grpc.stream_stream_rpc_method_handler(conversation)
        if path in STREAMS:
            return grpc.stream_unary_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary) if path in UNARY else None


def serve(arguments):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((Tasks(),))
    if server.add_insecure_port(f"127.0.0.1:{arguments.port}") == 0:
        raise SystemExit("the port is taken")
    server.start()
    server.wait_for_termination()


def converse(channel, path):
    """Sends content only once the server has answered what came first."""
    answered = threading.Event()

    def requests():
        yield b"metadata"
        if not answered.wait(20):
            return
        yield from content()

    answers = channel.stream_stream(path)(requests(), timeout=30)
    first = next(answers)
    answered.set()
    return [first.decode(), next(answers).decode()]


def call(arguments):
    found = {"expected": summary(content()).decode()}
    with grpc.insecure_channel(arguments.backend) as channel:
        for path in UNARY:
            answer, called = channel.unary_unary(path).with_call(
                path[::-1].encode(), timeout=20, metadata=(("x-agent", "python"),)
            )
            found[path] = [answer.decode(), dict(called.trailing_metadata()).get("x-path")]
        for path in STREAMS:
            found[path] = channel.stream_unary(path)(iter(content()), timeout=30).decode()
        for path in CONVERSATIONS:
            found[path] = converse(channel, path)
        try:
            channel.unary_unary(REFUSED)(b"", timeout=20)
        except grpc.RpcError as error:
            found[REFUSED] = [error.code().name, error.details()]
    print(json.dumps(found))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("serve", "call"))
    parser.add_argument("--port", type=int)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    serve(arguments) if arguments.what == "serve" else call(arguments)


main()
