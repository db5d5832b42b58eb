//! What Sluice says of broken configuration: each file of `tests/data/broken` beside the answer in the `.txt` file of
//! the same name. `UPDATE_GOLDEN=1` writes the answers anew.

use std::fs;
use std::path::Path;

use crate::support::Setup;

#[test]
fn every_answer_is_the_one_on_file() {
    let setup = Setup::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/broken");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".yaml").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let file = format!("{name}.yaml");
        let output =
            setup.command().current_dir(&directory).args(["validate", "--config", &file]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        let golden = directory.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{file}:\n{said}"));
        }
        assert!(said.contains(&format!("{file}:")), "{name} is answered without a place:\n{said}");
    }
    assert!(wrong.is_empty(), "the answers differ from those on file:\n{}", wrong.join("\n"));
}
