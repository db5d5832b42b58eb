// Sends one signal with the OpenTelemetry SDK for Node, and prints what was sent as OTLP/JSON, a line an export.
//
// What is printed comes from the SDK's own serializer and not from what Sluice answered, so that the two can be
// compared. Arguments: <traces|metrics|logs> <grpc|http-protobuf|http-json> <http://host:port>
"use strict";

const api = require("@opentelemetry/api");
const { JsonLogsSerializer, JsonMetricsSerializer, JsonTraceSerializer } = require("@opentelemetry/otlp-transformer");
const { resourceFromAttributes } = require("@opentelemetry/resources");

const [signal, protocol, endpoint] = process.argv.slice(2);
const package_ = { grpc: "grpc", "http-protobuf": "proto", "http-json": "http" }[protocol];
const resource = resourceFromAttributes({
  "service.name": "node-shop",
  "host.name": "uzel-ů",
  "process.pid": 42,
  "process.command_args": ["node", "shop.js"],
});

/** The exporter of this package and class name, printing what it is given. */
function recording(packageName, className, serializer) {
  const Exporter = require(packageName)[className];
  const url = protocol === "grpc" ? endpoint : `${endpoint}/v1/${signal}`;
  const exporter = new Exporter({ url });
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) => {
    console.log(Buffer.from(serializer.serializeRequest(items)).toString());
    send(items, (result) => {
      if (result.code !== 0) {
        console.error(result.error);
        process.exitCode = 1;
      }
      done(result);
    });
  };
  return exporter;
}

async function traces() {
  const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
  const exporter = recording(`@opentelemetry/exporter-trace-otlp-${package_}`, "OTLPTraceExporter", JsonTraceSerializer);
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] });
  const tracer = provider.getTracer("shop.web", "4.5.6");
  for (const [name, kind] of Object.entries(api.SpanKind).filter(([, kind]) => typeof kind === "number")) {
    const parent = tracer.startSpan(`page ${name}`, {
      kind,
      attributes: { text: "\u{1f600} \"quoted\"", yes: true, int: -7, float: 0.5, list: ["a", "b"], numbers: [1, 2] },
    });
    const context = api.trace.setSpan(api.ROOT_CONTEXT, parent);
    const child = tracer.startSpan("query", { links: [{ context: parent.spanContext(), attributes: { n: 1 } }] }, context);
    child.addEvent("rows", { count: 12 }, [1_700_000_000, 123_456_789]);
    child.recordException(new Error("broken"));
    child.setStatus({ code: api.SpanStatusCode.ERROR, message: "broken" });
    child.end();
    parent.setStatus({ code: api.SpanStatusCode.OK });
    parent.end();
  }
  await provider.shutdown();
}

async function metrics() {
  const { AggregationType, MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
  const exporter = recording(`@opentelemetry/exporter-metrics-otlp-${package_}`, "OTLPMetricExporter", JsonMetricsSerializer);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const views = [{ instrumentName: "exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }];
  const provider = new MeterProvider({ resource, readers: [reader], views });
  const meter = provider.getMeter("shop.meter", "1.0");
  const orders = meter.createCounter("orders", { unit: "{order}", description: "Orders taken" });
  const balance = meter.createUpDownCounter("balance");
  const duration = meter.createHistogram("duration", { unit: "s", advice: { explicitBucketBoundaries: [0.1, 1, 10] } });
  const exponential = meter.createHistogram("exponential");
  meter.createObservableGauge("temperature").addCallback((result) => {
    result.observe(21.5, { room: "a" });
    result.observe(-3, { room: "b" });
  });
  for (let number = 0; number < 10; number++) {
    orders.add(number, { even: number % 2 === 0 });
    balance.add(5 - number);
    duration.record(number * 0.7);
    exponential.record(1.5 ** number - 1);
  }
  await provider.shutdown();
}

async function logs() {
  const { SeverityNumber } = require("@opentelemetry/api-logs");
  const { BatchLogRecordProcessor, LoggerProvider } = require("@opentelemetry/sdk-logs");
  const exporter = recording(`@opentelemetry/exporter-logs-otlp-${package_}`, "OTLPLogExporter", JsonLogsSerializer);
  const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger("shop.logger", "7.8.9");
  for (const severityNumber of [SeverityNumber.TRACE, SeverityNumber.INFO, SeverityNumber.FATAL4]) {
    logger.emit({
      severityNumber,
      severityText: SeverityNumber[severityNumber],
      timestamp: [1_700_000_000, severityNumber],
      observedTimestamp: [1_700_000_000, 999],
      body: `with \t${severityNumber}`,
      attributes: { n: severityNumber, nested: { deep: { er: 1 } }, list: ["x", 2, null], raw: Buffer.from([0, 255]) },
      eventName: severityNumber === SeverityNumber.INFO ? "shop.opened" : undefined,
    });
  }
  for (const body of [{ map: { k: [1, 2.5, true] } }, ["array", 1], 42, 1.5, false]) {
    logger.emit({ severityNumber: SeverityNumber.WARN, timestamp: [1, 0], observedTimestamp: [2, 0], body });
  }
  await provider.shutdown();
}

({ traces, metrics, logs })[signal]();
