// A shop of two services with SkyWalking's agent for Node: `NAME-web` takes requests and calls `NAME-stock` over HTTP.
//
// Each service is a process of its own. Prints `stock ADDRESS` once both run, and ends once the agents had time to report.
//
// Arguments: --backend HOST:PORT --name NAME [--requests N]

const { spawn } = require("child_process");
const net = require("net");
const readline = require("readline");

const HOST = "127.0.0.1";
// What agents need to send what they have.
const GRACE = 4000;

const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const backend = option("--backend");
const name = option("--name");
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The agent tells of itself every 20 seconds, and has no setting for it.
const { setInterval: every } = global;
global.setInterval = (call, period, ...rest) => every(call, period === 20000 ? 1000 : period, ...rest);

function startAgent(service) {
  const agent = require("skywalking-backend-js").default;
  agent.start({ serviceName: service, serviceInstance: `${service}-1`, collectorAddress: backend });
  // Loaded after the agent, which instruments it then.
  return require("http");
}

function listen(server) {
  return new Promise((resolve) => server.listen(0, HOST, () => resolve(server.address().port)));
}

async function stock() {
  const http = startAgent(`${name}-stock`);
  const server = http.createServer((request, response) => {
    response.statusCode = request.url === "/missing" ? 404 : 200;
    response.end("1");
  });
  console.log(await listen(server));
  process.stdin.resume();
  process.stdin.on("end", () => later(GRACE).then(() => process.exit(0)));
}

// A request that the agent does not see, so that the shop is where traces begin.
function order(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, HOST, () => {
      socket.write(`POST /order HTTP/1.1\r\nhost: ${HOST}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    });
    socket.resume();
    socket.on("close", resolve);
    socket.on("error", reject);
  });
}

async function web() {
  const child = spawn(process.execPath, [__filename, "--serve", ...process.argv.slice(2)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [stockPort] = await new Promise((resolve) => {
    readline.createInterface({ input: child.stdout }).once("line", (line) => resolve([Number(line)]));
  });
  console.log(`stock ${HOST}:${stockPort}`);
  const http = startAgent(`${name}-web`);
  let number = 0;
  const server = http.createServer((_, response) => {
    const path = number++ % 2 ? "/missing" : "/stock";
    // The agent sees calls of `http.request`, not of `http.get`.
    const call = http.request({ host: HOST, port: stockPort, path }, (answer) => {
      answer.resume();
      answer.on("end", () => response.end("ordered"));
    });
    call.end();
  });
  const port = await listen(server);
  for (let count = Number(option("--requests", "4")); count > 0; count--) {
    await order(port);
    // So that OAP knows whose address it is before the next call.
    await later(1000);
  }
  child.stdin.end();
  await later(GRACE);
  process.exit(0);
}

(process.argv.includes("--serve") ? stock() : web()).catch((error) => {
  console.error(error);
  process.exit(1);
});
