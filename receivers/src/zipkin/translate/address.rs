//! IPv4 addresses as text. Nearly every span has two, and the standard library's formatting would take a tenth of the
//! time of the whole translation.

use std::net::Ipv4Addr;

/// An address in dotted decimals.
pub(super) struct Ipv4Text {
    characters: [u8; LONGEST],
    length: usize,
}

const LONGEST: usize = "255.255.255.255".len();

impl Ipv4Text {
    pub(super) fn of(address: Ipv4Addr) -> Self {
        let mut text = Self { characters: [0; LONGEST], length: 0 };
        for (place, octet) in address.octets().into_iter().enumerate() {
            if place > 0 {
                text.push(b'.');
            }
            if octet >= 100 {
                text.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                text.push(b'0' + octet / 10 % 10);
            }
            text.push(b'0' + octet % 10);
        }
        text
    }

    pub(super) fn as_str(&self) -> &str {
        self.characters.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    fn push(&mut self, character: u8) {
        if let Some(place) = self.characters.get_mut(self.length) {
            *place = character;
            self.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_the_text_of_the_standard_library(octets in any::<[u8; 4]>()) {
            let address = Ipv4Addr::from(octets);
            let text = Ipv4Text::of(address);
            prop_assert_eq!(text.as_str(), address.to_string());
        }
    }
}
