//! The buffer that decompressed content goes to: capped, and charged before it grows.

use std::io::Read;

use super::{DecompressError, Decompressed, Encoding};
use crate::budget::Charge;

/// The first step of a buffer whose final size is not known.
const FIRST_STEP: usize = 64 * 1024;

pub(super) struct Output<'a> {
    bytes: Vec<u8>,
    charged: usize,
    limit: usize,
    charge: Option<&'a mut Charge>,
}

impl<'a> Output<'a> {
    pub(super) fn new(limit: usize, charge: Option<&'a mut Charge>) -> Self {
        Self { bytes: Vec::new(), charged: 0, limit, charge }
    }

    /// A buffer of exactly `size` zero bytes, for decoders that know what will come out.
    pub(super) fn exactly(&mut self, size: usize) -> Result<&mut [u8], DecompressError> {
        self.admit(size)?;
        self.bytes = vec![0; size];
        Ok(&mut self.bytes)
    }

    /// An empty buffer with room for `size` bytes, for decoders that write into spare capacity.
    pub(super) fn with_room(&mut self, size: usize) -> Result<&mut Vec<u8>, DecompressError> {
        self.admit(size)?;
        self.bytes = Vec::with_capacity(size);
        Ok(&mut self.bytes)
    }

    /// Appends all that `decoder` gives, growing in steps.
    pub(super) fn read_all(
        &mut self,
        encoding: Encoding,
        decoder: &mut impl Read,
    ) -> Result<(), DecompressError> {
        let mut filled = self.bytes.len();
        loop {
            if filled == self.bytes.len() {
                // One byte beyond the limit shows whether there is more; it is never handed out.
                if filled > self.limit {
                    return Err(DecompressError::TooLarge { limit: self.limit });
                }
                let next = (filled * 2).clamp(FIRST_STEP, self.limit.saturating_add(1).max(FIRST_STEP));
                self.charge_to(next)?;
                self.bytes.resize(next, 0);
            }
            let read = decoder
                .read(self.bytes.get_mut(filled..).unwrap_or_default())
                .map_err(|error| encoding.malformed(error))?;
            filled += read;
            if read == 0 {
                self.bytes.truncate(filled);
                if filled > self.limit {
                    return Err(DecompressError::TooLarge { limit: self.limit });
                }
                return Ok(());
            }
        }
    }

    /// Starts over with an empty buffer; what was charged stays charged for what comes.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn finish(self, whole: bool) -> Decompressed {
        Decompressed { bytes: self.bytes, whole }
    }

    fn admit(&mut self, size: usize) -> Result<(), DecompressError> {
        if size > self.limit {
            return Err(DecompressError::TooLarge { limit: self.limit });
        }
        self.charge_to(size)
    }

    fn charge_to(&mut self, size: usize) -> Result<(), DecompressError> {
        if let (Some(charge), Some(more)) = (self.charge.as_deref_mut(), size.checked_sub(self.charged)) {
            charge.grow(more as u64)?;
            self.charged = size;
        }
        Ok(())
    }
}
