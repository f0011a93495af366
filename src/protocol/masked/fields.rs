//! Headers: one way to write each member, and none that is not known.

use std::collections::BTreeMap;

use crate::{
    file::{
        Container, Kind,
        container::{DIGEST, FORMAT_VERSION, KIND, unhex},
    },
    paillier::{Fingerprint, SlotLayout},
};

use super::{BatchId, MaskedError, PROTOCOL};

/// The metadata of a container, taken out member by member.
pub(super) struct Fields {
    kind: &'static str,
    members: BTreeMap<String, String>,
}

impl Fields {
    /// Those of `container`, which must speak this protocol.
    pub(super) fn of(container: &mut Container, kind: Kind) -> Result<Fields, MaskedError> {
        let mut members = std::mem::take(&mut container.metadata);
        for known in [KIND, FORMAT_VERSION, DIGEST] {
            members.remove(known);
        }
        let mut fields = Fields {
            kind: kind.name,
            members,
        };
        let found = fields.text("protocol")?;
        if found != PROTOCOL {
            return Err(MaskedError::OtherProtocol {
                kind: kind.name,
                found,
            });
        }
        Ok(fields)
    }

    pub(super) fn bad(&self, member: &str) -> MaskedError {
        MaskedError::Header {
            kind: self.kind,
            member: member.to_string(),
        }
    }

    pub(super) fn text(&mut self, member: &str) -> Result<String, MaskedError> {
        self.members.remove(member).ok_or_else(|| self.bad(member))
    }

    /// A number within `range`, without leading zeros or signs.
    pub(super) fn number(
        &mut self,
        member: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, MaskedError> {
        let text = self.text(member)?;
        canonical(&text)
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.bad(member))
    }

    /// Bytes in lower-case hexadecimal digits.
    pub(super) fn bytes<const N: usize>(&mut self, member: &str) -> Result<[u8; N], MaskedError> {
        let text = self.text(member)?;
        unhex(&text).ok_or_else(|| self.bad(member))
    }

    pub(super) fn key(&mut self) -> Result<Fingerprint, MaskedError> {
        Ok(Fingerprint::from_bytes(self.bytes("key")?))
    }

    pub(super) fn batch(&mut self) -> Result<BatchId, MaskedError> {
        Ok(BatchId(self.bytes("batch")?))
    }

    /// The slots of every layer under a key of `key_bits`, from their widths.
    pub(super) fn slots(&mut self, key_bits: u32) -> Result<Vec<SlotLayout>, MaskedError> {
        let text = self.text(SLOTS)?;
        let slots: Option<Vec<SlotLayout>> = text
            .split(',')
            .map(|bits| {
                let bits = u32::try_from(canonical(bits)?).ok()?;
                let slots = SlotLayout::fit(key_bits, bits);
                (slots.slots > 0).then_some(slots)
            })
            .collect();
        slots.ok_or_else(|| self.bad(SLOTS))
    }

    /// Refuses members that nothing asked for.
    pub(super) fn end(mut self) -> Result<(), MaskedError> {
        match self.members.pop_first() {
            Some((member, _)) => Err(self.bad(&member)),
            None => Ok(()),
        }
    }
}

/// The member that holds widths of slots.
const SLOTS: &str = "slots";

/// Widths of slots, one a layer.
pub(super) fn slots_to_text(slots: &[SlotLayout]) -> String {
    let bits: Vec<String> = slots.iter().map(|s| s.bits.to_string()).collect();
    bits.join(",")
}

/// A number as this program writes it.
pub(super) fn canonical(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
