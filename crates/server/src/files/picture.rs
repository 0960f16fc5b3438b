//! Thumbnails. The bytes are untrusted: the resources of a picture are bounded before it is
//! decoded.

use image::codecs::jpeg::JpegEncoder;
use image::{
    DynamicImage, GenericImageView as _, ImageDecoder, ImageFormat, ImageReader, Limits, imageops,
};
use lamplight_domain::file::{Dimensions, sniff};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;
use std::sync::Arc;

/// The longest side of a thumbnail.
const SIDE: u32 = 480;
/// The longest side of a picture, and how much memory a decoded one may take.
const MOST_SIDE: u32 = 16_384;
const MOST_BYTES: u64 = 128 << 20;
/// Smaller files are their own thumbnails.
const SMALL_SIDE: u32 = 320;
const QUALITY: u8 = 80;
/// The side of an avatar, at most.
const AVATAR_SIDE: u32 = 256;
/// The sides of the picture for a blur hash.
const BLUR_SIDE: u32 = 32;

/// A picture that can be read.
pub(super) struct Picture {
    /// As it is shown.
    pub(super) dimensions: Dimensions,
    /// Whether it can be decoded within the bounds.
    pub(super) is_small_enough: bool,
}

fn format(media_type: &str) -> Option<ImageFormat> {
    Some(match media_type {
        "image/png" => ImageFormat::Png,
        "image/jpeg" => ImageFormat::Jpeg,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    })
}

/// The results of decoding a picture.
pub(super) struct Small {
    /// A JPEG or a PNG.
    pub(super) thumbnail: Vec<u8>,
    /// See <https://blurha.sh>.
    pub(super) blur_hash: Option<Arc<str>>,
}

/// Whether pictures of this type can be read.
pub(super) fn is_known(media_type: &str) -> bool {
    format(media_type).is_some()
}

fn decoder(path: &Path, media_type: &str) -> Option<impl ImageDecoder> {
    decoder_of(BufReader::new(File::open(path).ok()?), format(media_type)?)
}

fn decoder_of<R: BufRead + Seek + 'static>(
    reader: R,
    format: ImageFormat,
) -> Option<impl ImageDecoder> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::with_format(reader, format);
    reader.limits(limits);
    reader.into_decoder().ok()
}

/// Reads the head of a picture; `None` if it is none. Blocks.
pub(super) fn look_at(path: &Path, media_type: &str) -> Option<Picture> {
    looked(decoder(path, media_type)?)
}

fn looked(mut decoder: impl ImageDecoder) -> Option<Picture> {
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return None;
    }
    let orientation = decoder.orientation().ok();
    let is_turned = orientation.is_some_and(|orientation| orientation.to_exif() >= 5);
    let dimensions = if is_turned {
        Dimensions {
            width: height,
            height: width,
        }
    } else {
        Dimensions { width, height }
    };
    Some(Picture {
        dimensions,
        is_small_enough: width <= MOST_SIDE
            && height <= MOST_SIDE
            && decoder.total_bytes() <= MOST_BYTES,
    })
}

/// A re-encoded thumbnail without metadata. `None` if the picture is damaged. Blocks, and uses as
/// much memory as the picture, up to [`MOST_BYTES`].
pub(super) fn thumbnail(path: &Path, media_type: &str) -> Option<Small> {
    small(decoder(path, media_type)?)
}

fn small(mut decoder: impl ImageDecoder) -> Option<Small> {
    let orientation = decoder.orientation().ok();
    let image = DynamicImage::from_decoder(decoder).ok()?;
    let (width, height) = (image.width(), image.height());
    let mut small = if width > SMALL_SIDE || height > SMALL_SIDE {
        image.thumbnail(SIDE.min(width), SIDE.min(height))
    } else {
        image
    };
    if let Some(orientation) = orientation {
        small.apply_orientation(orientation);
    }
    Some(Small {
        thumbnail: encode(&small)?,
        blur_hash: blur_hash(&small),
    })
}

