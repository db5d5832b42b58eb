//! The keys of the `file` exporter.

use std::time;

use schemars::JsonSchema;
use serde::Deserialize;
use sluice_pipeline::{
    component::{ComponentConfig, NotBuilt, Problem},
    config::types::Duration,
};

const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// The keys of the `file` exporter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FileConfig {
    /// The file to write to; required. Relative to the working directory. With `group_by` it holds one `*`. Sluice does
    /// not start if it cannot be opened.
    pub path: String,
    /// Whether to add to a file that is already there. Otherwise it is emptied when the first batch is written.
    /// Not together with `rotation` or `compression`.
    pub append: bool,
    /// When to begin a new file; without this key never. `rotation:` alone takes the defaults.
    #[serde(alias = "rotation=null")]
    pub rotation: Option<Rotation>,
    /// How a batch is encoded.
    pub format: Format,
    /// An encoding extension. Not in this build.
    pub encoding: NotBuilt,
    /// How each batch is compressed.
    pub compression: Compression,
    /// How often what was written is synced to the disk. Each batch is handed to the operating system before it is
    /// answered, so this bounds what a power cut takes, not what a crash takes. Zero means the default.
    pub flush_interval: Duration,
    /// Writes to a file for each value of a resource attribute.
    pub group_by: Option<GroupBy>,
    /// Whether to create the directory of the file if it is missing.
    pub create_directory: bool,
    /// The permissions of directories that are created, in octal: `"0755"` if empty. Only with `create_directory`.
    pub directory_permissions: String,
}

/// How a batch is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OTLP/JSON, a line for each batch.
    #[default]
    Json,
    /// OTLP protobuf, each batch preceded by its length in four bytes, big-endian.
    Proto,
}

/// How each batch is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Compression {
    /// Not at all.
    #[default]
    #[serde(rename = "")]
    None,
    /// Each batch is a zstd frame, preceded by its length in four bytes, big-endian.
    #[serde(rename = "zstd")]
    Zstd,
}

/// When to begin a new file, and which old ones to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rotation {
    /// The size in MiB that a file does not grow beyond; 0 means 100.
    pub max_megabytes: u64,
    /// How many days an old file is kept, by the time in its name; 0 means for ever.
    pub max_days: u64,
    /// How many old files are kept; 0 means all.
    pub max_backups: usize,
    /// Whether the time in the name of an old file is local time rather than UTC.
    pub localtime: bool,
}

/// Writes to a file for each value of a resource attribute.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupBy {
    /// Whether to do so.
    pub enabled: bool,
    /// The resource attribute whose value takes the place of `*` in `path`.
    pub resource_attribute: String,
    /// How many files are kept open.
    pub max_open_files: usize,
}

impl Default for FileConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            append: false,
            rotation: None,
            format: Format::default(),
            encoding: NotBuilt::default(),
            compression: Compression::default(),
            flush_interval: DEFAULT_FLUSH_INTERVAL,
            group_by: None,
            create_directory: false,
            directory_permissions: String::new(),
        }
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_megabytes: 0, max_days: 0, max_backups: 100, localtime: false }
    }
}

impl Default for GroupBy {
    fn default() -> Self {
        Self {
            enabled: false,
            resource_attribute: "fileexporter.path_segment".to_owned(),
            max_open_files: 100,
        }
    }
}

impl Rotation {
    /// The size that a file does not grow beyond, in bytes.
    pub(super) fn limit(self) -> u64 {
        let megabytes = if self.max_megabytes == 0 { 100 } else { self.max_megabytes };
        megabytes.saturating_mul(1024 * 1024)
    }
}

impl FileConfig {
    /// How often to sync.
    pub(super) fn sync_interval(&self) -> time::Duration {
        self.flush_interval.limit().unwrap_or(DEFAULT_FLUSH_INTERVAL.get())
    }

    /// The permissions of directories to create; `None` if none are created or the text is not octal.
    pub(super) fn directory_mode(&self) -> Option<u32> {
        let text = match self.directory_permissions.as_str() {
            "" => "0755",
            text => text,
        };
        let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok()?;
        (self.create_directory && mode & !0o777 == 0).then_some(mode)
    }

    /// `group_by`, if it is switched on.
    pub(super) fn grouping(&self) -> Option<&GroupBy> {
        self.group_by.as_ref().filter(|group_by| group_by.enabled)
    }

    fn grouping_problems(&self, problems: &mut Vec<Problem>) {
        let Some(group_by) = self.grouping() else { return };
        if self.path.matches('*').count() != 1 {
            problems.push(Problem::at("path", "path must hold exactly one * when group_by is enabled"));
        } else if self.path.starts_with('*') {
            problems.push(Problem::at("path", "path must not start with * when group_by is enabled"));
        }
        if group_by.resource_attribute.is_empty() {
            problems.push(Problem::at(
                "group_by.resource_attribute",
                "resource_attribute must not be empty when group_by is enabled",
            ));
        }
        if group_by.max_open_files == 0 {
            problems.push(Problem::at("group_by.max_open_files", "max_open_files must be at least 1"));
        }
    }
}

impl ComponentConfig for FileConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.is_empty() {
            problems.push(Problem::at("path", "path must be set: the file to write to"));
        }
        if self.append && self.compression != Compression::None {
            problems
                .push(Problem::at("append", "append does not work together with compression; remove one"));
        }
        if self.append && self.rotation.is_some() {
            problems.push(Problem::at("append", "append does not work together with rotation; remove one"));
        }
        self.encoding.report("encoding", "remove it and choose format: json or proto", &mut problems);
        if self.create_directory && self.directory_mode().is_none() {
            problems.push(Problem::at(
                "directory_permissions",
                "directory_permissions must be permission bits in octal, such as \"0755\"",
            ));
        }
        if !self.create_directory && !self.directory_permissions.is_empty() {
            problems.push(Problem::at(
                "directory_permissions",
                "directory_permissions has no effect without create_directory: true",
            ));
        }
        self.grouping_problems(&mut problems);
        problems
    }
}
