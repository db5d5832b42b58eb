// As python/http_client.py, with Node's own client. Arguments: PLAN.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const plan = JSON.parse(fs.readFileSync(process.argv[2]));
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(item) {
  return new Promise((resolve, reject) => {
    const headers = {};
    if (item.body && !item.chunked) headers["Content-Length"] = item.body;
    if (item.expect) headers.Expect = "100-continue";
    const request = http.request(item.base + item.path, { method: item.method, headers, agent });
    request.on("error", reject);
    request.on("response", (response) => {
      let received = 0;
      response.on("data", (piece) => (received += piece.length));
      response.on("end", () => {
        const { method, path, body } = item;
        console.log(JSON.stringify({ method, path, status: response.statusCode, received, sent: body }));
        resolve();
      });
    });
    const finish = () => {
      if (item.chunked) {
        const third = Math.floor(item.body / 3) + 1;
        for (let start = 0; start < item.body; start += third)
          request.write("y".repeat(Math.min(third, item.body - start)));
        request.end();
      } else {
        request.end("y".repeat(item.body));
      }
    };
    if (item.expect) {
      request.flushHeaders();
      request.once("continue", finish);
    } else {
      finish();
    }
  });
}

(async () => {
  for (const item of plan) await send(item);
  agent.destroy();
})();
