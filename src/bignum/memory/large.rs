//! Large pages, and those that are kept.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use memmap2::{Advice, MmapMut};
use zeroize::Zeroize;

use super::KEPT;

/// Bytes of a large page. Only memory of a multiple of this length begins
/// at the beginning of one.
const PAGE: usize = 2 << 20;

/// Fewest bytes that are worth a large page.
const LEAST: usize = 512 << 10;

/// What nobody uses at the moment.
static FREE: Mutex<Vec<MmapMut>> = Mutex::new(Vec::new());

fn free() -> MutexGuard<'static, Vec<MmapMut>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Large pages, if the system has any left; the words are in the first.
pub(super) struct Pages {
    /// `None` only while this is dropped.
    map: Option<MmapMut>,
    len: usize,
}

impl Pages {
    /// `len` zeros and room for `capacity`; `None` if that is too little,
    /// or there is no memory.
    pub(super) fn zeroed(len: usize, capacity: usize) -> Option<Pages> {
        let bytes = capacity.max(len).checked_mul(8)?;
        if bytes < LEAST {
            return None;
        }
        let bytes = bytes.checked_next_multiple_of(PAGE)?;
        if let Some(map) = kept(bytes) {
            let map = Some(map);
            let mut pages = Pages { map, len };
            pages.fill(0);
            return Some(pages);
        }
        let map = MmapMut::map_anon(bytes).ok()?;
        // Small pages do as well.
        let _ = map.advise(Advice::HugePage);
        let map = Some(map);
        Some(Pages { map, len })
    }

    /// With what there is room for.
    fn all(&self) -> &[u64] {
        bytemuck::cast_slice(self.map.as_deref().unwrap_or_default())
    }

    fn all_mut(&mut self) -> &mut [u64] {
        bytemuck::cast_slice_mut(self.map.as_deref_mut().unwrap_or_default())
    }

    /// Whether there was room for `more`.
    pub(super) fn extend(&mut self, more: &[u64]) -> bool {
        let end = self.len + more.len();
        let len = self.len;
        let Some(room) = self.all_mut().get_mut(len..end) else {
            return false;
        };
        room.copy_from_slice(more);
        self.len = end;
        true
    }
}

/// What is kept of this length or up to twice it, the latest first: it may
/// still be in a cache.
fn kept(bytes: usize) -> Option<MmapMut> {
    let mut free = free();
    let fits = |map: &MmapMut| (bytes..=2 * bytes).contains(&map.len());
    let at = free.iter().rposition(fits)?;
    Some(free.remove(at))
}

impl Drop for Pages {
    fn drop(&mut self) {
        let mut free = free();
        free.extend(self.map.take());
        let mut bytes: usize = free.iter().map(|map| map.len()).sum();
        // What was kept longest goes first, once nobody waits for the rest.
        let mut surplus = Vec::new();
        while bytes > 8 * KEPT {
            let oldest = free.remove(0);
            bytes -= oldest.len();
            surplus.push(oldest);
        }
        drop(free);
    }
}

impl Deref for Pages {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.all()[..self.len]
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u64] {
        let len = self.len;
        &mut self.all_mut()[..len]
    }
}

impl Zeroize for Pages {
    fn zeroize(&mut self) {
        self.deref_mut().zeroize();
    }
}
