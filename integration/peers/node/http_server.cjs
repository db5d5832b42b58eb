// As python/http_server.py, with Node's own server. Arguments: ADDRESS PORT.
"use strict";

const http = require("node:http");
const [address, port] = process.argv.slice(2);

http
  .createServer((request, response) => {
    let received = 0;
    request.on("data", (piece) => (received += piece.length));
    request.on("end", () => {
      const [, action, argument] = request.url.split("/");
      const status = action === "status" ? Number(argument) : 200;
      let body = "x".repeat(Number(argument) || 0);
      if (action === "status") body = [204, 304].includes(status) ? "" : `status ${status}`;
      if (action === "count") body = String(received);
      const sent = request.method === "HEAD" ? 0 : body.length;
      console.log(JSON.stringify({ method: request.method, path: request.url, status, received, sent }));
      response.statusCode = status;
      if (action === "chunked") {
        const third = Math.floor(body.length / 3) + 1;
        for (let start = 0; start < body.length; start += third) response.write(body.slice(start, start + third));
      } else if (body !== "") {
        response.setHeader("Content-Length", body.length);
      }
      response.end(action === "chunked" || request.method === "HEAD" ? undefined : body);
    });
  })
  .listen(Number(port), address);
