//! The forms in which `htpasswd` keeps a password.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use subtle::ConstantTimeEq;

/// The length of a SHA-1 hash, in bytes.
const SHA1: usize = 20;
/// The rounds of Apache's MD5; fixed.
const APR1_ROUNDS: usize = 1000;
/// The alphabet in which it writes its hash, six bits a character.
const APR1_ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A password as it is kept.
pub(super) enum Hash {
    Bcrypt(String),
    Apr1 { salt: String, hash: String },
    Sha { salt: Vec<u8>, hash: Vec<u8> },
    Plain(String),
}

impl Hash {
    /// Reads what stands after the name. The error says nothing of the content.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start)) {
            let sound = text.parse::<bcrypt::HashParts>().is_ok();
            return if sound { Ok(Self::Bcrypt(text.to_owned())) } else { Err("is no bcrypt hash") };
        }
        if let Some(rest) = text.strip_prefix("$apr1$") {
            let (salt, hash) = rest.split_once('$').ok_or("is no apr1 hash")?;
            if salt.is_empty() || salt.len() > 8 || hash.len() != 22 {
                return Err("is no apr1 hash");
            }
            return Ok(Self::Apr1 { salt: salt.to_owned(), hash: hash.to_owned() });
        }
        let sha = text.strip_prefix("{SHA}").map(|rest| (rest, false));
        if let Some((rest, is_salted)) = sha.or_else(|| text.strip_prefix("{SSHA}").map(|rest| (rest, true)))
        {
            let hash = STANDARD.decode(rest).map_err(|_| "is no SHA-1 hash")?;
            let (hash, salt) = hash.split_at_checked(SHA1).ok_or("is no SHA-1 hash")?;
            return match salt.is_empty() {
                salted if salted == is_salted => Err("is no SHA-1 hash"),
                _ => Ok(Self::Sha { salt: salt.to_owned(), hash: hash.to_owned() }),
            };
        }
        match text {
            "" => Err("is empty"),
            other if other.starts_with('$') || other.starts_with('{') => {
                Err("is hashed in a way that is not in this build; use bcrypt (htpasswd -B)")
            }
            plain => Ok(Self::Plain(plain.to_owned())),
        }
    }

    /// Whether this is the password. bcrypt takes tens of milliseconds of CPU, as it is meant to.
    pub(super) fn is_of(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Apr1 { salt, hash } => {
                same(apr1(password.as_bytes(), salt.as_bytes()).as_bytes(), hash.as_bytes())
            }
            Self::Sha { salt, hash } => same(&sha1(&[password.as_bytes(), salt]), hash),
            // Hashes of equal length, so that the time tells nothing of the password's.
            Self::Plain(plain) => same(&sha1(&[password.as_bytes()]), &sha1(&[plain.as_bytes()])),
        }
    }
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    md5.finalize().into()
}

/// Apache's MD5. Source: the Apache HTTP Server documentation, "Password Formats"; the algorithm is that of FreeBSD's
/// MD5 crypt with another magic text.
fn apr1(password: &[u8], salt: &[u8]) -> String {
    let inner = md5(&[password, salt, password]);
    let mut first = [password, b"$apr1$", salt].concat();
    first.extend(inner.iter().cycle().take(password.len()));
    let mut length = password.len();
    while length > 0 {
        first.push(if length & 1 == 1 { 0 } else { password.first().copied().unwrap_or_default() });
        length >>= 1;
    }
    let mut hash = md5(&[&first]);
    for round in 0..APR1_ROUNDS {
        let mut text = Vec::new();
        text.extend_from_slice(if round % 2 == 1 { password } else { &hash });
        if round % 3 > 0 {
            text.extend_from_slice(salt);
        }
        if round % 7 > 0 {
            text.extend_from_slice(password);
        }
        text.extend_from_slice(if round % 2 == 1 { &hash } else { password });
        hash = md5(&[&text]);
    }
    write_apr1(&hash)
}

fn write_apr1(hash: &[u8; 16]) -> String {
    let byte = |place: usize| u32::from(hash.get(place).copied().unwrap_or_default());
    let mut text = String::with_capacity(22);
    let mut write = |mut bits: u32, count: usize| {
        for _ in 0..count {
            let letter = APR1_ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'.');
            text.push(char::from(letter));
            bits >>= 6;
        }
    };
    for (high, middle, low) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        write(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    write(byte(11), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenSSL's `passwd -apr1` and Apache's `htpasswd` write the password `s3cret pass`.
    #[test]
    fn each_form_knows_its_password() {
        for text in KNOWN {
            let hash = Hash::parse(text).unwrap();
            assert!(hash.is_of(PASSWORD), "{text}");
            for wrong in ["", "s3cret", "s3cret pass ", "S3cret pass"] {
                assert!(!hash.is_of(wrong), "{text} {wrong}");
            }
        }
    }

    #[test]
    fn what_is_no_hash_is_not_taken_for_a_password() {
        for text in [
            "",
            "$2y$10$short",
            "$6$salt$hash",
            "$apr1$salt$short",
            "{SHA}x",
            "{SHA}AAAA",
            "{SSHA}AAAA",
            "{X}",
        ] {
            assert!(Hash::parse(text).is_err(), "{text}");
        }
    }

    const PASSWORD: &str = "s3cret pass";
    const KNOWN: [&str; 5] = [
        "s3cret pass",
        "$apr1$Zx8kq1.r$2qL.7SNMkWpGLAjN4wl2i1",
        "$2y$05$abcdefghijklmnopqrstuu1qdcFaS0PtqFUPzaCxLQ8/0lspH0ZEW",
        "{SHA}ohgYgF2kkgMlRbH1HlEDczlOc+M=",
        "{SSHA}N6QkTxiRGkNR9TODMa1OiNzsETRzYWx0",
    ];
}
