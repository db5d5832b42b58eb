//! The `pprof` extension: a page of process figures where the Collector serves profiles of its Go runtime.

mod process;

use std::sync::Arc;

use http::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    budget::Budget,
    component::{
        BuildError, ComponentConfig, Declaration, Endpoint, Extension, ExtensionContext, ExtensionFactory,
        NotBuilt, Problem,
    },
    config::types::Duration,
    graph::Status,
    http::{ResponseBody, server::HttpServerConfig, text},
};
use tracing::warn;

use crate::pages::{self, PageServer, Pages};

/// The `pprof` extension.
pub struct Pprof;

/// The keys of the `pprof` extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PprofConfig {
    /// Where to listen.
    pub endpoint: String,
    /// Accepted for the Collector's files: a setting of the Go runtime. Sluice warns at start that it has none.
    pub block_profile_fraction: i64,
    /// Accepted for the Collector's files: a setting of the Go runtime. Sluice warns at start that it has none.
    pub mutex_profile_fraction: i64,
    /// Not in this build.
    pub save_to_file: NotBuilt,
}

impl Default for PprofConfig {
    fn default() -> Self {
        Self {
            endpoint: "localhost:1777".to_owned(),
            block_profile_fraction: 0,
            mutex_profile_fraction: 0,
            save_to_file: NotBuilt::default(),
        }
    }
}

impl PprofConfig {
    fn server(&self) -> HttpServerConfig {
        HttpServerConfig { endpoint: self.endpoint.clone(), ..HttpServerConfig::default() }
    }
}

impl ComponentConfig for PprofConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.server().problems("");
        self.save_to_file.report("save_to_file", "record with perf record -g instead", &mut problems);
        problems
    }
}

impl ExtensionFactory for Pprof {
    type Config = PprofConfig;
    const DECLARATION: Declaration = Declaration {
        name: "pprof",
        aliases: &[],
        summary: "Serves figures of the process where the Collector serves profiles.",
        signals: &[],
        absorbs: false,
        example: include_str!("example.yaml"),
    };

    fn endpoints(config: &PprofConfig) -> Vec<Endpoint> {
        pages::endpoint(&config.server())
    }

    fn build(config: PprofConfig, context: ExtensionContext) -> Result<Box<dyn Extension>, BuildError> {
        let context = context.component;
        if config.block_profile_fraction != 0 || config.mutex_profile_fraction != 0 {
            warn!(
                extension = %context.id,
                "block_profile_fraction and mutex_profile_fraction have no effect: they are settings of the Go runtime"
            );
        }
        let figures = Figures { status: Arc::clone(&context.status), budget: context.budget.clone() };
        Ok(Box::new(PageServer::new(&config.server(), &context, figures)?))
    }
}

struct Figures {
    status: Arc<Status>,
    budget: Budget,
}

impl Figures {
    fn text(&self) -> String {
        let mut page =
            "Sluice has no Go runtime, so there are no Go profiles here. The process in figures:\n\n"
                .to_owned();
        let uptime = Duration::from_secs(self.status.uptime().as_secs());
        let figures = [
            ("process id", std::process::id().to_string()),
            ("up for", uptime.to_string()),
            ("telemetry held, bytes", self.budget.used().to_string()),
            ("byte budget", self.budget.limit().to_string()),
        ];
        for (name, value) in figures.into_iter().chain(process::figures()) {
            page.push_str(&format!("{name:<24}{value}\n"));
        }
        page.push_str(&format!(
            "\nFor a CPU profile of this process run\n  perf record -g -p {} -- sleep 30\n",
            std::process::id()
        ));
        page
    }
}

impl Pages for Figures {
    fn page(&self, path: &str) -> Option<Response<ResponseBody>> {
        match path {
            "/" | "/debug/pprof" | "/debug/pprof/" => Some(text(StatusCode::OK, self.text())),
            _ if path.starts_with("/debug/pprof/") => {
                let advice = "Sluice makes no Go profiles; see /debug/pprof/ for what there is\n";
                Some(text(StatusCode::NOT_IMPLEMENTED, advice))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::testing::{answers, context, decoded};

    #[tokio::test]
    async fn the_index_says_what_there_is_and_profiles_what_there_is_not() {
        let requests = ["GET /debug/pprof/", "GET /debug/pprof/heap", "GET /other"];
        let answers = answers::<Pprof>("{block_profile_fraction: 3}", context("pprof"), &requests).await;
        assert_eq!(answers.iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [200, 501, 404]);
        let page = &answers[0].2;
        let process = std::process::id();
        assert!(page.contains(&format!("perf record -g -p {process}")), "{page}");
        assert!(page.contains("resident memory"), "{page}");
    }

    #[test]
    fn keys_and_defaults_are_the_collectors() {
        assert_eq!(decoded::<Pprof>("{}").endpoint, "localhost:1777");
        assert_eq!(decoded::<Pprof>("{mutex_profile_fraction: 5, save_to_file: \"\"}").problems(), []);
        let problems = decoded::<Pprof>("{save_to_file: cpu.out}").problems();
        assert_eq!(problems[0].key, "save_to_file");
    }
}
