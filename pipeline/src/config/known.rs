//! The component types of the Collector's core and contrib distributions, so that a type which Sluice does not have
//! yet can be told from a misspelt one.

use crate::component::Kind;

const RECEIVERS: &str = "active_directory_ds aerospike apache apachespark awscloudwatch awscontainerinsightreceiver \
    awsecscontainermetrics awsfirehose awsxray azureblob azureeventhub azuremonitor bigip carbon chrony cloudflare \
    cloudfoundry collectd couchdb datadog docker_stats elasticsearch envoyals expvar faro filelog filestats flinkmetrics \
    fluentforward github gitlab googlecloudmonitoring googlecloudpubsub googlecloudspanner haproxy hostmetrics httpcheck \
    iis influxdb jaeger jmx journald k8s_cluster k8s_events k8slog k8sobjects kafka kafkametrics kubeletstats libhoney \
    loki memcached mongodb mongodbatlas mysql namedpipe netflow nginx nop nsxt ntp oracledb osquery otelarrow otlp \
    otlpjsonfile podman_stats postgresql pprof prometheus prometheusremotewrite pulsar purefa purefb rabbitmq \
    receiver_creator redis riak saphana simpleprometheus skywalking snmp snowflake solace splunk_hec splunkenterprise \
    sqlquery sqlserver sshcheck statsd stef syslog systemd tcpcheck tcplog tlscheck udplog vcenter wavefront \
    webhookevent windowseventlog windowsperfcounters windowsservice yanggrpc zipkin zookeeper";
const PROCESSORS: &str = "attributes batch coralogix cumulativetodelta datadogsemantics deltatocumulative deltatorate \
    dnslookup filter geoip groupbyattrs groupbytrace interval isolationforest k8s_attributes k8sattributes logdedup \
    logstransform memory_limiter metricsgeneration metricstarttime metricstransform probabilistic_sampler queuebatch \
    redaction remotetap resource resourcedetection schema span spanpruning sumologic tail_sampling transform \
    unroll";
const EXPORTERS: &str = "alertmanager alibabacloud_logservice awscloudwatchlogs awsemf awskinesis awss3 awsxray \
    azureblob azuredataexplorer azuremonitor bmchelix carbon cassandra clickhouse coralogix datadog dataset debug doris \
    elasticsearch faro file googlecloud googlecloudpubsub googlecloudstorage googlemanagedprometheus honeycombmarker \
    influxdb kafka load_balancing loadbalancing logging logicmonitor logzio loki mezmo nop opensearch otelarrow otlp \
    otlp_grpc otlp_http otlphttp prometheus prometheusremotewrite pulsar rabbitmq sapm sematext sentry signalfx \
    splunk_hec stef sumologic syslog tencentcloud_logservice tinybird zipkin";
const CONNECTORS: &str = "count datadog exceptions failover forward grafanacloud metricsaslogs otlpjson roundrobin \
    routing servicegraph signal_to_metrics signaltometrics slowsql spanmetrics sum";
const EXTENSIONS: &str = "ack asapclient awsproxy azureauth azure_encoding basicauth bearertokenauth cgroupruntime \
    db_storage docker_observer ecs_observer ecs_task_observer file_storage googleclientauth headers_setter health_check \
    host_observer http_forwarder httpforwarder jaegerremotesampling jaeger_encoding json_log_encoding k8s_leader_elector \
    k8s_observer kafkatopics_observer memory_limiter oauth2client oidc opamp otlp_encoding pprof redis_storage \
    remotetap sigv4auth skywalking_encoding solarwindsapmsettings sumologic text_encoding zipkin_encoding zpages";

/// The component types of the Collector's distributions, here or not.
pub fn collector_components(kind: Kind) -> impl Iterator<Item = &'static str> {
    let names = match kind {
        Kind::Receiver => RECEIVERS,
        Kind::Processor => PROCESSORS,
        Kind::Exporter => EXPORTERS,
        Kind::Connector => CONNECTORS,
        Kind::Extension => EXTENSIONS,
    };
    names.split_ascii_whitespace()
}

/// Whether the Collector has a component type of this name, here or not.
#[must_use]
pub fn is_collector_component(kind: Kind, name: &str) -> bool {
    collector_components(kind).any(|known| is_respelt(known, name))
}

/// Whether two names are of the same letters: the Collector's newer names are the older ones with underscores.
#[must_use]
pub fn is_respelt(one: &str, other: &str) -> bool {
    let letters = |name: &str| name.replace('_', "");
    letters(one) == letters(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        assert!(is_collector_component(Kind::Receiver, "hostmetrics"));
        assert!(!is_collector_component(Kind::Exporter, "hostmetrics"));
        assert!(!is_collector_component(Kind::Receiver, "otpl"));
    }

    #[test]
    fn newer_names_have_underscores() {
        assert!(is_collector_component(Kind::Receiver, "file_log"));
        assert!(is_collector_component(Kind::Exporter, "prometheus_remote_write"));
        assert!(is_collector_component(Kind::Processor, "k8sattributes"));
    }
}
