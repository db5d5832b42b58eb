//! Names and ages of rotated files: `name-2022-09-14T05-02-14.173.ext`, as the Collector's.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use tracing::warn;

use super::config::Rotation;

const TIME_FORMAT: &str = "%Y-%m-%dT%H-%M-%S%.3f";

/// Moves the file aside under the name of this moment. A name that is taken is never overwritten.
pub(super) fn move_aside(path: &Path, rotation: Rotation, now: Timestamp) -> io::Result<()> {
    let mut moment = now;
    loop {
        let backup = backup_path(path, rotation, moment);
        if !backup.try_exists()? {
            return fs::rename(path, backup);
        }
        moment = moment.saturating_add(SignedDuration::from_millis(1)).unwrap_or(moment);
    }
}

/// Deletes the old files that are too many or too old. What cannot be deleted is logged and left.
pub(super) fn prune(path: &Path, rotation: Rotation, now: Timestamp) {
    let mut backups = match backups(path, rotation) {
        Ok(backups) => backups,
        Err(error) => {
            warn!(path = %path.display(), %error, "Old files are not deleted: their directory cannot be listed");
            return;
        }
    };
    backups.sort_by(|(one, _), (other, _)| other.cmp(one));
    let kept = if rotation.max_backups == 0 { usize::MAX } else { rotation.max_backups };
    let hours = i64::try_from(rotation.max_days).unwrap_or(i64::MAX).saturating_mul(24);
    let oldest = match rotation.max_days {
        0 => None,
        _ => now.checked_sub(SignedDuration::from_secs(hours.saturating_mul(3600))).ok(),
    };
    for (index, (moment, backup)) in backups.into_iter().enumerate() {
        if index < kept && oldest.is_none_or(|oldest| moment >= oldest) {
            continue;
        }
        if let Err(error) = fs::remove_file(&backup) {
            warn!(path = %backup.display(), %error, "An old file cannot be deleted");
        }
    }
}

fn backup_path(path: &Path, rotation: Rotation, moment: Timestamp) -> PathBuf {
    let (prefix, suffix) = name_parts(path);
    let mut name = prefix;
    name.push(moment.to_zoned(zone(rotation)).strftime(TIME_FORMAT).to_string());
    name.push(suffix);
    path.with_file_name(name)
}

fn backups(path: &Path, rotation: Rotation) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let (prefix, suffix) = name_parts(path);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut backups = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(moment) = moment_of(&entry.file_name(), &prefix, &suffix, rotation) {
            backups.push((moment, entry.path()));
        }
    }
    Ok(backups)
}

fn moment_of(name: &OsStr, prefix: &OsStr, suffix: &OsStr, rotation: Rotation) -> Option<Timestamp> {
    let text = name.to_str()?.strip_prefix(prefix.to_str()?)?.strip_suffix(suffix.to_str()?)?;
    let time = civil::DateTime::strptime(TIME_FORMAT, text).ok()?;
    Some(time.to_zoned(zone(rotation)).ok()?.timestamp())
}

/// What a backup's name begins and ends with.
fn name_parts(path: &Path) -> (OsString, OsString) {
    let mut prefix = path.file_stem().unwrap_or_default().to_owned();
    prefix.push("-");
    let mut suffix = OsString::new();
    if let Some(extension) = path.extension() {
        suffix.push(".");
        suffix.push(extension);
    }
    (prefix, suffix)
}

fn zone(rotation: Rotation) -> TimeZone {
    if rotation.localtime { TimeZone::system() } else { TimeZone::UTC }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { max_megabytes: 1, max_days: 0, max_backups: 2, localtime: false };

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_time_stands_before_the_extension() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.json");
        fs::write(&path, "x").unwrap();
        move_aside(&path, ROTATION, at("2022-09-14T05:02:14.173Z")).unwrap();
        assert_eq!(names(directory.path()), ["data-2022-09-14T05-02-14.173.json"]);
    }

    #[test]
    fn a_name_that_is_taken_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        for content in ["one", "two"] {
            fs::write(&path, content).unwrap();
            move_aside(&path, ROTATION, at("2022-09-14T05:02:14.999Z")).unwrap();
        }
        assert_eq!(names(directory.path()), ["data-2022-09-14T05-02-14.999", "data-2022-09-14T05-02-15.000"]);
    }

    #[test]
    fn too_many_and_too_old_files_go_and_strangers_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data.json");
        for name in [
            "data-2022-09-01T00-00-00.000.json",
            "data-2022-09-12T00-00-00.000.json",
            "data-2022-09-13T00-00-00.000.json",
            "data-2022-09-14T00-00-00.000.json",
            "data-mine.json",
            "other-2022-09-14T00-00-00.000.json",
        ] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        let days = Rotation { max_days: 2, max_backups: 0, ..ROTATION };
        prune(&path, days, at("2022-09-14T12:00:00Z"));
        assert_eq!(names(directory.path()).len(), 4, "two days and what is no backup");
        prune(&path, Rotation { max_backups: 1, ..ROTATION }, at("2022-09-14T12:00:00Z"));
        assert_eq!(
            names(directory.path()),
            ["data-2022-09-14T00-00-00.000.json", "data-mine.json", "other-2022-09-14T00-00-00.000.json"]
        );
    }
}
