"""A server of SkyWalking's services, with the stubs of its own agent for Python: it takes all and keeps notes.

Each message is a line of JSON in the file, written before the call that it came in is answered: the method's path, and the
message in protobuf's JSON.

Arguments: [--host ADDRESS] --port N --log FILE
"""

import argparse
import json
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToDict
from skywalking.protocol.common.Command_pb2 import Commands
from skywalking.protocol.language_agent import Meter_pb2_grpc, Tracing_pb2_grpc
from skywalking.protocol.logging import Logging_pb2_grpc


class Notes:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1)

    def collect(self, requests, context):
        for request in requests:
            line = {"type": request.DESCRIPTOR.name, "message": MessageToDict(request)}
            self.file.write(json.dumps(line) + "\n")
        return Commands()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", required=True)
    arguments = parser.parse_args()
    notes = Notes(arguments.log)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    for add, base in (
        (Tracing_pb2_grpc.add_TraceSegmentReportServiceServicer_to_server, Tracing_pb2_grpc.TraceSegmentReportServiceServicer),
        (Meter_pb2_grpc.add_MeterReportServiceServicer_to_server, Meter_pb2_grpc.MeterReportServiceServicer),
        (Logging_pb2_grpc.add_LogReportServiceServicer_to_server, Logging_pb2_grpc.LogReportServiceServicer),
    ):
        servicer = base()
        servicer.collect = notes.collect
        add(servicer, server)
    if server.add_insecure_port(f"{arguments.host}:{arguments.port}") == 0:
        raise SystemExit("the port is taken")
    server.start()
    server.wait_for_termination()


main()
