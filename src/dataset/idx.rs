//! IDX, the format of MNIST, plain or in gzip.
//!
//! Two zero bytes, the element type (08: unsigned byte), the number of
//! dimensions, each extent as a big-endian u32, then the data. Images have
//! three dimensions (N x H x W), labels one. The format is that of
//! Y. LeCun's MNIST page.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::{DatasetError, Images, MAX_SET_BYTES};

/// Unsigned bytes, three dimensions.
const IMAGES: u32 = 0x0803;
/// Unsigned bytes, one dimension.
const LABELS: u32 = 0x0801;

/// Reads an IDX image file, plain or gzip.
///
/// # Errors
/// If it is anything but a whole IDX image file: see [`DatasetError`].
pub fn read_idx_images(source: impl Read) -> Result<Images, DatasetError> {
    let (extents, pixels) = read(source, IMAGES)?;
    Images::new(extents[1], extents[2], pixels)
}

/// Reads an IDX label file, plain or gzip.
///
/// # Errors
/// If it is anything but a whole IDX label file: see [`DatasetError`].
pub fn read_idx_labels(source: impl Read) -> Result<Vec<u8>, DatasetError> {
    Ok(read(source, LABELS)?.1)
}

/// The bytes of an IDX file (not compressed) with these images.
///
/// # Errors
/// [`DatasetError::TooLarge`] if an extent does not fit 32 bits.
pub fn write_idx_images(images: &Images) -> Result<Vec<u8>, DatasetError> {
    let extents = [images.len(), images.height(), images.width()];
    write(IMAGES, &extents, images.pixels())
}

/// The bytes of an IDX file (not compressed) with these labels.
///
/// # Errors
/// [`DatasetError::TooLarge`] if their number does not fit 32 bits.
pub fn write_idx_labels(labels: &[u8]) -> Result<Vec<u8>, DatasetError> {
    write(LABELS, &[labels.len()], labels)
}

fn write(magic: u32, extents: &[usize], data: &[u8]) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = magic.to_be_bytes().to_vec();
    for extent in extents {
        let extent = u32::try_from(*extent).map_err(|_| DatasetError::TooLarge)?;
        bytes.extend_from_slice(&extent.to_be_bytes());
    }
    bytes.extend_from_slice(data);
    Ok(bytes)
}

/// Extents and data of an IDX file with this magic number.
fn read(mut source: impl Read, magic: u32) -> Result<(Vec<usize>, Vec<u8>), DatasetError> {
    let start = take(&mut source, 2).map_err(DatasetError::Io)?;
    let gzip = start == [0x1f, 0x8b];
    let whole = io::Cursor::new(start).chain(source);
    if gzip {
        read_plain(MultiGzDecoder::new(whole), magic, DatasetError::Gzip)
    } else {
        read_plain(whole, magic, DatasetError::Io)
    }
}

fn read_plain(
    mut source: impl Read,
    magic: u32,
    io_error: fn(io::Error) -> DatasetError,
) -> Result<(Vec<usize>, Vec<u8>), DatasetError> {
    let expected = name(magic);
    let start = take(&mut source, 4).map_err(io_error)?;
    let found = start
        .iter()
        .fold(0, |word, byte| word << 8 | u32::from(*byte));
    if found != magic || start.len() < 4 {
        return Err(match found {
            IMAGES | LABELS if start.len() == 4 => DatasetError::IdxOther {
                found: name(found),
                expected,
            },
            _ => DatasetError::IdxMagic { expected, found },
        });
    }
    let dimensions = (magic & 0xff) as usize;
    let header = take(&mut source, 4 * dimensions as u64).map_err(io_error)?;
    if header.len() < 4 * dimensions {
        return Err(DatasetError::IdxHeader);
    }
    let (words, _) = header.as_chunks();
    let extents: Vec<usize> = words
        .iter()
        .map(|word| u32::from_be_bytes(*word) as usize)
        .collect();
    let size = extents
        .iter()
        .try_fold(1_u64, |size, extent| size.checked_mul(*extent as u64))
        .filter(|size| *size <= MAX_SET_BYTES)
        .ok_or(DatasetError::TooLarge)?;
    if size == 0 {
        return Err(DatasetError::IdxEmpty);
    }
    // `take` grows with what arrives, so a header that lies takes no memory.
    let data = take(&mut source, size).map_err(io_error)?;
    if (data.len() as u64) < size {
        return Err(DatasetError::IdxTruncated {
            expected: size,
            found: data.len() as u64,
        });
    }
    // One byte further: for gzip this also checks its checksum.
    if !take(&mut source, 1).map_err(io_error)?.is_empty() {
        return Err(DatasetError::IdxPadded { expected: size });
    }
    Ok((extents, data))
}

