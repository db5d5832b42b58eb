//! What the pages show.

use sluice_pipeline::{
    component::ComponentId,
    config::types::Duration,
    graph::{Phase, Snapshot, Status},
};

use super::html::{PAGES, escaped, page, table};

pub(super) fn index() -> String {
    let links: String =
        PAGES.iter().map(|(path, name)| format!("<li><a href=\"{path}\">{name}</a></li>")).collect();
    page("Sluice", &format!("<ul>{links}</ul>"))
}

pub(super) fn service(status: &Status) -> String {
    let state = status.snapshot();
    let uptime = Duration::from_secs(status.uptime().as_secs());
    let health = if status.is_healthy() { "healthy" } else { "<span class=\"bad\">not healthy</span>" };
    let mut rows = vec![
        vec!["State".to_owned(), phase(state.phase).to_owned()],
        vec!["Health".to_owned(), health.to_owned()],
        vec!["Version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()],
        vec!["Up for".to_owned(), uptime.to_string()],
        vec!["Pipelines".to_owned(), state.pipelines.len().to_string()],
        vec!["Reloads".to_owned(), state.reloads.to_string()],
    ];
    if let Some(reason) = &state.reload_refused {
        rows.push(vec![
            "Last reload refused".to_owned(),
            format!("<span class=\"bad\">{}</span>", escaped(reason)),
        ]);
    }
    page("Service", &(table(&["", ""], &rows) + &dead_tasks(&state)))
}

fn dead_tasks(state: &Snapshot) -> String {
    if state.died.is_empty() {
        return String::new();
    }
    let rows: Vec<_> =
        state.died.iter().map(|dead| vec![escaped(&dead.component), escaped(dead.task)]).collect();
    format!("\n<h2 class=\"bad\">Tasks that died</h2>\n{}", table(&["Component", "Task"], &rows))
}

pub(super) fn pipelines(status: &Status) -> String {
    let rows: Vec<_> = status
        .snapshot()
        .pipelines
        .iter()
        .map(|pipeline| {
            vec![
                escaped(&pipeline.id.to_string()),
                ids(&pipeline.receivers),
                ids(&pipeline.processors),
                ids(&pipeline.exporters),
            ]
        })
        .collect();
    page("Pipelines", &table(&["Pipeline", "Receivers", "Processors, in order", "Exporters"], &rows))
}

pub(super) fn extensions(status: &Status) -> String {
    let rows: Vec<_> = status.snapshot().extensions.iter().map(|id| vec![escaped(&id.to_string())]).collect();
    page("Extensions", &table(&["Running"], &rows))
}

pub(super) fn features() -> String {
    page("Feature gates", "<p>Run <code>sluice featuregate</code> for the gates of this build.</p>")
}

pub(super) fn traces() -> String {
    page("Traces", "<p>Sluice makes no spans of its own work, so there are none to show.</p>")
}

fn ids(ids: &[ComponentId]) -> String {
    ids.iter().map(|id| escaped(&id.to_string())).collect::<Vec<_>>().join("<br>")
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Draining => "draining",
    }
}
