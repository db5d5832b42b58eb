// A shop whose page has SkyWalking's client for browsers, its bundle from npm as it is. Prints its origin, and serves until
// its standard input ends. The page reports to a collector of another origin, and leaves for another page after a while.
//
// Arguments: --collector URL

const fs = require("fs");
const http = require("http");

const collector = process.argv[process.argv.indexOf("--collector") + 1];

const page = `<!doctype html>
<title>Shop</title>
<h1>Shop</h1>
<script src="/client.js"></script>
<script src="/app.js"></script>
`;

// The client waits five seconds for the first meaningful paint.
const app = `
const collector = ${JSON.stringify(collector)};
ClientMonitor.register({
  collector, service: "page-shop", serviceVersion: "v3", pagePath: "/shop", useWebVitals: true, traceTimeInterval: 500,
});
fetch("/stock");
const call = new XMLHttpRequest();
call.open("GET", collector + "/nothing");
call.send();
setTimeout(function broken() { throw new Error("it broke"); }, 100);
Promise.reject(new Error("not kept"));
setTimeout(() => { location = "/left"; }, 6500);
`;

const answers = {
  "/shop": ["text/html", page],
  "/client.js": ["text/javascript", fs.readFileSync(require.resolve("skywalking-client-js/lib/index.js"))],
  "/app.js": ["text/javascript", app],
  "/stock": ["text/plain", "3"],
  "/left": ["text/html", "<!doctype html><title>Left</title>"],
};

const server = http.createServer((request, response) => {
  const [type, content] = answers[request.url] || ["text/plain", ""];
  response.writeHead(answers[request.url] ? 200 : 404, { "content-type": type });
  response.end(content);
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume();