fn name(magic: u32) -> &'static str {
    if magic == IMAGES { "image" } else { "label" }
}

fn take(source: &mut impl Read, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.by_ref().take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn images() -> Vec<u8> {
        let images = Images::new(2, 3, (0..18).collect()).unwrap();
        write_idx_images(&images).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn refused(bytes: &[u8]) -> DatasetError {
        let error = read_idx_images(bytes).expect_err("must be refused");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        error
    }

    #[test]
    fn what_is_written_is_read_plain_or_gzip() {
        for bytes in [images(), gzip(&images())] {
            let read = read_idx_images(&bytes[..]).unwrap();
            assert_eq!((read.len(), read.height(), read.width()), (3, 2, 3));
            assert_eq!(read.get(2), [12, 13, 14, 15, 16, 17]);
        }
        let labels = write_idx_labels(&[3, 1, 4]).unwrap();
        assert_eq!(read_idx_labels(&labels[..]).unwrap(), [3, 1, 4]);
        assert_eq!(read_idx_labels(&gzip(&labels)[..]).unwrap(), [3, 1, 4]);
    }

    #[test]
    fn a_file_cut_anywhere() {
        for bytes in [images(), gzip(&images())] {
            for length in 0..bytes.len() {
                refused(&bytes[..length]);
            }
        }
        let all = images();
        let error = refused(&all[..all.len() - 1]);
        assert!(matches!(
            error,
            DatasetError::IdxTruncated {
                expected: 18,
                found: 17
            }
        ));
        let all = gzip(&images());
        assert!(matches!(
            refused(&all[..all.len() - 9]),
            DatasetError::Gzip(_)
        ));
    }

    #[test]
    fn a_padded_file() {
        let mut bytes = images();
        bytes.push(0);
        assert!(matches!(refused(&bytes), DatasetError::IdxPadded { .. }));
        assert!(matches!(
            refused(&gzip(&bytes)),
            DatasetError::IdxPadded { .. }
        ));
        let mut bytes = gzip(&images());
        bytes.extend_from_slice(b"more");
        assert!(matches!(refused(&bytes), DatasetError::Gzip(_)));
    }

    #[test]
    fn a_damaged_gzip_stream() {
        let mut bytes = gzip(&images());
        let at = bytes.len() - 6;
        bytes[at] ^= 1; // its checksum
        assert!(matches!(refused(&bytes), DatasetError::Gzip(_)));
    }

    #[test]
    fn the_wrong_magic_number() {
        assert!(matches!(
            refused(b"\x89PNG\r\n"),
            DatasetError::IdxMagic { .. }
        ));
        assert!(matches!(
            refused(b"\0\0\x09\x03\0\0\0\0"),
            DatasetError::IdxMagic { .. }
        ));
        assert!(matches!(refused(b""), DatasetError::IdxMagic { .. }));
        assert!(matches!(
            refused(b"\0\0\x08"),
            DatasetError::IdxMagic { .. }
        ));
    }

    #[test]
    fn labels_where_images_are_expected_and_the_reverse() {
        let labels = write_idx_labels(&[1]).unwrap();
        let error = refused(&labels);
        assert_eq!(
            error.to_string(),
            "is an IDX label file, expected an IDX image file"
        );
        assert!(matches!(
            read_idx_labels(&images()[..]),
            Err(DatasetError::IdxOther { .. })
        ));
    }

    #[test]
    fn an_extent_of_zero() {
        for at in [7, 11, 15] {
            let mut bytes = images();
            bytes[at] = 0;
            assert!(matches!(refused(&bytes), DatasetError::IdxEmpty));
        }
    }

    #[test]
    fn an_absurd_size_takes_no_memory() {
        let mut bytes = images();
        bytes[4..16].fill(0xff);
        assert!(matches!(refused(&bytes), DatasetError::TooLarge));
        // Just below the limit, and not there.
        bytes[4..16].copy_from_slice(&[0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0]);
        let error = refused(&bytes);
        assert!(matches!(
            error,
            DatasetError::IdxTruncated { found: 18, .. }
        ));
    }
}