/// The middle square of a picture as an avatar: re-encoded, with the EXIF orientation applied and
/// without metadata. `None` if the bytes are not a picture, too large or damaged. Blocks, as
/// [`thumbnail`] does.
pub(super) fn square(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let media_type = sniff(&bytes)?;
    let mut decoder = decoder_of(Cursor::new(bytes), format(media_type)?)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MOST_SIDE || decoder.total_bytes() > MOST_BYTES {
        return None;
    }
    let orientation = decoder.orientation().ok();
    let image = DynamicImage::from_decoder(decoder).ok()?;
    let mut small = middle(&image);
    drop(image);
    if let Some(orientation) = orientation {
        small.apply_orientation(orientation);
    }
    encode(&small)
}

/// The middle square, at most [`AVATAR_SIDE`] wide. It is read where it is: a copy of it would take as
/// much memory again as the picture.
fn middle(image: &DynamicImage) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    let side = width.min(height);
    let view = image.view((width - side) / 2, (height - side) / 2, side, side);
    let small = if side > AVATAR_SIDE {
        imageops::thumbnail(&*view, AVATAR_SIDE, AVATAR_SIDE)
    } else {
        view.to_image()
    };
    let small = DynamicImage::ImageRgba8(small);
    if image.color().has_alpha() {
        small
    } else {
        DynamicImage::ImageRgb8(small.to_rgb8())
    }
}

/// From a picture that is made smaller again: the hash has 12 colours.
fn blur_hash(image: &DynamicImage) -> Option<Arc<str>> {
    let tiny = image.thumbnail_exact(BLUR_SIDE, BLUR_SIDE).to_rgba8();
    // More colours along the longer side.
    let (x, y) = if image.width() >= image.height() {
        (4, 3)
    } else {
        (3, 4)
    };
    let hash = blurhash::encode(x, y, BLUR_SIDE, BLUR_SIDE, &tiny);
    hash.ok().map(Arc::from)
}

