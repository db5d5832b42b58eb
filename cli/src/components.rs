//! `sluice components`: what this build has.

use std::{fmt::Write as _, fs, io::IsTerminal, path::Path};

use sluice_pipeline::{
    component::{Declaration, Kind, Pair, Registry},
    config::reference,
};

use crate::{
    arguments::{ComponentsFormat, ComponentsOptions},
    output::{self, CommandError},
};

const KINDS: [Kind; 5] = [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension];

pub(crate) fn show(options: &ComponentsOptions, registry: &Registry) -> Result<(), CommandError> {
    if let Some(directory) = &options.pages {
        return write_pages(directory, registry);
    }
    if let Some(name) = &options.component {
        let page = reference::of_type(registry, name).ok_or_else(|| {
            CommandError::Other(format!(
                "no component of this build is called \"{name}\"; `sluice components` lists them"
            ))
        })?;
        return output::print(&page);
    }
    let default =
        if std::io::stdout().is_terminal() { ComponentsFormat::Table } else { ComponentsFormat::Yaml };
    output::print(&match options.format.unwrap_or(default) {
        ComponentsFormat::Table => table(registry),
        ComponentsFormat::Yaml => yaml(registry),
    })
}

fn write_pages(directory: &Path, registry: &Registry) -> Result<(), CommandError> {
    for (name, text) in reference::pages(registry) {
        let path = directory.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|error| CommandError::io(format!("cannot write {}", path.display()), error))?;
    }
    Ok(())
}

/// The Collector's document: build information, then each kind with names and stability.
fn yaml(registry: &Registry) -> String {
    let mut text = format!(
        "buildinfo:\n    command: sluice\n    description: {}\n    version: {}\n",
        env!("CARGO_PKG_DESCRIPTION"),
        env!("CARGO_PKG_VERSION")
    );
    for kind in KINDS {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "{}:", kind.section());
        for entry in registry.of_kind(kind) {
            let declaration = &entry.declaration;
            let _ = writeln!(text, "    - name: {}", declaration.name);
            let _ = writeln!(text, "      module: sluice-{} {}", kind.section(), env!("CARGO_PKG_VERSION"));
            if !declaration.aliases.is_empty() {
                let _ = writeln!(text, "      aliases: [{}]", declaration.aliases.join(", "));
            }
            if declaration.absorbs {
                let _ = writeln!(text, "      answers_on_absorption: true");
            }
            stability(&mut text, kind, declaration);
        }
    }
    let _ = writeln!(text, "providers:");
    for scheme in ["env", "file", "yaml"] {
        let _ = writeln!(
            text,
            "    - scheme: {scheme}\n      module: sluice-pipeline {}",
            env!("CARGO_PKG_VERSION")
        );
    }
    let _ = writeln!(text, "converters: []");
    text
}

fn stability(text: &mut String, kind: Kind, declaration: &Declaration) {
    let _ = writeln!(text, "      stability:");
    if kind == Kind::Extension {
        let _ = writeln!(text, "        extension: Beta");
    }
    for (Pair(taken, given), stability) in declaration.signals {
        let signal = if kind == Kind::Connector { format!("{taken}-to-{given}") } else { taken.to_string() };
        let _ = writeln!(text, "        {signal}: {}", stability.name());
    }
}

fn table(registry: &Registry) -> String {
    let mut text = String::new();
    for kind in KINDS {
        let _ = writeln!(text, "{}", kind.section().to_uppercase());
        for entry in registry.of_kind(kind) {
            let declaration = &entry.declaration;
            let names: Vec<&str> =
                std::iter::once(declaration.name).chain(declaration.aliases.iter().copied()).collect();
            let _ = writeln!(
                text,
                "  {:<28} {:<32} {}",
                names.join(", "),
                signals(kind, declaration),
                declaration.summary
            );
        }
        text.push('\n');
    }
    text
}

fn signals(kind: Kind, declaration: &Declaration) -> String {
    let words: Vec<String> = declaration
        .signals
        .iter()
        .map(|(Pair(taken, given), _)| match kind {
            Kind::Connector if taken != given => format!("{taken} to {given}"),
            _ => taken.to_string(),
        })
        .collect();
    words.join(" ")
}
