//! Profile files: what a client must know of a network, as JSON.
//!
//! The text is that of [`Profile::to_json`]; any other layout of the same JSON
//! is read as well, and has the same fingerprint.

use std::path::Path;

use super::{
    ModelError, NetworkFileError, Overwrite,
    atomic::{Mode, write_atomic},
    input,
};
use crate::network::Profile;

/// Longest profile that is read or written, in bytes.
pub const MAX_PROFILE: u64 = 16 << 20;

/// Reads and validates a profile from memory.
///
/// # Errors
///
/// If it is too long, no text, or refused by [`Profile::from_json`].
pub fn profile_from_bytes(bytes: &[u8]) -> Result<Profile, ModelError> {
    // The same limit whether or not the bytes come from a file.
    check_length(bytes.len())?;
    let text =
        std::str::from_utf8(bytes).map_err(|error| ModelError::NoText(error.valid_up_to()))?;
    Ok(Profile::from_json(text)?)
}

/// Reads and validates the profile in the file `path` (`-`: standard input).
///
/// # Errors
///
/// If the file cannot be read, or as [`profile_from_bytes`].
pub fn read_profile(path: &Path) -> Result<Profile, NetworkFileError> {
    input::read_all(path, MAX_PROFILE)
        .map_err(ModelError::from)
        .and_then(|bytes| profile_from_bytes(&bytes))
        .map_err(|problem| problem.in_file(path))
}

/// Writes `profile` to the file `path`, whole or not at all.
///
/// # Errors
///
/// If it is longer than what is read, or cannot be written.
pub fn write_profile(
    path: &Path,
    profile: &Profile,
    overwrite: Overwrite,
) -> Result<(), NetworkFileError> {
    let text = profile.to_json();
    check_length(text.len())
        .and_then(|()| {
            Ok(write_atomic(
                path,
                text.as_bytes(),
                overwrite,
                Mode::Shared,
            )?)
        })
        .map_err(|problem| problem.in_file(path))
}

/// Refuses a profile longer than [`MAX_PROFILE`].
fn check_length(found: usize) -> Result<(), ModelError> {
    if found as u64 > MAX_PROFILE {
        return Err(ModelError::ProfileTooLong {
            found,
            limit: MAX_PROFILE,
        });
    }
    Ok(())
}
