//! What the fuzz harness calls: password files, and the header that clients send.

use sluice_pipeline::component::BuildError;

use super::{
    HtpasswdConfig,
    hash::Hash,
    users::{self, Users},
};

/// Reads a password file and says whether it knows this user. Files with bcrypt are read and not asked: their hashes take as
/// long as they say.
///
/// # Errors
/// Why it is none.
pub fn knows(file: &str, name: &str, password: &str) -> Result<bool, BuildError> {
    let users = Users::inline(&HtpasswdConfig { inline: file.into(), ..HtpasswdConfig::default() })?;
    Ok(!users.any(|hash| matches!(hash, Hash::Bcrypt(_))) && users.knows(name, password))
}

/// The name and the password of an `Authorization` header.
#[must_use]
pub fn credentials(header: &[u8]) -> Option<(String, String)> {
    users::credentials(header)
}
