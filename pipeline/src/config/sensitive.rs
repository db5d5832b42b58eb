//! Which keys hold secrets, for texts that are shown before their types are known.

use super::SourceText;

/// What stands for a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Parts of key names whose values are not shown.
const MARKS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "authorization",
    "api_key",
    "api-key",
    "apikey",
    "key_pem",
    "credential",
    "private_key",
    "owner_auth",
    "cookie",
];

/// Whether a key's name says that its value is secret.
pub(super) fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    // These name where something is or how it is called, not the thing itself.
    let harmless = ["_file", "_url", "_endpoint", "token_type", "tokens_per", "cookies"];
    MARKS.iter().any(|mark| lower.contains(mark)) && !harmless.iter().any(|part| lower.ends_with(part))
}

/// Whether all values below a key are secret, whatever their names.
pub(super) fn is_secret_section(key: &str) -> bool {
    matches!(key.to_ascii_lowercase().as_str(), "headers" | "response_headers" | "static_headers")
}

/// A line of a source with the values of secret keys replaced.
pub(super) fn conceal_line(source: &SourceText, number: u32) -> String {
    let line = source.line(number);
    let secret_from = if inside_secret(source, number) { Some(0) } else { None };
    match value_start(line) {
        Some((key, start)) if secret_from.is_some() || is_secret_key(key) || is_secret_section(key) => {
            conceal_from(line, start)
        }
        Some((_, start)) if mentions_secret(line.get(start..).unwrap_or("")) => conceal_from(line, start),
        None if secret_from.is_some() || mentions_secret(line) => {
            let start = line.len() - line.trim_start_matches([' ', '-', '\t']).len();
            conceal_from(line, start)
        }
        _ => line.to_owned(),
    }
}

/// Whether the line belongs to a block whose opening key holds secrets: a list, map or text below it.
fn inside_secret(source: &SourceText, number: u32) -> bool {
    /// Blocks are searched upwards this far.
    const REACH: u32 = 200;
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let mut inner = indentation(source.line(number));
    for above in (number.saturating_sub(REACH).max(1)..number).rev() {
        let line = source.line(above);
        if line.trim().is_empty() || indentation(line) >= inner {
            continue;
        }
        inner = indentation(line);
        if let Some((key, _)) =
            value_start(line).filter(|(key, _)| is_secret_key(key) || is_secret_section(key))
        {
            let _ = key;
            return true;
        }
        if inner == 0 {
            return false;
        }
    }
    false
}

/// The key of a line and where its value starts.
fn value_start(line: &str) -> Option<(&str, usize)> {
    let colon = line.find(':')?;
    let key = line.get(..colon)?.trim_matches([' ', '-', '"', '\'', '\t', '{', '?']);
    Some((key, colon + 1))
}

/// Whether flow style hides a secret key further along the line.
fn mentions_secret(rest: &str) -> bool {
    rest.split([',', '{', '[', ' ']).filter_map(|part| part.split_once(':')).any(|(key, _)| {
        let key = key.trim_matches([' ', '"', '\'']);
        is_secret_key(key) || is_secret_section(key)
    })
}

fn conceal_from(line: &str, start: usize) -> String {
    let (kept, value) = line.split_at_checked(start).unwrap_or((line, ""));
    if value.trim().is_empty() {
        return line.to_owned();
    }
    let space = value.len() - value.trim_start().len();
    format!("{kept}{:space$}{REDACTED}", "")
}
