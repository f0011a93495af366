//! Input of limited size, from a file or, for `-`, from standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Why an input could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Nothing of that name.
    #[error("no such file")]
    Missing,
    /// A folder.
    #[error("is a folder, expected a file")]
    Folder,
    /// More bytes than the caller accepts.
    #[error("is larger than the {limit} bytes that are accepted here")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Anything else.
    #[error("cannot read: {0}")]
    Io(io::Error),
}

/// Opens the file `path`, or standard input for `-`.
///
/// # Errors
/// If it is missing, a folder or not readable.
pub fn open(path: &Path) -> Result<Box<dyn Read>, InputError> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    if path.is_dir() {
        return Err(InputError::Folder);
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(io::BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(InputError::Missing),
        Err(error) => Err(InputError::Io(error)),
    }
}

/// All bytes of `path` (`-`: standard input), if they are at most `limit`.
///
/// # Errors
/// As [`open`], or if there are more; never more than `limit` + 1 are read.
pub fn read_all(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    read_limited(open(path)?, limit)
}

/// All bytes of `source`, if they are at most `limit`.
///
/// # Errors
/// If there are more; never more than `limit` + 1 are read.
pub fn read_limited(source: impl Read, limit: u64) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::new();
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(InputError::Io)?;
    if bytes.len() as u64 > limit {
        return Err(InputError::TooLarge { limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_the_limit_and_no_further() {
        assert_eq!(read_limited(&b"abc"[..], 3).unwrap(), b"abc");
        let error = read_limited(&b"abcd"[..], 3);
        assert!(matches!(error, Err(InputError::TooLarge { limit: 3 })));
        // A source without end.
        let error = read_limited(io::repeat(0), 1000);
        assert!(matches!(error, Err(InputError::TooLarge { .. })));
    }

    #[test]
    fn a_missing_file_and_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_all(&folder.path().join("x"), 10);
        assert!(matches!(missing, Err(InputError::Missing)));
        assert!(matches!(
            read_all(folder.path(), 10),
            Err(InputError::Folder)
        ));
    }
}
