//! The names in a certificate: parts of its subject, and its subject alternative names (RFC 5280, 4.1.2.6 and 4.2.1.6).

use std::net::IpAddr;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
/// `UTF8String`, `PrintableString`, `IA5String`. Others are not in use for names any more, and are left out.
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];
/// The context tags of `TBSCertificate`: version and extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The names of a certificate in DER, each with its kind before it: `CN=`, `O=`, `OU=` of the subject; `DNS:`, `URI:`,
/// `email:`, `IP:` of the alternative names. Nothing of what cannot be read.
#[must_use]
pub fn names(certificate: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    // What was found before something that cannot be read is not what the issuer said.
    if read(certificate, &mut names).is_none() {
        names.clear();
    }
    names
}

fn read(certificate: &[u8], names: &mut Vec<String>) -> Option<()> {
    let mut signed = Reader(Reader(certificate).expect(SEQUENCE)?).within(SEQUENCE)?;
    signed.skip_if(VERSION)?;
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        signed.next()?;
    }
    subject(signed.expect(SEQUENCE)?, names)?;
    while let Some((tag, content)) = signed.next() {
        if tag == EXTENSIONS {
            extensions(Reader(content).expect(SEQUENCE)?, names)?;
        }
    }
    Some(())
}

fn subject(content: &[u8], names: &mut Vec<String>) -> Option<()> {
    let mut parts = Reader(content);
    while !parts.0.is_empty() {
        let mut attributes = Reader(parts.expect(SET)?);
        while !attributes.0.is_empty() {
            let mut attribute = Reader(attributes.expect(SEQUENCE)?);
            let kind = match attribute.expect(OBJECT_IDENTIFIER)? {
                [0x55, 0x04, 0x03] => "CN=",
                [0x55, 0x04, 0x0a] => "O=",
                [0x55, 0x04, 0x0b] => "OU=",
                _ => continue,
            };
            let (tag, value) = attribute.next()?;
            if STRINGS.contains(&tag) {
                names.push(format!("{kind}{}", std::str::from_utf8(value).ok()?));
            }
        }
    }
    Some(())
}

fn extensions(content: &[u8], names: &mut Vec<String>) -> Option<()> {
    let mut extensions = Reader(content);
    while !extensions.0.is_empty() {
        let mut extension = Reader(extensions.expect(SEQUENCE)?);
        if extension.expect(OBJECT_IDENTIFIER)? == SUBJECT_ALTERNATIVE_NAME {
            extension.skip_if(BOOLEAN)?;
            alternatives(Reader(extension.expect(OCTET_STRING)?).expect(SEQUENCE)?, names)?;
        }
    }
    Some(())
}

fn alternatives(content: &[u8], names: &mut Vec<String>) -> Option<()> {
    let mut alternatives = Reader(content);
    while !alternatives.0.is_empty() {
        let (tag, value) = alternatives.next()?;
        let text = || std::str::from_utf8(value).ok();
        names.push(match tag {
            0x81 => format!("email:{}", text()?),
            0x82 => format!("DNS:{}", text()?),
            0x86 => format!("URI:{}", text()?),
            0x87 => format!("IP:{}", address(value)?),
            _ => continue,
        });
    }
    Some(())
}

fn address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(octets.into());
    }
    Some(<[u8; 16]>::try_from(value).ok()?.into())
}

/// Elements of DER: a tag, a length, the content.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    fn expect(&mut self, expected: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.next()?;
        (tag == expected).then_some(content)
    }

    /// What is inside the element.
    fn within(mut self, expected: u8) -> Option<Self> {
        self.expect(expected).map(Reader)
    }

    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.next()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params =
            CertificateParams::new(vec!["agent.test".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "agent ä");
        params.distinguished_name.push(DnType::OrganizationName, "Ours");
        params.subject_alt_names.push(SanType::URI("spiffe://test/agent".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@agent.test".try_into().unwrap()));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn all_names_are_read_with_their_kinds() {
        let mut names = names(&certificate());
        names.sort();
        let expected = [
            "CN=agent ä",
            "DNS:agent.test",
            "IP:127.0.0.1",
            "O=Ours",
            "URI:spiffe://test/agent",
            "email:a@agent.test",
        ];
        for name in expected {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
    }

    #[test]
    fn what_is_cut_has_no_names() {
        let whole = certificate();
        for end in 0..whole.len() {
            assert_eq!(names(&whole[..end]), Vec::<String>::new(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, place: prop::sample::Index, flipped: u8) {
            let _ = names(&bytes);
            let mut damaged = certificate();
            let place = place.index(damaged.len());
            damaged[place] ^= flipped;
            let _ = names(&damaged);
        }
    }
}
