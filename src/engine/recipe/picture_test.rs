//! Pictures that are really encoded, on tasks where nothing but the picture decides.

use super::*;
use crate::artifact::Task;
use crate::fit::{Request, fit};
use crate::params::Params;
use crate::picture;
use crate::random::Random;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

fn encoded(image: RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image)
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

/// Stripes of one direction or the other, of any width, place and two colours.
fn stripes(across: bool, random: &mut Random) -> RgbImage {
    let wide = 6.0 + 6.0 * random.uniform();
    let shift = wide * random.uniform();
    let colours: [[u8; 3]; 2] = [0, 1].map(|_| [0; 3].map(|_| random.below(256) as u8));
    RgbImage::from_fn(80, 64, |x, y| {
        let at = (f64::from(if across { y } else { x }) + shift) / wide;
        let colour = colours[at as usize % 2];
        Rgb(colour.map(|c| c.saturating_add(random.below(20) as u8)))
    })
}

/// A filled circle or square somewhere, on noise.
fn shape(round: bool, random: &mut Random) -> RgbImage {
    let (x0, y0) = (
        20.0 + 24.0 * random.uniform(),
        20.0 + 24.0 * random.uniform(),
    );
    let size = 10.0 + 6.0 * random.uniform();
    let colour = [0; 3].map(|_| 120 + random.below(120) as u8);
    RgbImage::from_fn(64, 64, |x, y| {
        let (dx, dy) = ((f64::from(x) - x0).abs(), (f64::from(y) - y0).abs());
        let inside = if round {
            dx * dx + dy * dy < 1.27 * size * size
        } else {
            dx.max(dy) < size
        };
        Rgb(if inside {
            colour
        } else {
            [0; 3].map(|_| random.below(80) as u8)
        })
    })
}

/// Bright or dark, with a little of the other.
fn light(bright: bool, random: &mut Random) -> RgbImage {
    let middle = if bright { 140 } else { 110 };
    RgbImage::from_fn(40, 50, |_, _| {
        Rgb([0; 3].map(|_| (middle - 40 + random.below(80)) as u8))
    })
}

/// Held-out ROC AUC of a model of a number that tells nothing and a picture.
fn auc(rows: usize, draw: fn(bool, &mut Random) -> RgbImage) -> f64 {
    let mut random = Random::new(21);
    let mut noise = Column::new("noise", "integer", Kind::Number);
    let mut photo = Column::new("photo", "bytea", Kind::Image);
    let mut label = Column::new("label", "boolean", Kind::Boolean);
    for row in 0..rows {
        let yes = random.below(2) == 0;
        let format = [ImageFormat::Png, ImageFormat::Jpeg][row % 2];
        let file = encoded(draw(yes, &mut random), format);
        let pixels = picture::read(&file).unwrap();
        photo.push(if row % 50 == 7 {
            Cell::Image(&[])
        } else {
            Cell::Image(&pixels)
        });
        noise.push(Cell::Number(random.normal()));
        label.push(Cell::Boolean(yes));
    }
    let frame = Frame {
        columns: vec![noise, photo, label],
    };
    let request = Request {
        task: Some(Task::Binary),
        ..Request::new(frame, "label", Params::default())
    };
    let artifact = fit(request, &mut |_| true).unwrap();
    let unreadable: Vec<_> = artifact.recipe.unreadable().collect();
    assert_eq!(unreadable, [("photo", (rows + 42) / 50)]);
    let metrics = &artifact.evaluation.metrics;
    metrics
        .iter()
        .find(|m| m.metric == "roc_auc")
        .unwrap()
        .value
}

#[test]
fn brightness_decides() {
    let auc = auc(400, light);
    assert!(auc > 0.95, "{auc}");
}

#[test]
fn the_direction_of_stripes_decides() {
    let auc = auc(800, stripes);
    assert!(auc > 0.9, "{auc}");
}

#[test]
fn the_shape_decides() {
    let auc = auc(1200, shape);
    assert!(auc > 0.85, "{auc}");
}

#[test]
fn few_pictures_and_plain_ones_are_taken() {
    for (rows, plain) in [(0, false), (1, false), (7, false), (40, true), (40, false)] {
        let mut random = Random::new(rows as u64);
        let mut photo = Column::new("photo", "bytea", Kind::Image);
        for _ in 0..rows {
            let colour = if plain { 7 } else { random.below(256) as u8 };
            photo.push(Cell::Image(&[colour; picture::BYTES]));
        }
        photo.push(Cell::Null);
        let frame = Frame {
            columns: vec![photo],
        };
        let all: Vec<u32> = (0..=rows).map(|row| row as u32).collect();
        let recipe = Recipe::fit(&frame, &[0], &all);
        assert!(recipe.is_sound());
        let matrix = recipe.transform(&frame, &all);
        assert!(matrix.inputs.numbers >= 1, "the flag at least");
        assert!(matrix.numbers.iter().all(|x| x.is_finite()));
        assert!(recipe.describe()[0].steps.starts_with("an image"));
    }
}
