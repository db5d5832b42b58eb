// SkyWalking's agent for Node against a back-end: a server, and a client that calls it. Prints a line once the call is
// answered, then goes on until its input ends.
//
// Arguments: --backend HOST:PORT

const backend = process.argv[process.argv.indexOf("--backend") + 1];
const agent = require("skywalking-backend-js").default;
agent.start({ serviceName: "node-shop", serviceInstance: "node-shop-1", collectorAddress: backend });

const http = require("http");

const server = http.createServer((request, response) => {
  if (request.url === "/stock") {
    response.end("3");
    return;
  }
  // The agent sees calls of `http.request`, not of `http.get`.
  http
    .request({ host: "127.0.0.1", port: server.address().port, path: "/stock" }, (stock) => {
      stock.resume();
      stock.on("end", () => response.end("bought"));
    })
    .end();
});

server.listen(0, "127.0.0.1", () => {
  http
    .request({ host: "127.0.0.1", port: server.address().port, path: "/buy" }, (answer) => {
      answer.resume();
      answer.on("end", () => console.log("answered"));
    })
    .end();
});

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
