//! Names of enumeration values, read from the kernel's own description of its types (BTF).
//!
//! Format: kernel documentation, "BPF Type Format (BTF)".

use std::{collections::HashMap, fs, path::Path};

/// Where the running kernel describes its types.
const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";
/// The most that is read of it; kernels have 4 to 10 MB.
const MAX_SIZE: u64 = 64 << 20;
const MAGIC: u16 = 0xeb9f;

/// The kernel's reasons for dropping a packet, by number: `NO_SOCKET`, `TCP_OLD_DATA`. Empty if it does not tell.
#[must_use]
pub fn drop_reasons() -> HashMap<u16, String> {
    let path = Path::new(KERNEL_TYPES);
    let is_small = path.metadata().is_ok_and(|metadata| metadata.len() <= MAX_SIZE);
    let bytes = if is_small { fs::read(path).unwrap_or_default() } else { Vec::new() };
    let values = enumeration(&bytes, b"skb_drop_reason").unwrap_or_default();
    values
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("SKB_DROP_REASON_").unwrap_or(&name).to_owned();
            Some((u16::try_from(value).ok()?, name))
        })
        .collect()
}

/// The names and values of an enumeration.
fn enumeration(bytes: &[u8], name: &[u8]) -> Option<Vec<(String, u32)>> {
    if u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?) != MAGIC {
        return None;
    }
    let header = number(bytes, 4)?;
    let section = |offset: usize, length: usize| {
        let begin = header.checked_add(number(bytes, offset)?)?;
        bytes.get(begin..begin.checked_add(number(bytes, length)?)?)
    };
    let types = section(8, 12)?;
    let names = section(16, 20)?;
    let mut at = 0;
    while at < types.len() {
        let (kind, count, size) = shape(types, at)?;
        let end = at.checked_add(12 + size)?;
        if kind == ENUM && text(names, number(types, at)?) == Some(name) {
            let values = types.get(at + 12..end)?.chunks_exact(8);
            return values
                .take(count)
                .map(|value| {
                    let name = text(names, number(value, 0)?)?;
                    Some((String::from_utf8_lossy(name).into_owned(), u32::try_from(number(value, 4)?).ok()?))
                })
                .collect();
        }
        at = end;
    }
    None
}

const ENUM: u32 = 6;

/// The kind of a type, how many members it has, and the bytes that follow its header.
fn shape(types: &[u8], at: usize) -> Option<(u32, usize, usize)> {
    let info = u32::try_from(number(types, at + 4)?).ok()?;
    let count = (info & 0xffff) as usize;
    let kind = info >> 24 & 0x1f;
    let size = match kind {
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * count,
        ENUM | 13 => 8 * count,
        _ => 0,
    };
    Some((kind, count, size))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

fn text(names: &[u8], at: usize) -> Option<&[u8]> {
    names.get(at..)?.split(|byte| *byte == 0).next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn description() -> Vec<u8> {
        let names = b"\0int\0skb_drop_reason\0SKB_DROP_REASON_NO_SOCKET\0OTHER\0";
        let mut types = Vec::new();
        for word in [1_u32, 1 << 24, 4, 32, 5, ENUM << 24 | 2, 4, 21, 3, 47, 70_000] {
            types.extend(word.to_le_bytes());
        }
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let (types_length, names_length) =
            (u32::try_from(types.len()).unwrap(), u32::try_from(names.len()).unwrap());
        for word in [24, 0, types_length, types_length, names_length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(names);
        bytes
    }

    #[test]
    fn the_values_of_an_enumeration_are_found_behind_other_types() {
        let values = enumeration(&description(), b"skb_drop_reason").unwrap();
        assert_eq!(values, [("SKB_DROP_REASON_NO_SOCKET".to_owned(), 3), ("OTHER".to_owned(), 70_000)]);
        assert_eq!(enumeration(&description(), b"int"), None);
    }

    #[test]
    fn this_kernel_tells_its_reasons_if_it_describes_its_types() {
        if Path::new(KERNEL_TYPES).exists() {
            assert!(drop_reasons().values().any(|name| name == "NO_SOCKET"));
        }
    }

    proptest! {
        #[test]
        fn damaged_descriptions_never_panic(place in 0_usize..120, byte: u8, length in 0_usize..140) {
            let mut bytes = description();
            if let Some(target) = bytes.get_mut(place) {
                *target = byte;
            }
            bytes.truncate(length);
            let _ = enumeration(&bytes, b"skb_drop_reason");
        }
    }
}
