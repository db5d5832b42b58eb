//! The objects that are checked in are what their sources give. Debug information may differ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::{collections::BTreeMap, path::Path, process::Command};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget};

const OBJECTS: [&str; 4] =
    ["sockets.x86_64.o", "sockets.aarch64.o", "syscalls.x86_64.o", "syscalls.aarch64.o"];

#[test]
fn objects_are_what_their_sources_give() {
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    for tool in ["clang-19", "llvm-strip-19"] {
        if Command::new(tool).arg("--version").output().is_err() {
            assert!(!is_ci, "skipped: no {tool}, which CI has to provide");
            eprintln!("skipped: no {tool}");
            return;
        }
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    let built = Command::new(here.join("build")).arg(directory.path()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for name in OBJECTS {
        let checked_in = Contents::read(&here.join("objects").join(name));
        let rebuilt = Contents::read(&directory.path().join(name));
        assert!(checked_in.sections.len() > 10, "{name} has {:?}", checked_in.sections.keys());
        assert!(checked_in.sections.contains_key(".maps") && checked_in.sections.contains_key(".BTF"));
        for (section, content) in &checked_in.sections {
            assert!(
                rebuilt.sections.get(section) == Some(content),
                "{name}: {section} differs; run ebpf/build"
            );
        }
        assert_eq!(
            checked_in.sections.keys().collect::<Vec<_>>(),
            rebuilt.sections.keys().collect::<Vec<_>>(),
            "{name}: run ebpf/build"
        );
    }
}

/// What a program is: its sections.
struct Contents {
    sections: BTreeMap<String, Section>,
}

/// Bytes, and what they refer to: a place, a name, and what is added.
#[derive(PartialEq, Eq)]
struct Section {
    bytes: Vec<u8>,
    relocations: Vec<(u64, String, i64)>,
}

impl Contents {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let mut sections = BTreeMap::new();
        for section in file.sections() {
            let name = section.name().unwrap().to_owned();
            // Line numbers and source text.
            if name.starts_with(".rel") || [".strtab", ".symtab", ""].contains(&name.as_str()) {
                continue;
            }
            let relocations = section
                .relocations()
                .map(|(place, relocation)| {
                    let RelocationTarget::Symbol(index) = relocation.target() else {
                        panic!("{relocation:?}")
                    };
                    let symbol = file.symbol_by_index(index).unwrap();
                    let target = match symbol.name().unwrap() {
                        "" => file.section_by_index(symbol.section_index().unwrap()).unwrap().name().unwrap(),
                        name => name,
                    };
                    (place, target.to_owned(), relocation.addend())
                })
                .collect();
            let known = sections
                .insert(name.clone(), Section { bytes: section.data().unwrap().to_vec(), relocations });
            assert!(known.is_none(), "two sections {name}");
        }
        Self { sections }
    }
}
