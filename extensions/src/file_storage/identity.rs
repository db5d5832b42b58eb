//! Whose queue a directory holds: its file `queue`. The format is described in `docs/queue-format.md`.

use std::io;

use sluice_pipeline::{Signal, component::QueueOwner};

use super::{disk::Disk, log::format::VERSION};

/// The name of the file.
pub(super) const FILE: &str = "queue";
/// Its name until it is complete.
pub(super) const UNFINISHED: &str = "queue.new";
/// More than an identity can have.
const LIMIT: usize = 64 << 10;

/// Why a directory is not the queue that it should be. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    /// Written by a later version.
    #[error(
        "it holds a queue of version {0} of the format and this build reads version {VERSION}; run the version of \
         Sluice that wrote it until the queue is empty"
    )]
    Newer(u32),
    /// Of another exporter or signal.
    #[error(
        "it holds the queue of {found}, not of {expected}; was it renamed or copied? Move it back, or elsewhere"
    )]
    Other {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The disk reports an error.
    #[error("{doing}: {source}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The disk's reason.
        source: io::Error,
    },
}

/// What a file `queue` says.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Of(String),
    Newer(u32),
    /// A checksum or a line is wrong.
    Damaged,
}

/// Checks whose queue it is, and writes it down where that is not (readably) said.
pub(super) fn establish<D: Disk>(disk: &D, owner: &QueueOwner) -> Result<(), IdentityError> {
    let failed = |doing| move |source| IdentityError::Disk { doing, source };
    let names = disk.list().map_err(failed("cannot list the directory"))?;
    let expected = lines(owner);
    if names.iter().any(|name| name == FILE) {
        match read(disk).map_err(failed("cannot read the file \"queue\""))? {
            Found::Newer(version) => return Err(IdentityError::Newer(version)),
            Found::Of(found) if found != expected => {
                return Err(IdentityError::Other { found: in_words(&found), expected: in_words(&expected) });
            }
            Found::Of(_) => return Ok(()),
            // The directory's name says it too.
            Found::Damaged => {}
        }
    }
    write(disk, &names, &expected).map_err(failed("cannot write the file \"queue\""))
}

/// Whose queue it is, also in words, as far as that can be read.
pub(super) fn owner<D: Disk>(disk: &D) -> Result<Option<(QueueOwner, String)>, IdentityError> {
    let failed = |doing| move |source| IdentityError::Disk { doing, source };
    let names = disk.list().map_err(failed("cannot list the directory"))?;
    if !names.iter().any(|name| name == FILE) {
        return Ok(None);
    }
    match read(disk).map_err(failed("cannot read the file \"queue\""))? {
        Found::Newer(version) => Err(IdentityError::Newer(version)),
        Found::Of(lines) => Ok(parse_owner(&lines).map(|owner| (owner, in_words(&lines)))),
        Found::Damaged => Ok(None),
    }
}

fn parse_owner(lines: &str) -> Option<QueueOwner> {
    let (exporter, signal) = lines.trim_end().split_once('\n')?;
    let id = exporter.strip_prefix("exporter ")?.parse().ok()?;
    let signal = Signal::from_name(signal.strip_prefix("signal ")?)?;
    Some(QueueOwner { id, signal })
}

fn lines(owner: &QueueOwner) -> String {
    format!("exporter {}\nsignal {}\n", owner.id, owner.signal)
}

fn in_words(lines: &str) -> String {
    lines.trim_end().replace('\n', ", ")
}

fn read<D: Disk>(disk: &D) -> io::Result<Found> {
    let file = disk.open(FILE)?;
    let mut bytes = vec![0; LIMIT];
    let count = disk.read_at(&file, 0, &mut bytes)?;
    bytes.truncate(count);
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Found {
    let Ok(text) = std::str::from_utf8(bytes) else { return Found::Damaged };
    let Some((content, checksum)) = text.rsplit_once("crc32c ") else { return Found::Damaged };
    if checksum != format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) {
        return Found::Damaged;
    }
    let Some((first, rest)) = content.split_once('\n') else { return Found::Damaged };
    match first.strip_prefix("sluice queue ").and_then(|version| version.parse().ok()) {
        Some(version) if version > VERSION => Found::Newer(version),
        Some(VERSION) => Found::Of(rest.to_owned()),
        _ => Found::Damaged,
    }
}

fn write<D: Disk>(disk: &D, names: &[String], lines: &str) -> io::Result<()> {
    if names.iter().any(|name| name == UNFINISHED) {
        disk.remove(UNFINISHED)?;
    }
    let content = format!("sluice queue {VERSION}\n{lines}");
    let checksum = crc32c::crc32c(content.as_bytes());
    let file = disk.create(UNFINISHED)?;
    disk.write_at(&file, 0, &[content.as_bytes(), format!("crc32c {checksum:08x}\n").as_bytes()])?;
    disk.sync(&file)?;
    disk.rename(UNFINISHED, FILE)?;
    disk.sync_directory()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_storage::disk::simulated::SimulatedDisk;

    fn owner(id: &str) -> QueueOwner {
        QueueOwner { id: id.parse().unwrap(), signal: Signal::Traces }
    }

    #[test]
    fn it_is_written_once_and_then_checked() {
        let disk = SimulatedDisk::new(1);
        establish(&disk, &owner("otlp/a")).unwrap();
        let content = String::from_utf8(disk.content(FILE)).unwrap();
        assert!(content.starts_with("sluice queue 1\nexporter otlp/a\nsignal traces\ncrc32c "), "{content}");
        let syncs = disk.syncs();
        establish(&disk, &owner("otlp/a")).unwrap();
        assert_eq!(disk.syncs(), syncs, "nothing is written the second time");
        let error = establish(&disk, &owner("otlp/b")).unwrap_err().to_string();
        assert!(error.contains("exporter otlp/a, signal traces") && error.contains("otlp/b"), "{error}");
    }

    #[test]
    fn a_newer_version_is_refused_and_damage_is_mended() {
        let disk = SimulatedDisk::new(1);
        let newer = "sluice queue 2\nanything\n";
        let text = format!("{newer}crc32c {:08x}\n", crc32c::crc32c(newer.as_bytes()));
        disk.put(FILE, text.as_bytes());
        assert!(matches!(establish(&disk, &owner("otlp")), Err(IdentityError::Newer(2))));
        assert_eq!(disk.content(FILE), text.as_bytes(), "it is as it was");
        disk.put(FILE, b"sluice queue 2\nanything\ncrc32c 00000000\n");
        disk.put(UNFINISHED, b"half");
        establish(&disk, &owner("otlp")).unwrap();
        assert_eq!(parse(&disk.content(FILE)), Found::Of(lines(&owner("otlp"))));
    }

    #[test]
    fn it_survives_a_crash_at_any_operation() {
        for operations in 0..12 {
            for seed in 0..20 {
                let disk = SimulatedDisk::new(seed);
                disk.crash_after(operations);
                let done = establish(&disk, &owner("otlp")).is_ok();
                disk.boot();
                if done {
                    assert_eq!(parse(&disk.content(FILE)), Found::Of(lines(&owner("otlp"))));
                }
                establish(&disk, &owner("otlp")).unwrap();
            }
        }
    }
}
