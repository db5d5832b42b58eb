//! `sluice doctor` in a build without kernel events.

use crate::{arguments::DoctorOptions, output::CommandError};

pub(crate) fn examine(_options: &DoctorOptions) -> Result<(), CommandError> {
    Err(CommandError::Other(
        "kernel events are not in this build; build it with the feature \"ebpf\"".to_owned(),
    ))
}
