//! PNG in and out.
//!
//! A network sees grey images of one size, white ink on black. A person has a
//! picture of any size, in colour, perhaps with a transparent background, most
//! likely dark ink on white. Reading converts, and says what it converted:
//!
//! - colour → luma, Rec. 709 weights;
//! - transparency → laid over white or black, whichever the ink contrasts with;
//! - size → scaled to fit, its proportions kept, the rest filled with the
//!   brightness of its border; a triangle filter as wide as the scale, so that
//!   a thin stroke fades but does not vanish;
//! - polarity → inverted if the border is brighter than medium grey.

use std::io::Cursor;

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits,
    imageops::{self, FilterType},
};

use super::DatasetError;

/// Most pixels that a picture may have: 64 Mi.
pub const MAX_PIXELS: u64 = 64 << 20;

/// How every PNG begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Whether to exchange black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Invert {
    /// If the picture's border is brighter than medium grey.
    #[default]
    Auto,
    /// Always.
    Yes,
    /// Never.
    No,
}

/// A picture as a network takes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Grey values, row by row.
    pub pixels: Vec<u8>,
    /// What was converted, a few words each; empty if nothing was.
    pub notes: Vec<String>,
}

impl std::fmt::Debug for Picture {
    /// Shows no pixel: an image is its owner's secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture ({} pixels) {:?}", self.pixels.len(), self.notes)
    }
}

/// Reads a PNG of any size and colour as a grey image of `height` rows and
/// `width` columns.
///
/// # Errors
/// If it is no PNG, damaged, or larger than [`MAX_PIXELS`], which is known
/// before memory is taken.
pub fn read_png(
    bytes: &[u8],
    height: usize,
    width: usize,
    invert: Invert,
) -> Result<Picture, DatasetError> {
    let mut notes = Vec::new();
    let decoded = decode(bytes)?;
    let flat = flatten(&decoded, &mut notes);
    let mut grey = fit(flat, height, width, &mut notes)?;
    let invert = match invert {
        Invert::Auto => border_brightness(&grey) > 127.5,
        Invert::Yes => true,
        Invert::No => false,
    };
    if invert {
        imageops::invert(&mut grey);
        notes.push("inverted to white on black".to_string());
    }
    Ok(Picture {
        pixels: grey.into_raw(),
        notes,
    })
}

/// The bytes of an 8-bit grey PNG.
///
/// # Errors
/// If `pixels` are not `height` · `width`, or an extent is 0 or absurd.
pub fn write_png(pixels: &[u8], height: usize, width: usize) -> Result<Vec<u8>, DatasetError> {
    let wrong = || DatasetError::Extents {
        height,
        width,
        pixels: pixels.len(),
    };
    let (columns, rows) = extents(height, width)?;
    if pixels.is_empty() {
        return Err(wrong());
    }
    let image = GrayImage::from_raw(columns, rows, pixels.to_vec())
        .filter(|_| height.checked_mul(width) == Some(pixels.len()))
        .ok_or_else(wrong)?;
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(png_error)?;
    Ok(bytes.into_inner())
}

/// Columns and rows as the image crate wants them.
fn extents(height: usize, width: usize) -> Result<(u32, u32), DatasetError> {
    let wrong = |_| DatasetError::Extents {
        height,
        width,
        pixels: 0,
    };
    Ok((
        u32::try_from(width).map_err(wrong)?,
        u32::try_from(height).map_err(wrong)?,
    ))
}

fn png_error(error: image::ImageError) -> DatasetError {
    DatasetError::Png(match error {
        // Its text shows the decoder's own structures.
        image::ImageError::Decoding(_) => {
            "its header or its pixels do not decode; export the picture again".to_string()
        }
        // The text may come from several layers; a message is one line.
        other => other.to_string().replace('\n', " "),
    })
}

/// Walks the chunks, each a length, a name, data and a checksum. The decoder
/// stops at the last pixel and forgives what is wrong with a chunk that it can
/// do without: neither a cut nor an addition may go unseen.
fn check_chunks(bytes: &[u8]) -> Result<(), DatasetError> {
    let damaged = |text: &str| DatasetError::Png(text.to_string());
    let mut rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    loop {
        let (covered, checksum, after) = split_chunk(rest)
            .ok_or_else(|| damaged("it is cut short, its end chunk is missing or incomplete"))?;
        let mut crc = flate2::Crc::new();
        crc.update(covered);
        if crc.sum() != checksum {
            return Err(DatasetError::Png(format!(
                "checksum of chunk {} is wrong",
                covered[..4].escape_ascii()
            )));
        }
        rest = after;
        if covered.starts_with(b"IEND") {
            break;
        }
    }
    match rest.len() {
        0 => Ok(()),
        count => Err(DatasetError::Png(format!("{count} bytes follow its end"))),
    }
}

