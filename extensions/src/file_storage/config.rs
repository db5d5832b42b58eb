//! The keys of the `file_storage` extension.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, Problem},
    config::types::Duration,
};

/// The keys of the `file_storage` extension.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FileStorageConfig {
    /// The directory of the queues. Nothing else may be in it.
    pub directory: PathBuf,
    /// How long to wait at start for another process to let go of the directory.
    pub timeout: Duration,
    /// Whether data is synced to the disk before it counts as safe. Unlike in the Collector this is the default: without
    /// it a power cut loses what was answered in the last second.
    pub fsync: bool,
    /// Whether the directory is made if it does not exist.
    pub create_directory: bool,
    /// With which permissions, in octal digits.
    pub directory_permissions: String,
    /// Accepted for the Collector's files and without effect: damaged records are skipped and counted, so that there is
    /// nothing to begin anew. Sluice says so at start.
    pub recreate: bool,
    /// Accepted for the Collector's files and without effect: the space of what was delivered is given back all the
    /// time. Sluice says so at start.
    pub compaction: CompactionConfig,
    /// What may be given up before it is delivered. The Collector has no such keys.
    pub retention: RetentionConfig,
}

/// The Collector's compaction, which is not needed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CompactionConfig {
    /// Whether it is asked for at start.
    pub on_start: bool,
    /// Whether it is asked for while it runs.
    pub on_rebound: bool,
    /// Where it would work.
    pub directory: Option<PathBuf>,
    /// From which size on it would be considered.
    pub rebound_needed_threshold_mib: i64,
    /// Below which use it would begin.
    pub rebound_trigger_threshold_mib: i64,
    /// How much it would copy at a time.
    pub max_transaction_size: i64,
    /// How often it would be considered.
    pub check_interval: Duration,
    /// Whether its leftovers would be removed at start.
    pub cleanup_on_start: bool,
}

/// What may be given up before it is delivered, oldest first. What is on its way already is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetentionConfig {
    /// Data older than this; 0 keeps it however old.
    pub max_age: Duration,
    /// Data beyond this many MiB on disk of each queue; 0 keeps it all, and refuses what finds no room.
    pub max_size_mib: u64,
}

impl Default for FileStorageConfig {
    fn default() -> Self {
        Self {
            directory: "/var/lib/otelcol/file_storage".into(),
            timeout: Duration::from_secs(1),
            fsync: true,
            create_directory: false,
            directory_permissions: "0750".to_owned(),
            recreate: false,
            compaction: CompactionConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            on_start: false,
            on_rebound: false,
            directory: None,
            rebound_needed_threshold_mib: 100,
            rebound_trigger_threshold_mib: 10,
            max_transaction_size: 65_536,
            check_interval: Duration::from_secs(5),
            cleanup_on_start: false,
        }
    }
}

impl FileStorageConfig {
    /// `directory_permissions` as a number; `None` if it is none.
    pub(super) fn mode(&self) -> Option<u32> {
        let digits = &self.directory_permissions;
        let mode = u32::from_str_radix(digits, 8).ok()?;
        (mode <= 0o777 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(mode)
    }

    /// What was asked for that has no effect.
    pub(super) fn without_effect(&self) -> Vec<&'static str> {
        [
            ("recreate", self.recreate),
            ("compaction.on_start", self.compaction.on_start),
            ("compaction.on_rebound", self.compaction.on_rebound),
            ("compaction.cleanup_on_start", self.compaction.cleanup_on_start),
        ]
        .into_iter()
        .filter_map(|(key, asked)| asked.then_some(key))
        .collect()
    }
}

impl ComponentConfig for FileStorageConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.directory.as_os_str().is_empty() {
            problems.push(Problem::at("directory", "must be set to a directory for the queues"));
        }
        match self.mode() {
            None => problems.push(Problem::at(
                "directory_permissions",
                "must be octal digits up to 0777, in quotes, such as \"0750\"",
            )),
            Some(mode) if mode & 0o700 != 0o700 => problems.push(Problem::at(
                "directory_permissions",
                "must let the owner read, write and enter the directory, as \"0750\" does",
            )),
            Some(_) => {}
        }
        problems
    }

    fn file_problems(&self) -> Vec<Problem> {
        directory_problem(&self.directory, self.create_directory)
            .map(|message| Problem::at("directory", message))
            .into_iter()
            .collect()
    }
}

/// Why a directory cannot be used, as far as that can be told without touching it.
pub(super) fn directory_problem(directory: &Path, create: bool) -> Option<String> {
    let shown = directory.display();
    match std::fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => None,
        Ok(_) => Some(format!("{shown} is not a directory; name one that holds nothing but queues")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(format!("{shown} does not exist; make it, or set create_directory: true"))
        }
        Err(error) => Some(format!("cannot look at {shown}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use sluice_pipeline::config;

    use super::*;

    fn decoded(yaml: &str) -> FileStorageConfig {
        let mut problems = config::Problems::default();
        let node = config::parse("test.yaml", yaml, &mut problems).unwrap();
        config::decode(&node, &mut problems).unwrap_or_else(|| panic!("{problems}"))
    }

    #[test]
    fn the_defaults_are_the_collectors_but_for_fsync() {
        let config = decoded("{}");
        assert_eq!(config, FileStorageConfig::default());
        assert!(config.fsync, "absent means true");
        assert_eq!(config.mode(), Some(0o750));
        assert_eq!(config.problems(), []);
    }

    #[test]
    fn every_key_of_the_collector_is_known() {
        let config = decoded(
            "{directory: /d, timeout: 2s, fsync: false, create_directory: true, directory_permissions: \"0700\", \
             recreate: true, compaction: {on_start: true, on_rebound: true, directory: /tmp, \
             rebound_needed_threshold_mib: 1, rebound_trigger_threshold_mib: 2, max_transaction_size: 3, \
             check_interval: 4s, cleanup_on_start: false}}",
        );
        assert!(!config.fsync && config.create_directory);
        assert_eq!(config.without_effect(), ["recreate", "compaction.on_start", "compaction.on_rebound"]);
    }

    #[test]
    fn bad_values_are_named() {
        for (yaml, key) in [
            ("{directory: \"\"}", "directory"),
            ("{directory_permissions: \"9\"}", "directory_permissions"),
            ("{directory_permissions: \"0050\"}", "directory_permissions"),
            ("{directory_permissions: \"+750\"}", "directory_permissions"),
        ] {
            let problems = decoded(yaml).problems();
            assert_eq!(problems.iter().map(|problem| &*problem.key).collect::<Vec<_>>(), [key], "{yaml}");
        }
        for yaml in ["{directory: /nowhere/at/all}", "{directory: /dev/null, create_directory: true}"] {
            assert_eq!(decoded(yaml).file_problems()[0].key, "directory", "{yaml}");
        }
        assert_eq!(decoded("{directory: /nowhere/at/all, create_directory: true}").file_problems(), []);
    }
}
