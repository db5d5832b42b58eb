//! Containers and pods, read from the path of a control group.

/// What the path of a control group says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// 64 hexadecimal digits, or empty.
    pub(super) container_id: String,
    /// Lower-case UUID with dashes, or empty.
    pub(super) pod_uid: String,
}

impl Membership {
    /// Reads `/proc/<pid>/cgroup`: a line for each hierarchy, the path after the second colon.
    pub(super) fn of_process(file: &str) -> Self {
        let paths = file.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let mut best = Self::default();
        for path in paths {
            let found = Self::of_path(path);
            if !found.container_id.is_empty() {
                return found;
            }
            if best.pod_uid.is_empty() {
                best = found;
            }
        }
        best
    }

    /// Reads a path such as `/kubepods.slice/kubepods-pod<uid>.slice/cri-containerd-<id>.scope`.
    pub(super) fn of_path(path: &str) -> Self {
        let mut membership = Self::default();
        for part in path.split('/') {
            if let Some(id) = container_id(part) {
                membership.container_id = id.to_owned();
            } else if let Some(uid) = pod_uid(part) {
                membership.pod_uid = uid;
            }
        }
        membership
    }
}

/// The id in `<id>`, `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>.scope`, `libpod-<id>.scope`. The
/// innermost container counts, so a later part of the path wins.
fn container_id(part: &str) -> Option<&str> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let id = name.rsplit(['-', ':']).next().unwrap_or(name);
    // `crio-conmon-<id>` watches a container and is not in it.
    let watches = name.contains("conmon");
    (!watches && id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// The UID in `pod<uid>` and `kubepods-burstable-pod<uid>.slice`, where systemd has underscores for dashes.
fn pod_uid(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = name.get(name.rfind("pod")? + 3..)?;
    let uid = uid.replace('_', "-").to_ascii_lowercase();
    let is_uuid = uid.len() == 36
        && uid.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    // A static pod's UID is the hash of its file.
    let is_hash = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_uuid || is_hash).then_some(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "8f3c1a52-7d0e-4b61-9a3f-2f6f0c8d1e90";

    #[test]
    fn every_runtime_names_its_containers_in_its_own_way() {
        let uid = UID.replace('-', "_");
        for (path, pod) in [
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-containerd-{ID}.scope"
                ),
                UID,
            ),
            (format!("/kubepods.slice/kubepods-pod{uid}.slice/crio-{ID}.scope"), UID),
            (format!("/kubepods/besteffort/pod{UID}/{ID}"), UID),
            (format!("/system.slice/docker-{ID}.scope"), ""),
            (format!("/docker/{ID}"), ""),
            (format!("/machine.slice/libpod-{ID}.scope/container"), ""),
            (format!("/kubelet/kubepods/pod{UID}/cri-containerd:{ID}"), UID),
        ] {
            let membership = Membership::of_path(&path);
            assert_eq!((membership.container_id.as_str(), membership.pod_uid.as_str()), (ID, pod), "{path}");
        }
    }

    #[test]
    fn what_is_in_no_container_has_no_id() {
        for path in ["/", "/user.slice/user-0.slice/session-2.scope", "/system.slice/nginx.service", ""] {
            assert_eq!(Membership::of_path(path), Membership::default(), "{path}");
        }
        assert_eq!(Membership::of_path(&format!("/x/crio-conmon-{ID}.scope")).container_id, "");
    }

    #[test]
    fn the_hierarchy_that_knows_the_container_counts() {
        let file = format!("12:cpu:/\n1:name=systemd:/docker/{ID}\n0::/init.scope\n");
        assert_eq!(Membership::of_process(&file).container_id, ID);
    }
}