/// The first chunk's name and data, its checksum, and what follows it; nothing
/// if it is not complete.
fn split_chunk(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (covered, rest) = rest.split_at_checked(length.checked_add(4)?)?;
    let (checksum, rest) = rest.split_first_chunk()?;
    Some((covered, u32::from_be_bytes(*checksum), rest))
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, DatasetError> {
    if !bytes.starts_with(SIGNATURE) {
        return Err(DatasetError::Png(
            "it does not begin as a PNG does".to_string(),
        ));
    }
    // The size stands at a fixed place, and the decoder itself takes memory for
    // a row of the picture.
    if let (Some(width), Some(height)) = (bytes.get(16..20), bytes.get(20..24)) {
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, b| word << 8 | u32::from(*b));
        check_size(word(width), word(height))?;
    }
    check_chunks(bytes)?;
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png)
        .into_decoder()
        .map_err(png_error)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(8 * MAX_PIXELS);
    decoder.set_limits(limits).map_err(png_error)?;
    DynamicImage::from_decoder(decoder).map_err(png_error)
}

fn check_size(width: u32, height: u32) -> Result<(), DatasetError> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DatasetError::PngSize { width, height });
    }
    Ok(())
}

/// Colour and transparency gone.
fn flatten(image: &DynamicImage, notes: &mut Vec<String>) -> GrayImage {
    let color = image.color();
    if color.has_color() {
        notes.push("colour to grey".to_string());
    }
    let mut grey = image.to_luma8();
    if !color.has_alpha() {
        return grey;
    }
    let alpha: Vec<u8> = image.to_luma_alpha8().pixels().map(|p| p.0[1]).collect();
    if alpha.iter().all(|a| *a == 255) {
        return grey;
    }
    // Dark ink shows on white, light ink on black.
    let (mut ink, mut weight) = (0_u64, 0_u64);
    for (pixel, a) in grey.pixels().zip(&alpha) {
        ink += u64::from(pixel.0[0]) * u64::from(*a);
        weight += u64::from(*a);
    }
    let white = 2 * ink <= 255 * weight;
    let under = if white { 255 } else { 0 };
    for (pixel, a) in grey.pixels_mut().zip(&alpha) {
        let a = u32::from(*a);
        let over = u32::from(pixel.0[0]) * a + under * (255 - a);
        pixel.0[0] = ((over + 127) / 255) as u8;
    }
    let name = if white { "white" } else { "black" };
    notes.push(format!("transparency laid over {name}"));
    grey
}

/// Scaled to fit `height` rows and `width` columns, centred.
fn fit(
    grey: GrayImage,
    height: usize,
    width: usize,
    notes: &mut Vec<String>,
) -> Result<GrayImage, DatasetError> {
    let (columns, rows) = extents(height, width)?;
    let (from_columns, from_rows) = grey.dimensions();
    if (from_columns, from_rows) == (columns, rows) {
        return Ok(grey);
    }
    let scale =
        (f64::from(columns) / f64::from(from_columns)).min(f64::from(rows) / f64::from(from_rows));
    let scaled = |extent: u32, most: u32| {
        let extent = (f64::from(extent) * scale).round();
        (extent as u32).clamp(1, most.max(1))
    };
    let (fit_columns, fit_rows) = (scaled(from_columns, columns), scaled(from_rows, rows));
    let border = border_brightness(&grey).round() as u8;
    let small = imageops::resize(&grey, fit_columns, fit_rows, FilterType::Triangle);
    notes.push(format!(
        "{from_columns}x{from_rows} scaled to {columns}x{rows}"
    ));
    if (fit_columns, fit_rows) == (columns, rows) {
        return Ok(small);
    }
    notes.push("padded to keep its proportions".to_string());
    let mut whole = GrayImage::from_pixel(columns, rows, image::Luma([border]));
    let left = i64::from((columns - fit_columns) / 2);
    let top = i64::from((rows - fit_rows) / 2);
    imageops::replace(&mut whole, &small, left, top);
    Ok(whole)
}

