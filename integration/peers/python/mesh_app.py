"""An application of a mesh: answers requests, calls the next one if there is one, and copies the trace headers.

It knows nothing of tracing otherwise. A line of JSON on its standard output for each request that it answered.
Arguments: --listen ADDRESS:PORT [--next ADDRESS:PORT --host NAME]
"""

import argparse
import http.client
import http.server
import json
import time

COPIED = ["x-request-id", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"]

parser = argparse.ArgumentParser()
parser.add_argument("--listen", required=True)
parser.add_argument("--next")
parser.add_argument("--host")
arguments = parser.parse_args()


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = int(self.path.rsplit("/", 1)[-1])
        body = b"here"
        if arguments.next:
            # What an application does before it calls another.
            time.sleep(0.005)
            copied = {name: self.headers[name] for name in COPIED if name in self.headers}
            connection = http.client.HTTPConnection(arguments.next)
            connection.request("GET", "/next" + self.path, headers={"Host": arguments.host, **copied})
            answer = connection.getresponse()
            status, body = answer.status, b"there: " + answer.read()
            connection.close()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(json.dumps({"path": self.path, "span": self.headers["x-b3-spanid"], "status": status}), flush=True)

    def log_message(self, *_):
        pass


address, port = arguments.listen.rsplit(":", 1)
http.server.ThreadingHTTPServer((address, int(port)), Application).serve_forever()
