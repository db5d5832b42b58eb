//! Emulated machines with Debian's Linux 6.1 that have nothing but this Sluice and busybox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sluice_integration::process::{Process, tied};

use super::{Setup, executable, program};
use crate::support::peers::{kernel_modules, old_kernel};

/// What the machines of a test have in common: their kernel and the files that they start with, in memory.
pub(crate) struct Machines {
    qemu: PathBuf,
    kernel: PathBuf,
    files: PathBuf,
}

/// What the first process of a machine does before anything else.
const BEGIN: &str = "#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /tmp
for module in /modules/*.ko; do insmod $module; done
ip link set lo up
";

impl Machines {
    /// Machines whose first process runs this script, with these commands of busybox and these texts as files; `None` if
    /// something that they take is missing.
    pub(crate) fn new(setup: &Setup, script: &str, commands: &str, texts: &[(&str, &str)]) -> Option<Self> {
        let (kernel, modules) = (old_kernel()?, kernel_modules()?);
        let (qemu, busybox, strip) = (program("qemu-system-x86_64")?, program("busybox")?, program("strip")?);
        let root = setup.path("root");
        for directory in ["bin", "dev", "modules", "proc", "queues", "sys", "tmp"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for (name, program) in [("bin/busybox", busybox.as_path()), ("bin/sluice", &executable())] {
            let place = root.join(name);
            let status = Command::new(&strip).arg("-o").arg(&place).arg(program).status().unwrap();
            assert!(status.success());
            copy_libraries(&place, &root);
        }
        for name in "insmod ip mount poweroff sh".split(' ').chain(commands.split_whitespace()) {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        for module in fs::read_dir(modules).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&module, root.join("modules").join(module.file_name().unwrap())).unwrap();
        }
        fs::write(root.join("init"), format!("{BEGIN}{script}")).unwrap();
        fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, text) in texts {
            fs::write(root.join(name), text).unwrap();
        }
        let files = setup.path("files");
        let packed = Command::new("sh")
            .args(["-c", "find . | \"$0\" cpio -o -H newc"])
            .arg(&busybox)
            .current_dir(&root)
            .stderr(Stdio::null())
            .stdout(fs::File::create(&files).unwrap())
            .status();
        assert!(packed.unwrap().success());
        Some(Self { qemu, kernel, files })
    }

    /// Starts one. What it prints comes to `log`; `variables` are those of its first process, `devices` are arguments of
    /// QEMU.
    pub(crate) fn start(&self, log: &Path, variables: &str, devices: &[String]) -> Process {
        let mut command = tied(&self.qemu);
        command.args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-no-reboot"]);
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.files);
        command.arg("-append").arg(format!("console=ttyS0 panic=-1 quiet mitigations=off {variables}"));
        command.args(devices);
        Process::start(&mut command, log).unwrap()
    }
}

/// Copies what a program is linked with; nothing if it is static.
fn copy_libraries(program: &Path, root: &Path) {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(&library[1..]);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
    }
}
