//! The exporter, of what Satellite's pipes say of their queues and of what is sent again.

use std::fmt::Write as _;

use sluice_pipeline::config::Node;

use super::{Conversion, plugin_name, value::Setting, with_unit};

impl Conversion<'_> {
    pub(super) fn write_exporter(&mut self, is_durable: bool) {
        let mut keys = String::new();
        if let Some(limit) = self.client("timeout.stream") {
            let _ = writeln!(keys, "    timeout: {}", with_unit(&limit, "s"));
        }
        if let Some(retries) = self.retries() {
            let _ = writeln!(keys, "    retry_on_failure: {{{retries}}}");
        }
        if self.has_no_queue() {
            keys.push_str("    sending_queue: {enabled: false}\n");
        } else if is_durable {
            if has(&self.of_pipes("gatherer", "queue"), "memory-queue") {
                let why = "memory-queue of some pipes; the queue on disk is for all of them, and their agents are \
                           answered once it is synced";
                self.note("pipes.gatherer.queue", why);
            }
            keys.push_str("    sending_queue:\n      wait_for_result: false\n      storage: file_storage\n");
        }
        self.write(&match keys.is_empty() {
            true => "exporters:\n  oap: {}\n\n".to_owned(),
            false => format!("exporters:\n  oap:\n{keys}\n"),
        });
    }

    /// The keys of `retry_on_failure`, if pipes say any. There is one exporter for all pipes.
    fn retries(&mut self) -> Option<String> {
        let fallbackers = self.of_pipes("sender", "fallbacker");
        if are_all(&fallbackers, "none-fallbacker") {
            return Some("enabled: false".to_owned());
        }
        if has(&fallbackers, "none-fallbacker") {
            let why = "none-fallbacker of some pipes; what fails is sent again for all of them";
            self.note("pipes.sender.fallbacker", why);
        }
        let timers = fallbackers.iter().filter(|it| plugin_name(it) == Some("timer-fallbacker"));
        let timers: Vec<String> = timers.map(intervals).collect();
        let first = timers.first()?;
        if timers.iter().any(|intervals| intervals != first) {
            let why =
                "pipes differ in exponential_backoff or max_backoff; those of the first are taken for all";
            self.note("pipes.sender.fallbacker", why);
        }
        Some(first.clone()).filter(|intervals| !intervals.is_empty())
    }

    /// Whether no pipe has a queue.
    fn has_no_queue(&mut self) -> bool {
        let queues = self.of_pipes("gatherer", "queue");
        let has_none = are_all(&queues, "none-queue");
        if !has_none && has(&queues, "none-queue") {
            let why = "none-queue of some pipes; the exporter's queue is for all of them, but what agents ask of OAP \
                       goes through none";
            self.note("pipes.gatherer.queue", why);
        }
        has_none
    }

    /// The plugin that each pipe names here, of those that name one.
    fn of_pipes(&self, above: &str, key: &str) -> Vec<Node> {
        let plugins = self.pipes().filter_map(|pipe| pipe.get(above)?.get(key));
        plugins.filter(|plugin| plugin_name(plugin).is_some()).cloned().collect()
    }
}

fn has(plugins: &[Node], name: &str) -> bool {
    plugins.iter().any(|plugin| plugin_name(plugin) == Some(name))
}

fn are_all(plugins: &[Node], name: &str) -> bool {
    !plugins.is_empty() && plugins.iter().all(|plugin| plugin_name(plugin) == Some(name))
}

/// The pauses of a fallbacker.
fn intervals(fallbacker: &Node) -> String {
    let keys = [("initial_interval", "exponential_backoff"), ("max_interval", "max_backoff")];
    let intervals = keys.iter().filter_map(|(ours, theirs)| {
        Some(format!("{ours}: {}", Setting::of(fallbacker, theirs)?.text_with("ms")))
    });
    intervals.collect::<Vec<_>>().join(", ")
}
