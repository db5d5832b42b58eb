//! The `zpages` extension: the state of the service and its pipelines as pages for a browser.

mod html;
mod views;

use std::sync::Arc;

use http::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{
        BuildError, ComponentConfig, Declaration, Endpoint, Extension, ExtensionContext, ExtensionFactory,
        NotBuilt, Problem, Reference,
    },
    graph::Status,
    http::{ResponseBody, server::HttpServerConfig, with_type},
    squash,
};

use crate::pages::{self, PageServer, Pages};

/// The `zpages` extension.
pub struct Zpages;

squash! {
    /// The keys of the `zpages` extension.
    #[derive(Clone, Debug)]
    pub struct ZpagesConfig {
        /// The server's keys.
        pub server: HttpServerConfig = "{endpoint: \"localhost:55679\"}",
        /// Its own keys.
        pub own: OwnConfig,
    }
}

/// What `zpages` has besides the keys of a server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OwnConfig {
    /// Variables of the Go runtime.
    pub expvar: ExpvarConfig,
}

/// Variables of the Go runtime.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExpvarConfig {
    /// Not in this build.
    pub enabled: NotBuilt,
}

impl ComponentConfig for ZpagesConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server.problems("");
        let instead = "Sluice has no Go runtime; its metrics are on the telemetry endpoint";
        self.own.expvar.enabled.report("expvar.enabled", instead, &mut problems);
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        self.server.file_problems("")
    }

    fn references(&self) -> Vec<Reference> {
        self.server.references("")
    }
}

impl ExtensionFactory for Zpages {
    type Config = ZpagesConfig;
    const DECLARATION: Declaration = Declaration {
        name: "zpages",
        aliases: &[],
        summary: "Shows the state of the service and its pipelines in a browser.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &ZpagesConfig) -> Vec<Endpoint> {
        pages::endpoint(&config.server)
    }

    fn build(config: ZpagesConfig, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let context = context.component;
        let views = StatusPages(Arc::clone(&context.status));
        Ok(Box::new(PageServer::new(&config.server, &context, views)?))
    }
}

struct StatusPages(Arc<Status>);

impl Pages for StatusPages {
    fn page(&self, path: &str) -> Option<Response<ResponseBody>> {
        let page = match path.strip_suffix('/').unwrap_or(path) {
            "" | "/debug" => views::index(),
            "/debug/servicez" => views::service(&self.0),
            "/debug/pipelinez" => views::pipelines(&self.0),
            "/debug/extensionz" => views::extensions(&self.0),
            "/debug/featurez" => views::features(),
            "/debug/tracez" => views::traces(),
            _ => return None,
        };
        Some(with_type(StatusCode::OK, "text/html; charset=utf-8", page))
    }
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::graph::{DeadTask, Phase, PipelineStatus};

    use super::*;
    use crate::pages::testing::{answers, context, decoded};

    #[tokio::test]
    async fn every_page_that_the_index_names_is_there() {
        let index = answers::<Zpages>("{}", context("zpages"), &["GET /debug"]).await.remove(0).2;
        let paths: Vec<String> = index
            .split("href=\"")
            .skip(1)
            .filter_map(|link| Some(format!("GET {}", link.split_once('"')?.0)))
            .collect();
        assert!(paths.len() >= 5, "{index}");
        let requests: Vec<&str> = paths.iter().map(String::as_str).collect();
        for (code, head, _) in answers::<Zpages>("{}", context("zpages"), &requests).await {
            assert_eq!(code, 200);
            assert!(head.contains("content-type: text/html"), "{head}");
        }
        assert_eq!(answers::<Zpages>("{}", context("zpages"), &["GET /debug/rpcz"]).await[0].0, 404);
    }

    #[tokio::test]
    async fn pipelines_and_dead_tasks_are_shown_without_their_markup() {
        let context = context("zpages");
        context.status.update(|state| {
            state.phase = Phase::Running;
            state.pipelines.push(PipelineStatus {
                id: "traces/front".parse().unwrap(),
                receivers: vec!["otlp".parse().unwrap()],
                processors: vec!["batch/a&b".parse().unwrap()],
                exporters: vec!["debug".parse().unwrap(), "file".parse().unwrap()],
            });
            state.died.push(DeadTask { component: "exporter file".to_owned(), task: "syncs" });
            state.reload_refused = Some("unknown key <b>".to_owned());
        });
        let pages = answers::<Zpages>("{}", context, &["GET /debug/pipelinez", "GET /debug/servicez/"]).await;
        for expected in ["traces/front", "batch/a&amp;b", "debug<br>file"] {
            assert!(pages[0].2.contains(expected), "{}", pages[0].2);
        }
        for expected in ["exporter file", "unknown key &lt;b&gt;", "running"] {
            assert!(pages[1].2.contains(expected), "{}", pages[1].2);
        }
    }

    #[test]
    fn keys_and_defaults_are_the_collectors() {
        let config = decoded::<Zpages>("{expvar: {enabled: false}}");
        assert_eq!(config.server.endpoint, "localhost:55679");
        assert_eq!(config.problems(), []);
        assert_eq!(decoded::<Zpages>("{expvar: {enabled: true}}").problems()[0].key, "expvar.enabled");
    }
}