/// Mean brightness, 0 to 255, of the outermost pixels.
fn border_brightness(grey: &GrayImage) -> f64 {
    let (columns, rows) = grey.dimensions();
    let (mut sum, mut count) = (0_u64, 0_u64);
    let mut add = |x, y| {
        sum += u64::from(grey.get_pixel(x, y).0[0]);
        count += 1;
    };
    for x in 0..columns {
        add(x, 0);
        add(x, rows - 1);
    }
    for y in 0..rows {
        add(0, y);
        add(columns - 1, y);
    }
    sum as f64 / count as f64
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, LumaA, Pixel, Rgb, Rgba};

    use super::*;

    fn png<P, F>(width: u32, height: u32, paint: F) -> Vec<u8>
    where
        P: Pixel + image::PixelWithColorType,
        [P::Subpixel]: image::EncodableLayout,
        F: FnMut(u32, u32) -> P,
    {
        let mut bytes = Cursor::new(Vec::new());
        ImageBuffer::from_fn(width, height, paint)
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("an image in memory");
        bytes.into_inner()
    }

    /// A vertical bar in the middle third, on another ground.
    fn bar<T>(width: u32, ink: T, ground: T) -> impl Fn(u32, u32) -> T
    where
        T: Copy,
    {
        move |x, _| {
            let inside = 3 * x >= width && 3 * x < 2 * width;
            if inside { ink } else { ground }
        }
    }

    #[test]
    fn a_picture_of_the_right_form_is_taken_as_it_is() {
        let pixels: Vec<u8> = (0..35).collect();
        let bytes = write_png(&pixels, 5, 7).unwrap();
        let picture = read_png(&bytes, 5, 7, Invert::Auto).unwrap();
        assert_eq!(picture.pixels, pixels);
        assert!(picture.notes.is_empty());
    }

    #[test]
    fn colour_becomes_luma() {
        let bytes = png(3, 1, |x, _| {
            Rgb([[255_u8, 0, 0], [0, 255, 0], [0, 0, 255]][x as usize])
        });
        let picture = read_png(&bytes, 1, 3, Invert::No).unwrap();
        assert_eq!(picture.pixels, [54, 182, 18]);
        assert_eq!(picture.notes, ["colour to grey"]);
    }

    #[test]
    fn sixteen_bits_become_eight() {
        let bytes = png(2, 1, |x, _| Luma([[0xffff_u16, 0x8080][x as usize]]));
        let picture = read_png(&bytes, 1, 2, Invert::No).unwrap();
        assert_eq!(picture.pixels, [0xff, 0x80]);
    }

    #[test]
    fn dark_ink_on_nothing_is_laid_over_white_and_inverted() {
        let bytes = png(9, 9, bar(9, Rgba([0_u8, 0, 0, 255]), Rgba([0, 0, 0, 0])));
        let picture = read_png(&bytes, 9, 9, Invert::Auto).unwrap();
        assert_eq!(picture.pixels[..9], [0, 0, 0, 255, 255, 255, 0, 0, 0]);
        assert_eq!(picture.notes.len(), 3, "{:?}", picture.notes);
        assert_eq!(picture.notes[1], "transparency laid over white");
    }

    #[test]
    fn light_ink_on_nothing_is_laid_over_black() {
        let bytes = png(9, 9, bar(9, LumaA([250_u8, 255]), LumaA([255, 0])));
        let picture = read_png(&bytes, 9, 9, Invert::Auto).unwrap();
        assert_eq!(picture.pixels[..9], [0, 0, 0, 250, 250, 250, 0, 0, 0]);
        assert_eq!(picture.notes, ["transparency laid over black"]);
    }

    #[test]
    fn an_alpha_channel_without_transparency_needs_no_note() {
        let bytes = png(9, 9, bar(9, LumaA([250_u8, 255]), LumaA([0, 255])));
        assert!(
            read_png(&bytes, 9, 9, Invert::Auto)
                .unwrap()
                .notes
                .is_empty()
        );
    }

    #[test]
    fn half_transparent_ink_is_mixed() {
        let bytes = png(1, 1, |_, _| LumaA([100_u8, 128]));
        let picture = read_png(&bytes, 1, 1, Invert::No).unwrap();
        assert_eq!(picture.pixels, [177]); // (100·128 + 255·127) / 255
    }

    #[test]
    fn polarity_is_found_or_forced() {
        let light = png(9, 9, bar(9, Luma([10_u8]), Luma([240])));
        let dark = png(9, 9, bar(9, Luma([240_u8]), Luma([10])));
        let first = |bytes: &[u8], invert| read_png(bytes, 9, 9, invert).unwrap().pixels[0];
        assert_eq!(first(&light, Invert::Auto), 15);
        assert_eq!(first(&dark, Invert::Auto), 10);
        assert_eq!(first(&light, Invert::No), 240);
        assert_eq!(first(&dark, Invert::Yes), 245);
        let picture = read_png(&light, 9, 9, Invert::Auto).unwrap();
        assert_eq!(picture.notes, ["inverted to white on black"]);
    }

    #[test]
    fn a_large_picture_is_scaled_with_its_mean_kept() {
        let bytes = png(280, 280, bar(280, Luma([255_u8]), Luma([0])));
        let picture = read_png(&bytes, 28, 28, Invert::Auto).unwrap();
        assert_eq!(picture.notes, ["280x280 scaled to 28x28"]);
        let mean = picture.pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / 784.0;
        assert!((mean - 85.0).abs() < 2.0, "{mean}");
        // A stroke one pixel wide fades, but does not vanish.
        let thin = png(280, 280, |x, _| Luma([if x == 140 { 255_u8 } else { 0 }]));
        let picture = read_png(&thin, 28, 28, Invert::Auto).unwrap();
        assert!(picture.pixels.iter().any(|p| *p > 10));
    }

    #[test]
    fn proportions_are_kept() {
        let bytes = png(20, 10, |_, _| Luma([200_u8]));
        let picture = read_png(&bytes, 4, 4, Invert::No).unwrap();
        assert_eq!(picture.pixels, [200; 16]);
        assert_eq!(picture.notes.len(), 2);
        for (width, height) in [(1, 1), (1, 1000), (1000, 1), (3, 2)] {
            let bytes = png(width, height, |_, _| Luma([9_u8]));
            let picture = read_png(&bytes, 28, 28, Invert::Auto).unwrap();
            assert_eq!(picture.pixels, [9; 784], "{width}x{height}");
        }
    }

    #[test]
    fn a_picture_of_absurd_size() {
        // The header alone claims it; checked before anything is decoded.
        let mut bytes = write_png(&[0; 4], 2, 2).unwrap();
        for size in [1_u32 << 14, 1 << 30] {
            bytes[16..20].copy_from_slice(&size.to_be_bytes());
            bytes[20..24].copy_from_slice(&size.to_be_bytes());
            let crc = crc(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.to_be_bytes());
            let error = read_png(&bytes, 28, 28, Invert::Auto).unwrap_err();
            assert!(matches!(error, DatasetError::PngSize { .. }), "{error}");
        }
    }

    /// The PNG checksum (ISO 3309), bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| {
                (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg())
            })
        })
    }

    #[test]
    fn a_png_cut_anywhere() {
        let pixels: Vec<u8> = (0..=255).collect();
        let bytes = write_png(&pixels, 16, 16).unwrap();
        for length in 0..bytes.len() {
            let error = read_png(&bytes[..length], 16, 16, Invert::No).unwrap_err();
            assert_eq!(error.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn bytes_after_the_end_of_a_png() {
        let mut bytes = write_png(&[1, 2, 3, 4], 2, 2).unwrap();
        bytes.extend(b"more");
        let error = read_png(&bytes, 2, 2, Invert::No).unwrap_err();
        assert_eq!(error.to_string(), "PNG is damaged: 4 bytes follow its end");
    }

    #[test]
    fn any_flipped_bit_of_a_png() {
        let pixels: Vec<u8> = (0..=255).collect();
        let bytes = write_png(&pixels, 16, 16).unwrap();
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let text = read_png(&bytes, 16, 16, Invert::No)
                .unwrap_err()
                .to_string();
            assert_eq!(text.lines().count(), 1);
            assert!(!text.contains(['{', '"']), "{text}");
        }
    }

    #[test]
    fn pixels_that_do_not_decode_behind_a_right_checksum() {
        let mut bytes = write_png(&[1, 2, 3, 4], 2, 2).unwrap();
        // Signature and header are 33 bytes; then a length, "IDAT", data.
        let length = usize::from(bytes[36]);
        bytes[41] ^= 0xff;
        let sum = crc(&bytes[37..41 + length]);
        bytes[41 + length..45 + length].copy_from_slice(&sum.to_be_bytes());
        let error = read_png(&bytes, 2, 2, Invert::No).unwrap_err();
        assert_eq!(
            error.to_string(),
            "PNG is damaged: its header or its pixels do not decode; export the picture again"
        );
    }

    #[test]
    fn pixels_that_do_not_fill_a_picture() {
        assert!(write_png(&[0; 7], 2, 4).is_err());
        assert!(write_png(&[0; 9], 2, 4).is_err());
        assert!(write_png(&[], 0, 4).is_err());
    }
}
