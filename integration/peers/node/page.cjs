// SkyWalking's client for browsers, its bundle from npm as it is, in a page that this file only pretends: it has what the
// client uses of a browser, and keeps the rules of CORS as a browser does. Prints a line with what it did once all of that
// is sent, then ends.
//
// Arguments: --collector URL

const fs = require("fs");
const http = require("http");
const vm = require("vm");

const collector = process.argv[process.argv.indexOf("--collector") + 1];
const bundle = fs.readFileSync(require.resolve("skywalking-client-js/lib/index.js"), "utf8");

// What a page may send elsewhere without asking (Fetch standard, "CORS-safelisted request-header").
const SIMPLE = ["accept", "accept-language", "content-language"];
const preflights = new Map();
const refused = [];

function request(method, url, headers, body) {
  return new Promise((resolve, reject) => {
    const sent = http.request(url, { method, headers }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () =>
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function allows(headers, origin, credentials) {
  const allowed = headers["access-control-allow-origin"];
  if (!credentials) return allowed === "*" || allowed === origin;
  return allowed === origin && headers["access-control-allow-credentials"] === "true";
}

// A request of the page: to other origins with `origin`, after a preflight where one is due, and refused where the answer
// does not allow it.
async function send(location, method, address, headers, body, credentials) {
  const url = new URL(address, location);
  if (url.origin === location.origin) return request(method, url, headers, body);
  const { origin } = location;
  const special = Object.keys(headers)
    .map((name) => name.toLowerCase())
    .filter((name) => !SIMPLE.includes(name))
    .sort();
  if (special.length) {
    const asked = await request("OPTIONS", url, {
      origin,
      "access-control-request-method": method.toUpperCase(),
      "access-control-request-headers": special.join(","),
    });
    const named = (asked.headers["access-control-allow-headers"] || "").split(",").map((name) => name.trim());
    const permits = special.every((name) => named.includes(name) || (named.includes("*") && !credentials));
    if (asked.status > 299 || !permits || !allows(asked.headers, origin, credentials)) {
      refused.push(`${method} ${url.pathname}: preflight`);
      throw new TypeError("refused by CORS");
    }
    preflights.set(url.pathname, special.join(","));
  }
  const answer = await request(method.toUpperCase(), url, { ...headers, origin }, body);
  if (!allows(answer.headers, origin, credentials)) {
    refused.push(`${method} ${url.pathname}: answer`);
    throw new TypeError("refused by CORS");
  }
  return answer;
}

function page(location) {
  const under = new Set();
  const track = (promise) => {
    under.add(promise);
    promise.catch(() => {}).finally(() => under.delete(promise));
    return promise;
  };

  class XMLHttpRequest extends EventTarget {
    readyState = 0;
    status = 0;
    statusText = "";
    responseURL = "";
    #headers = {};
    open(method, url) {
      this.method = method;
      this.url = url;
      this.become(1);
    }
    setRequestHeader(name, value) {
      this.#headers[name] = value;
    }
    send(body) {
      const done = (status) => {
        this.status = status;
        this.responseURL = status ? new URL(this.url, location).href : "";
        this.become(4);
      };
      track(
        send(location, this.method, this.url, this.#headers, body, false).then(
          (answer) => done(answer.status),
          () => done(0),
        ),
      );
    }
    become(state) {
      this.readyState = state;
      this.onreadystatechange?.();
      this.dispatchEvent(new Event("readystatechange"));
    }
  }

  const events = new EventTarget();
  const of = { addEventListener: events.addEventListener.bind(events), removeEventListener() {} };
  const resource = {
    name: `${location.origin}/app.js`, duration: 12.5, transferSize: 4096, nextHopProtocol: "http/1.1",
    initiatorType: "script", startTime: 1, entryType: "resource",
  };
  const timing = {
    navigationStart: 1000, fetchStart: 1003, domainLookupStart: 1003, domainLookupEnd: 1008, connectStart: 1008,
    connectEnd: 1015, requestStart: 1015, responseStart: 1030, responseEnd: 1040, domInteractive: 1090,
    domContentLoadedEventEnd: 1100, loadEventStart: 1150,
  };
  class PerformanceObserver {
    static supportedEntryTypes = ["resource"];
    observe() {}
  }
  const nothing = class {};
  const window = {
    ...of,
    dispatchEvent: events.dispatchEvent.bind(events),
    location,
    innerWidth: 800,
    innerHeight: 600,
    document: {
      ...of, readyState: "complete", visibilityState: "visible", body: null, querySelectorAll: () => [],
      getElementsByTagName: () => [],
    },
    navigator: {
      // With credentials (Beacon, section 3.1), which is why the answer must name the origin.
      sendBeacon(url, blob) {
        const sent = blob.text().then((body) =>
          send(location, "POST", url, { "content-type": blob.type }, body, true),
        );
        track(sent);
        return true;
      },
    },
    performance: {
      timing, now: () => 2000, clearResourceTimings() {}, getEntries: () => [resource],
      getEntriesByType: (type) => (type === "resource" ? [resource] : []),
    },
    XMLHttpRequest,
    PerformanceObserver,
    MutationObserver: class {
      observe() {}
      disconnect() {}
    },
    fetch: (url, init = {}) => {
      const headers = Object.fromEntries(init.headers ? init.headers.entries() : []);
      const sent = send(location, init.method || "GET", url, headers, init.body, false);
      return track(sent).then((answer) => new Response(answer.body, { status: answer.status }));
    },
    HTMLScriptElement: nothing,
    HTMLLinkElement: nothing,
    HTMLImageElement: nothing,
    CustomEvent, Event, URL, Headers, Request, Response, Blob, console, Promise, setTimeout, setInterval,
  };
  window.window = window.self = window;
  return { window: vm.createContext(window), settled: () => Promise.allSettled([...under]) };
}

async function main(server) {
  const location = new URL(`http://127.0.0.1:${server.address().port}/shop`);
  const { window, settled } = page(location);
  vm.runInContext(bundle, window);
  window.ClientMonitor.register({
    collector, service: "page-shop", serviceVersion: "v3", pagePath: "/shop", useWebVitals: true,
    traceTimeInterval: 500,
  });

  await window.fetch("/stock");
  const xhr = new window.XMLHttpRequest();
  const answered = new Promise((resolve) => xhr.addEventListener("readystatechange", () => xhr.readyState === 4 && resolve()));
  xhr.open("GET", `${collector}/nothing`);
  xhr.send();
  await answered;
  window.onerror("it broke", `${location.origin}/app.js`, 7, 21, new Error("it broke"));
  const rejection = new Event("unhandledrejection");
  rejection.reason = new Error("not kept");
  window.dispatchEvent(rejection);

  // The client waits five seconds for the first meaningful paint, which it takes for -1 where there is no page.
  await new Promise((resolve) => setTimeout(resolve, 5500));
  window.dispatchEvent(new Event("beforeunload"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await settled();
  console.log(JSON.stringify({ origin: location.host, preflights: Object.fromEntries(preflights), refused }));
  process.exit(0);
}

// The page's own server.
const server = http.createServer((_, response) => response.end("3"));
server.listen(0, "127.0.0.1", () => main(server));
