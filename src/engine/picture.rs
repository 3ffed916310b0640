//! Files of images to a few pixels: what a frame keeps of a photo.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgba};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Pixels of a side; every image is scaled to a square.
pub const SIDE: usize = 32;
/// Bytes of an image in a frame: rows of pixels, red, green and blue of each.
pub const BYTES: usize = SIDE * SIDE * 3;

/// Longer files are not looked at.
pub const LONGEST_FILE: usize = 32 << 20;
/// Larger images are not decoded: a file of some kilobytes can claim to be of any size.
const MOST_PIXELS: u64 = 25_000_000;
/// The decoded image; 16 bits a channel make twice as much of the same pixels.
const MOST_BYTES: u64 = 128 << 20;

/// Scales a PNG or JPEG to [`BYTES`] bytes, turned as its EXIF data say, on white where it is transparent. `None` where the
/// bytes are no such image, a damaged one, or one too large. Takes at most some 250 MB for a moment, and starts no thread.
pub fn read(file: &[u8]) -> Option<[u8; BYTES]> {
    let format = image::guess_format(file.get(..16)?).ok()?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg) || file.len() > LONGEST_FILE {
        return None;
    }
    // A decoder that meets an odd file must not fail a query.
    catch_unwind(AssertUnwindSafe(|| decode(file, format))).ok()?
}

fn decode(file: &[u8], format: ImageFormat) -> Option<[u8; BYTES]> {
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MOST_PIXELS || decoder.total_bytes() > MOST_BYTES {
        return None;
    }
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).ok()?;
    let mut small = image.thumbnail_exact(SIDE as u32, SIDE as u32);
    small.apply_orientation(turned);
    let small = small.to_rgba8();
    let mut out = [0; BYTES];
    for (pixel, Rgba([r, g, b, alpha])) in out.chunks_exact_mut(3).zip(small.pixels()) {
        let alpha = u32::from(*alpha);
        let on_white = |c: u8| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        pixel.copy_from_slice(&[on_white(*r), on_white(*g), on_white(*b)]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, ImageEncoder, Luma, Rgb, RgbImage, RgbaImage};

    fn file(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn pixel(pixels: &[u8; BYTES], x: usize, y: usize) -> [i32; 3] {
        let at = (y * SIDE + x) * 3;
        [0, 1, 2].map(|c| i32::from(pixels[at + c]))
    }

    #[test]
    fn images_of_any_size_and_sort_become_small_squares() {
        let half = |x: u32, width: u32| if x < width / 2 { 250 } else { 10 };
        for (width, height) in [(300, 200), (64, 640), (32, 32), (9, 5), (2, 1)] {
            let colour = RgbImage::from_fn(width, height, |x, _| Rgb([half(x, width), 100, 30]));
            let grey = GrayImage::from_fn(width, height, |x, _| Luma([half(x, width)]));
            for format in [ImageFormat::Png, ImageFormat::Jpeg] {
                let read = read(&file(colour.clone(), format)).unwrap();
                let (left, right) = (pixel(&read, 2, 16), pixel(&read, 29, 16));
                let near = |a: i32, b: i32| (a - b).abs() < 40;
                assert!(near(left[0], 250) || width < 3, "{width} {left:?}");
                assert!(near(right[0], 10) || width < 3, "{width} {right:?}");
                let read = self::read(&file(grey.clone(), format)).unwrap();
                let [r, g, b] = pixel(&read, 2, 2);
                assert!(r == g && g == b);
            }
        }
    }

    #[test]
    fn transparent_pixels_are_white() {
        let glass = RgbaImage::from_pixel(40, 40, Rgba([0, 0, 0, 0]));
        let read = read(&file(glass, ImageFormat::Png)).unwrap();
        assert!(read.iter().all(|byte| *byte == 255));
    }

    #[test]
    fn what_is_no_image_is_none() {
        let whole = file(
            RgbImage::from_pixel(50, 50, Rgb([1, 2, 3])),
            ImageFormat::Png,
        );
        assert!(read(&whole).is_some());
        assert!(read(&whole[..whole.len() / 2]).is_none());
        for file in [
            &b""[..],
            b"no image at all, just text",
            &[0; 64],
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert!(read(file).is_none());
        }
        assert!(read(b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00").is_none());
    }

    #[test]
    fn damaged_files_do_no_harm() {
        let image = RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        let mut random = crate::random::Random::new(1);
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let whole = file(image.clone(), format);
            for _ in 0..2000 {
                let mut damaged = whole.clone();
                for _ in 0..1 + random.below(4) {
                    let at = random.below(damaged.len());
                    damaged[at] = random.below(256) as u8;
                }
                damaged.truncate(damaged.len() - random.below(2) * random.below(damaged.len()));
                let _ = read(&damaged);
            }
        }
    }

    /// A PNG with the header of a huge image, whose checksum is right.
    #[test]
    fn a_small_file_of_a_huge_image_is_refused_before_it_takes_memory() {
        let huge = |side: u32| {
            let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
            let mut chunk = b"IHDR".to_vec();
            chunk.extend(side.to_be_bytes());
            chunk.extend(side.to_be_bytes());
            chunk.extend([8, 2, 0, 0, 0]);
            file.extend(13u32.to_be_bytes());
            file.extend(&chunk);
            file.extend(crc(&chunk).to_be_bytes());
            file
        };
        for side in [6_000, 100_000, i32::MAX as u32] {
            assert!(read(&huge(side)).is_none());
        }
        // A bomb: zeros compress a thousand times.
        let mut bomb = Vec::new();
        let rows = vec![0; 5_100 * 5_100];
        image::codecs::png::PngEncoder::new(&mut bomb)
            .write_image(&rows, 5_100, 5_100, image::ExtendedColorType::L8)
            .unwrap();
        assert!(bomb.len() < 200_000, "{}", bomb.len());
        assert!(read(&bomb).is_none());
    }

    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, byte: &u8| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
            })
        };
        !bytes.iter().fold(u32::MAX, step)
    }
}
