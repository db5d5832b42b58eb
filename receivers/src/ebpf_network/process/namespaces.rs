//! How a process in a container names itself: the SDKs in it know only that.

use std::path::Path;

use super::identity::read;

/// The variable in which container runtimes and Kubernetes put the host name of a container.
const HOST_NAME_VARIABLE: &[u8] = b"HOSTNAME=";

/// The innermost number in the line `NSpid:` of `/proc/<pid>/status`.
pub(super) fn inner_pid(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_ascii_whitespace().last()?.parse().ok()
}

/// The host name that a process in a container sees.
pub(super) fn host_name(folder: &Path) -> Option<String> {
    from_variables(&read(&folder.join("environ"))?).or_else(|| {
        let name = read(&folder.join("root/etc/hostname"))?;
        valid(&name)
    })
}

fn from_variables(variables: &[u8]) -> Option<String> {
    variables
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(HOST_NAME_VARIABLE))
        .and_then(valid)
}

fn valid(name: &[u8]) -> Option<String> {
    let name = name.trim_ascii();
    let is_host_name = !name.is_empty()
        && name.len() <= 253
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    is_host_name.then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_number_counts() {
        assert_eq!(inner_pid("Name:\tx\nNSpid:\t4711\t12\t1\nVmPeak:\t1 kB\n"), Some(1));
        assert_eq!(inner_pid("Name:\tx\n"), None);
    }

    #[test]
    fn only_a_host_name_is_taken_for_one() {
        assert_eq!(from_variables(b"PATH=/bin\0HOSTNAME=web-7f9\0A=b\0").as_deref(), Some("web-7f9"));
        assert_eq!(from_variables(b"MYHOSTNAME=x\0"), None);
        assert_eq!(from_variables(b"HOSTNAME=a b\0"), None);
    }
}