fn encode(image: &DynamicImage) -> Option<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    if image.color().has_alpha() {
        let image = DynamicImage::ImageRgba8(image.to_rgba8());
        image.write_to(&mut bytes, ImageFormat::Png).ok()?;
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        image.to_rgb8().write_with_encoder(encoder).ok()?;
    }
    Some(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn write(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("picture");
        std::fs::write(&path, bytes).unwrap();
        (home, path)
    }

    /// Red on the left, blue on the right.
    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let image = RgbImage::from_fn(width, height, |x, _| {
            if x < width / 2 {
                Rgb([255, 0, 0])
            } else {
                Rgb([0, 0, 255])
            }
        });
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    /// With an EXIF segment that has the orientation and the place.
    fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
        exif.extend([
            0x12,
            0x01,
            3,
            0,
            1,
            0,
            0,
            0,
            orientation,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        exif.extend(b"a secret place");
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let mut bytes = jpeg[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend(length);
        bytes.extend(exif);
        bytes.extend(&jpeg[2..]);
        bytes
    }

    #[test]
    fn a_thumbnail_is_rotated_by_the_orientation_and_has_no_metadata() {
        let (_home, path) = write(&turned(&jpeg(1_000, 500), 6));
        let picture = look_at(&path, "image/jpeg").unwrap();
        let expected = Dimensions {
            width: 500,
            height: 1_000,
        };
        assert_eq!(picture.dimensions, expected);
        assert!(picture.is_small_enough);
        let made = thumbnail(&path, "image/jpeg").unwrap();
        let blur = blurhash::decode(&made.blur_hash.unwrap(), 8, 8, 1.0).unwrap();
        let (top, bottom) = (&blur[4 * 4..][..3], &blur[(7 * 8 + 4) * 4..][..3]);
        assert!(top[0] > top[2] + 80, "{top:?}");
        assert!(bottom[2] > bottom[0] + 80, "{bottom:?}");
        let small = made.thumbnail;
        assert!(!small.windows(6).any(|part| part == b"secret"));
        assert!(!small.windows(4).any(|part| part == b"Exif"));
        let small = image::load_from_memory(&small).unwrap().to_rgb8();
        assert_eq!((small.width(), small.height()), (240, 480));
        // Rotated clockwise, the left side is on top.
        let (top, bottom) = (small.get_pixel(120, 20), small.get_pixel(120, 460));
        assert!(top.0[0] > 200 && bottom.0[2] > 200, "{top:?} {bottom:?}");
    }

    /// A picture of each kind.
    fn samples() -> Vec<(&'static str, Vec<u8>)> {
        let image = RgbImage::from_fn(24, 16, |x, y| Rgb([(x * 10) as u8, (y * 15) as u8, 99]));
        let kinds = [
            ("image/png", ImageFormat::Png),
            ("image/jpeg", ImageFormat::Jpeg),
            ("image/gif", ImageFormat::Gif),
            ("image/webp", ImageFormat::WebP),
        ];
        let encoded = kinds.map(|(media_type, format)| {
            let mut bytes = Cursor::new(Vec::new());
            let image = DynamicImage::ImageRgb8(image.clone());
            image.write_to(&mut bytes, format).unwrap();
            (media_type, bytes.into_inner())
        });
        let mut all = encoded.to_vec();
        let exif = turned(&all[1].1, 8);
        all.push(("image/jpeg", exif));
        all
    }

    #[test]
    fn an_avatar_is_a_square_rotated_by_the_orientation() {
        let made = square(turned(&jpeg(1_000, 500), 6)).unwrap();
        assert!(!made.windows(6).any(|part| part == b"secret"));
        assert!(!made.windows(4).any(|part| part == b"Exif"));
        let made = image::load_from_memory(&made).unwrap().to_rgb8();
        assert_eq!((made.width(), made.height()), (256, 256));
        let (top, bottom) = (made.get_pixel(128, 20), made.get_pixel(128, 236));
        assert!(top.0[0] > 200 && bottom.0[2] > 200, "{top:?} {bottom:?}");
        for (media_type, bytes) in samples() {
            let made = image::load_from_memory(&square(bytes).unwrap()).unwrap();
            assert_eq!((made.width(), made.height()), (16, 16), "{media_type}");
        }
        for other in [
            &b""[..],
            b"GIF89a",
            b"<svg/>",
            b"%PDF-1.7",
            b"RIFF\0\0\0\0WAVE",
        ] {
            assert!(square(other.to_vec()).is_none());
        }
    }

    /// Each sample with a few bytes changed, cut out or repeated, by a fixed seed. Whatever still
    /// decodes is a picture within the bounds.
    #[test]
    fn no_mutation_of_a_picture_panics_or_leaves_the_bounds() {
        let samples = samples();
        let mut chance = crate::files::mutations::Chance::new(17);
        let mut taken = 0;
        for _ in 0..500 {
            for (media_type, sample) in &samples {
                let mut bytes = sample.clone();
                chance.mutate(&mut bytes);
                let decoder = || decoder_of(Cursor::new(bytes.clone()), format(media_type)?);
                let Some(found) = decoder().and_then(looked) else {
                    continue;
                };
                // Decoding large pictures takes long, and is not part of this test.
                let Dimensions { width, height } = found.dimensions;
                if u64::from(width) * u64::from(height) <= 1 << 16
                    && let Some(made) = decoder().and_then(small)
                {
                    let made = image::load_from_memory(&made.thumbnail).unwrap();
                    assert!(made.width().max(made.height()) <= SIDE);
                    taken += 1;
                }
            }
        }
        assert!(
            taken > 100,
            "mutations are small enough to get past the header: {taken}"
        );
    }

    #[test]
    fn invalid_and_oversized_pictures_are_not_decoded() {
        let (_home, path) = write(b"GIF89a<script>");
        assert!(look_at(&path, "image/gif").is_none());
        assert!(thumbnail(&path, "image/gif").is_none());
        let mut huge = jpeg(64, 64);
        let frame = huge.windows(2).position(|part| part == [0xff, 0xc0]);
        let frame = frame.unwrap();
        huge[frame + 5..frame + 9].copy_from_slice(&[0xff, 0x00, 0xff, 0x00]);
        let (_home, path) = write(&huge);
        let found = look_at(&path, "image/jpeg");
        assert!(found.is_none_or(|found| !found.is_small_enough));
    }
}
