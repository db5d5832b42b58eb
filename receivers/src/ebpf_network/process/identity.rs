//! One process: what is known of it, and the resource that stands for it in OTLP.

use std::{fs, path::Path};

use bytes::Bytes;
use sluice_pipeline::{exchange::process, otlp::write::Writer};

use super::{cgroup::Membership, namespaces};

/// The most bytes of a file of `/proc` that are read.
const MAX_FILE: usize = 16 << 10;

/// What is known of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The process, as the host numbers it.
    pub tgid: u32,
    /// The path of its executable, or what it was started as.
    pub executable: String,
    /// Its arguments, each ended by a zero byte. Only for filters: they may hold secrets.
    pub arguments: Vec<u8>,
    /// 64 hexadecimal digits, or empty outside containers.
    pub container_id: String,
    /// The pod's UID, or empty outside Kubernetes.
    pub pod_uid: String,
    /// The process, as its own PID namespace numbers it, if that is another one.
    pub namespace_pid: Option<u32>,
    /// The host name of its own UTS namespace, if it has a PID namespace of its own and tells.
    pub namespace_host_name: String,
}

/// What the kernel told when the process began, for those that are gone when they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) file_name: String,
    pub(super) arguments: Vec<u8>,
    pub(super) cgroup: u64,
}

impl Identity {
    /// Reads it below `/proc`; `None` if the process is gone.
    pub(super) fn read(proc: &Path, tgid: u32) -> Option<Self> {
        let folder = proc.join(tgid.to_string());
        let status = read(&folder.join("status"))?;
        let cgroup = read(&folder.join("cgroup")).unwrap_or_default();
        let membership = Membership::of_process(&String::from_utf8_lossy(&cgroup));
        let namespace_pid =
            namespaces::inner_pid(&String::from_utf8_lossy(&status)).filter(|pid| *pid != tgid);
        Some(Self {
            tgid,
            executable: executable(&folder),
            arguments: read(&folder.join("cmdline")).unwrap_or_default(),
            container_id: membership.container_id,
            pod_uid: membership.pod_uid,
            namespace_host_name: namespace_pid
                .and_then(|_| namespaces::host_name(&folder))
                .unwrap_or_default(),
            namespace_pid,
        })
    }

    /// What can be said of a process that is gone.
    pub(super) fn of_told(tgid: u32, told: &Told, membership: Membership) -> Self {
        Self {
            tgid,
            executable: told.file_name.clone(),
            arguments: told.arguments.clone(),
            container_id: membership.container_id,
            pod_uid: membership.pod_uid,
            ..Self::default()
        }
    }

    /// The file name of its executable.
    #[must_use]
    pub fn executable_name(&self) -> &str {
        self.executable.rsplit('/').next().unwrap_or_default()
    }

    /// The fields of the OTLP `Resource` that stands for it.
    #[must_use]
    pub fn resource(&self, host_name: &str) -> Bytes {
        let mut bytes = Vec::new();
        let writer = &mut Writer::new(&mut bytes);
        write_text(writer, process::SERVICE_NAME, self.executable_name());
        write_text(writer, process::HOST_NAME, host_name);
        write_number(writer, process::PID, Some(self.tgid));
        write_number(writer, process::NAMESPACE_PID, self.namespace_pid);
        write_text(writer, process::NAMESPACE_HOST_NAME, &self.namespace_host_name);
        write_text(writer, process::EXECUTABLE_NAME, self.executable_name());
        write_text(writer, process::EXECUTABLE_PATH, &self.executable);
        write_text(writer, process::CONTAINER_ID, &self.container_id);
        write_text(writer, process::POD_UID, &self.pod_uid);
        bytes.into()
    }
}

fn executable(folder: &Path) -> String {
    if let Ok(path) = fs::read_link(folder.join("exe")) {
        let path = path.to_string_lossy();
        return path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned();
    }
    // Without the right to follow the link there is still the name, cut at 15 bytes.
    let name = read(&folder.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// The first bytes of a file.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;

    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_FILE as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn write_text(writer: &mut Writer<'_>, key: &str, value: &str) {
    if !value.is_empty() {
        writer.message(1, |writer| {
            writer.bytes(1, key.as_bytes());
            writer.message(2, |writer| writer.bytes(1, value.as_bytes()));
        });
    }
}

fn write_number(writer: &mut Writer<'_>, key: &str, value: Option<u32>) {
    if let Some(value) = value {
        writer.message(1, |writer| {
            writer.bytes(1, key.as_bytes());
            writer.message(2, |writer| writer.int(3, i64::from(value)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known() {
        let identity = Identity::read(Path::new("/proc"), std::process::id()).unwrap();
        let executable = std::env::current_exe().unwrap();
        assert_eq!(identity.executable, executable.to_string_lossy());
        assert!(identity.executable_name().starts_with("sluice_receivers"));
        assert!(identity.arguments.ends_with(&[0]));
    }

    #[test]
    fn a_process_that_is_gone_is_none() {
        assert_eq!(Identity::read(Path::new("/proc"), u32::MAX), None);
    }

    #[test]
    fn only_what_is_known_is_in_the_resource() {
        let identity = Identity { tgid: 7, executable: "/usr/sbin/nginx".to_owned(), ..Identity::default() };
        let text = String::from_utf8_lossy(&identity.resource("h")).into_owned();
        assert!(text.contains("nginx") && text.contains("process.pid") && !text.contains("container.id"));
    }
}
