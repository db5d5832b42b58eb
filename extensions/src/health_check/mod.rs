//! The `health_check` extension: says over HTTP whether Sluice is ready and all its tasks live.

mod config;

use std::sync::Arc;

pub use config::{CheckCollectorPipeline, HealthCheckConfig, OwnConfig, ResponseBodies};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use sluice_pipeline::{
    component::{
        BuildError, ComponentId, Declaration, Endpoint, Extension, ExtensionContext, ExtensionFactory,
    },
    config::types::Duration,
    graph::Status,
    http::{ResponseBody, text, with_type},
};
use tracing::warn;

use crate::pages::{self, PageServer, Pages};

/// The `health_check` extension.
pub struct HealthCheck;

impl ExtensionFactory for HealthCheck {
    type Config = HealthCheckConfig;
    const DECLARATION: Declaration = Declaration {
        name: "health_check",
        aliases: &[],
        summary: "Answers health checks over HTTP.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &HealthCheckConfig) -> Vec<Endpoint> {
        pages::endpoint(&config.server)
    }

    fn build(config: HealthCheckConfig, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let context = context.component;
        if config.own.check_collector_pipeline.enabled {
            warn_of_pipeline_check(&context.id);
        }
        let health = Health {
            path: config.own.path,
            bodies: config.own.response_body,
            status: Arc::clone(&context.status),
        };
        Ok(Box::new(PageServer::new(&config.server, &context, health)?))
    }
}

fn warn_of_pipeline_check(id: &ComponentId) {
    warn!(
        extension = %id,
        "check_collector_pipeline does not change the answer, as it does not in the Collector; \
         alert on otelcol_exporter_send_failed_* instead"
    );
}

struct Health {
    path: String,
    bodies: Option<ResponseBodies>,
    status: Arc<Status>,
}

/// What is answered unless `response_body` says otherwise.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    status: &'static str,
    up_since: String,
    uptime: String,
}

impl Report {
    fn of(status: &Status, healthy: bool) -> Self {
        if !healthy {
            // The Collector's words for "at no time".
            let up_since = "0001-01-01T00:00:00Z".to_owned();
            return Self { status: "Server not available", up_since, uptime: String::new() };
        }
        let up_since =
            Timestamp::try_from(status.started_at()).map(|time| time.to_string()).unwrap_or_default();
        let uptime = Duration::from(status.uptime()).to_string();
        Self { status: "Server available", up_since, uptime }
    }
}

impl Pages for Health {
    fn page(&self, path: &str) -> Option<Response<ResponseBody>> {
        if path != self.path {
            return None;
        }
        let healthy = self.status.is_healthy();
        let code = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Some(match &self.bodies {
            Some(bodies) => text(code, if healthy { &*bodies.healthy } else { &*bodies.unhealthy }),
            None => {
                let report = serde_json::to_vec(&Report::of(&self.status, healthy)).unwrap_or_default();
                with_type(code, "application/json", report)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::{
        component::ComponentConfig,
        graph::{DeadTask, Phase},
    };

    use super::*;
    use crate::pages::testing::{answers, context, decoded};

    #[tokio::test]
    async fn it_is_healthy_while_everything_runs_and_lives() {
        let context = context("health_check");
        let not_ready = answers::<HealthCheck>("{}", context.clone(), &["GET /"]).await;
        assert_eq!(not_ready[0].0, 503);
        assert_eq!(
            not_ready[0].2,
            r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#
        );

        context.status.update(|state| state.phase = Phase::Running);
        let ready = answers::<HealthCheck>("{}", context.clone(), &["GET /", "GET /else", "POST /"]).await;
        assert_eq!(ready.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [200, 404, 405]);
        let report: serde_json::Value = serde_json::from_str(&ready[0].2).unwrap();
        assert_eq!(report["status"], "Server available");
        report["upSince"].as_str().unwrap().parse::<Timestamp>().unwrap();
        report["uptime"].as_str().unwrap().strip_suffix('s').unwrap();

        let dead = DeadTask { component: "exporter otlp".to_owned(), task: "sends" };
        context.status.update(|state| state.died.push(dead));
        assert_eq!(answers::<HealthCheck>("{}", context, &["GET /"]).await[0].0, 503);
    }

    #[tokio::test]
    async fn path_and_answers_can_be_chosen() {
        let context = context("health_check");
        let yaml = "{path: /live, response_body: {healthy: fine, unhealthy: ill}}";
        let ill = answers::<HealthCheck>(yaml, context.clone(), &["GET /live"]).await;
        assert_eq!((ill[0].0, ill[0].2.as_str()), (503, "ill"));
        context.status.update(|state| state.phase = Phase::Running);
        let fine = answers::<HealthCheck>(yaml, context, &["GET /live", "GET /"]).await;
        assert_eq!((fine[0].0, fine[0].2.as_str()), (200, "fine"));
        assert_eq!(fine[1].0, 404);
    }

    #[test]
    fn the_defaults_are_the_collectors() {
        let config = decoded::<HealthCheck>("{check_collector_pipeline: {enabled: true}}");
        assert_eq!(config.server.endpoint, "localhost:13133");
        assert_eq!(config.own.path, "/");
        assert_eq!(config.problems(), []);
    }

    #[test]
    fn what_would_not_be_heeded_is_a_problem() {
        for (yaml, key) in [
            ("{use_v2: true}", "use_v2"),
            ("{path: live}", "path"),
            ("{component_health: {include_permanent_errors: true}}", "component_health"),
            ("{endpoint: nowhere}", "endpoint"),
        ] {
            let problems = decoded::<HealthCheck>(yaml).problems();
            assert_eq!(problems.iter().map(|problem| &*problem.key).collect::<Vec<_>>(), [key], "{yaml}");
        }
    }
}
