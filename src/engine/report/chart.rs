//! Charts as SVG, drawn by plotters. Colours are roles that a style gives values to, so that one picture suits light and dark
//! pages and paper.

use super::words::{clipped, escaped, grouped, short};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Display;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 400;
/// Height of a named bar, and characters of a name that are shown.
const BAR: u32 = 26;
const NAME: usize = 26;
/// Width of the names beside bars.
const NAMES: u32 = 190;

/// Numbers beyond are drawn at the edge: axes as wide as all numbers have no end of marks.
pub(super) const FAR: f64 = 1e300;

const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const FAINT: RGBColor = RGBColor(3, 3, 3);
/// Series that can be told apart; the first is the model's.
const SERIES: [RGBColor; 6] = [
    RGBColor(4, 4, 1),
    RGBColor(4, 4, 2),
    RGBColor(4, 4, 3),
    RGBColor(4, 4, 4),
    RGBColor(4, 4, 5),
    RGBColor(4, 4, 6),
];
/// What the roles are called in styles.
const ROLES: [(&str, &str); 9] = [
    ("\"#010101\"", "\"var(--ink)\""),
    ("\"#020202\"", "\"var(--grid)\""),
    ("\"#030303\"", "\"var(--faint)\""),
    ("\"#040401\"", "\"var(--s1)\""),
    ("\"#040402\"", "\"var(--s2)\""),
    ("\"#040403\"", "\"var(--s3)\""),
    ("\"#040404\"", "\"var(--s4)\""),
    ("\"#040405\"", "\"var(--s5)\""),
    ("\"#040406\"", "\"var(--s6)\""),
];

/// Values of the roles: text has a contrast of at least 4.5 to 1 to the paper, lines of 3 to 1 (WCAG 2.1, AA).
pub(super) const STYLE: &str = ":root{color-scheme:light dark;--paper:#fff;--ink:#1c242c;--soft:#4b5763;--grid:#dfe3e8;--faint:#69737d;\
--s1:#0b5cad;--s2:#b3470b;--s3:#1a7f4b;--s4:#8a3ffc;--s5:#9f1853;--s6:#6f5b00}\
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e7eaee;--soft:#b4bdc7;--grid:#37404a;--faint:#9aa5b1;\
--s1:#78b4ff;--s2:#ffb077;--s3:#6fd39b;--s4:#c3a2ff;--s5:#ff9ec5;--s6:#e3cf6b}}\
@media print{:root{color-scheme:light;--paper:#fff;--ink:#1c242c;--soft:#4b5763;--grid:#dfe3e8;--faint:#69737d;\
--s1:#0b5cad;--s2:#b3470b;--s3:#1a7f4b;--s4:#8a3ffc;--s5:#9f1853;--s6:#6f5b00}}";

/// A chart could not be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the chart could not be drawn: {0}")]
pub struct DrawingError(String);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingError>;

fn failed(error: impl Display) -> DrawingError {
    DrawingError(error.to_string())
}

/// How places on an axis are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    Number,
    /// A share, as hundredths.
    Share,
}

/// A whole number as one.
fn round(x: f64) -> String {
    match x.fract() == 0.0 {
        true if x.abs() < 100.0 => format!("{x:.0}"),
        _ => short(x),
    }
}

impl Scale {
    fn write(self, x: f64) -> String {
        match self {
            Scale::Share => format!("{:.0}%", 100.0 * x),
            Scale::Number if x.abs() >= 1e12 => format!("{x:.1e}"),
            Scale::Number if x.abs() >= 1e9 => format!("{} bn", round(x / 1e9)),
            Scale::Number if x.abs() >= 1e6 => format!("{} M", round(x / 1e6)),
            Scale::Number if x.fract() == 0.0 => round(x),
            Scale::Number => short(x),
        }
    }
}

pub(super) struct Axis {
    pub name: String,
    pub low: f64,
    pub high: f64,
    pub scale: Scale,
}

impl Axis {
    /// From 0 to 1.
    pub fn share(name: impl Into<String>) -> Axis {
        let name = name.into();
        Axis {
            name,
            low: 0.0,
            high: 1.0,
            scale: Scale::Share,
        }
    }

    /// As wide as the values and a little more; those that are not finite do not count.
    pub fn around(name: impl Into<String>, scale: Scale, of: impl Iterator<Item = f64>) -> Axis {
        let finite = of.filter(|x| x.is_finite()).map(|x| x.clamp(-FAR, FAR));
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let size = low.abs().max(high.abs());
        let room = match high - low {
            width if width > 1e-9 * size => width / 20.0,
            _ => size.max(1e-9) / 20.0,
        };
        // A picture of what cannot be below nothing does not show that.
        let below = if low >= 0.0 && low < room {
            low
        } else {
            low - room
        };
        Axis {
            name: name.into(),
            low: below,
            high: high + room,
            scale,
        }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stroke {
    /// One of several that are told apart.
    Series(usize),
    /// What one would have without a model.
    Reference,
}

pub(super) struct Line {
    pub name: String,
    pub stroke: Stroke,
    pub points: Vec<(f64, f64)>,
}

/// Lines, dots, columns and a band over two axes.
pub(super) struct Plot {
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    /// `(x, low, high)` by rising x.
    pub band: Vec<(f64, f64, f64)>,
    pub dots: Vec<(f64, f64)>,
    /// `(from, to, height)`.
    pub columns: Vec<(f64, f64, f64)>,
    /// Places with a remark.
    pub marks: Vec<(f64, f64, String)>,
}

impl Plot {
    pub fn new(x: Axis, y: Axis) -> Plot {
        Plot {
            x,
            y,
            lines: Vec::new(),
            band: Vec::new(),
            dots: Vec::new(),
            columns: Vec::new(),
            marks: Vec::new(),
        }
    }

    pub fn line(mut self, name: &str, stroke: Stroke, points: Vec<(f64, f64)>) -> Plot {
        let finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        self.lines.push(Line {
            name: name.to_owned(),
            stroke,
            points: points.into_iter().filter(finite).collect(),
        });
        self
    }

    pub fn draw(&self) -> Result<String, DrawingError> {
        picture((WIDTH, HEIGHT), |root| self.on(root))
    }

    fn on(&self, root: &Area<'_>) -> Drawn {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .margin_right(26)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(self.x.range(), self.y.range())
            .map_err(failed)?;
        let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
        chart
            .configure_mesh()
            .x_desc(clipped(&self.x.name, 60))
            .y_desc(clipped(&self.y.name, 40))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|x| self.x.scale.write(*x))
            .y_label_formatter(&|y| self.y.scale.write(*y))
            .axis_style(FAINT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(text(16))
            .axis_desc_style(text(17))
            .draw()
            .map_err(failed)?;
        if !self.band.is_empty() {
            let upper = self.band.iter().map(|(x, _, high)| (*x, *high));
            let lower = self.band.iter().rev().map(|(x, low, _)| (*x, *low));
            let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
            let shade = SERIES[0].mix(0.18).filled();
            chart
                .draw_series([Polygon::new(outline, shade)])
                .map_err(failed)?;
        }
        let columns = self.columns.iter().map(|(from, to, height)| {
            Rectangle::new([(*from, 0.0), (*to, *height)], SERIES[0].mix(0.8).filled())
        });
        chart.draw_series(columns).map_err(failed)?;
        let dots = self.dots.iter();
        let dots = dots.map(|at| Circle::new(*at, 2, SERIES[0].mix(0.45).filled()));
        chart.draw_series(dots).map_err(failed)?;
        let several = self.lines.iter().filter(|l| !l.name.is_empty()).count() > 1;
        for line in &self.lines {
            let points = line.points.iter().copied();
            let (colour, drawn) = match line.stroke {
                Stroke::Series(at) => {
                    let colour = SERIES[at % SERIES.len()];
                    let series = LineSeries::new(points, colour.stroke_width(2));
                    (colour, chart.draw_series(series))
                }
                Stroke::Reference => {
                    let series = DashedLineSeries::new(points, 6, 5, FAINT.stroke_width(2));
                    (FAINT, chart.draw_series(series))
                }
            };
            let drawn = drawn.map_err(failed)?;
            if several && !line.name.is_empty() {
                let sample = move |(x, y)| {
                    PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(3))
                };
                drawn.label(clipped(&line.name, 28)).legend(sample);
            }
        }
        let marks = self.marks.iter().map(|(x, y, remark)| {
            let right = *x > (self.x.low + self.x.high) / 2.0;
            let (side, at) = if right {
                (HPos::Right, -8)
            } else {
                (HPos::Left, 8)
            };
            let style = text(16).pos(Pos::new(side, VPos::Bottom));
            EmptyElement::at((*x, *y))
                + Circle::new((0, 0), 5, SERIES[1].filled())
                + Text::new(clipped(remark, 40), (at, -8), style)
        });
        chart.draw_series(marks).map_err(failed)?;
        if several {
            let lines = self.lines.iter().filter(|l| l.stroke == Stroke::Series(0));
            let last = lines.filter_map(|l| l.points.last()).next();
            let middle = (self.y.low + self.y.high) / 2.0;
            let rises = last.is_none_or(|(_, y)| *y > middle);
            chart
                .configure_series_labels()
                .position(match rises {
                    true => SeriesLabelPosition::LowerRight,
                    false => SeriesLabelPosition::UpperRight,
                })
                .label_font(text(16))
                .border_style(TRANSPARENT)
                .draw()
                .map_err(failed)?;
        }
        Ok(())
    }
}

pub(super) struct Bar {
    pub name: String,
    pub value: f64,
    /// An interval around it.
    pub range: Option<(f64, f64)>,
}

/// Named bars, the first on top.
pub(super) fn bars(bars: &[Bar], axis: &Axis) -> Result<String, DrawingError> {
    let height = BAR * bars.len().max(1) as u32 + 72;
    picture((WIDTH, height), |root| {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .margin_right(26)
            .x_label_area_size(44)
            .y_label_area_size(NAMES)
            .build_cartesian_2d(axis.range(), 0.0..bars.len().max(1) as f64)
            .map_err(failed)?;
        let text = ("sans-serif", 16).into_font().color(&INK);
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(6)
            .x_desc(clipped(&axis.name, 60))
            .x_label_formatter(&|x| axis.scale.write(*x))
            .axis_style(FAINT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(text.clone())
            .axis_desc_style(("sans-serif", 17).into_font().color(&INK))
            .draw()
            .map_err(failed)?;
        let zero = 0f64.clamp(axis.low, axis.high);
        for (at, bar) in bars.iter().enumerate() {
            let middle = bars.len() as f64 - at as f64 - 0.5;
            let value = bar.value.clamp(axis.low, axis.high);
            let corners = [(zero, middle - 0.34), (value, middle + 0.34)];
            chart
                .draw_series([Rectangle::new(corners, SERIES[0].mix(0.8).filled())])
                .map_err(failed)?;
            if let Some((low, high)) = bar.range {
                let ends = [low, high].map(|x| (x.clamp(axis.low, axis.high), middle));
                chart
                    .draw_series([PathElement::new(ends, INK.stroke_width(2))])
                    .map_err(failed)?;
            }
            let (_, y) = chart.backend_coord(&(zero, middle));
            let style = text.clone().pos(Pos::new(HPos::Right, VPos::Center));
            let name = clipped(&bar.name, NAME);
            root.draw(&Text::new(name, (NAMES as i32 + 4, y), style))
                .map_err(failed)?;
        }
        Ok(())
    })
}

/// A table of counts, shaded by their share of the row.
pub(super) fn grid(
    rows: &[String],
    columns: &[String],
    counts: &[Vec<u64>],
    (down, across): (&str, &str),
) -> Result<String, DrawingError> {
    let (left, top) = (150, 64);
    let side = ((WIDTH as i32 - left - 12) / columns.len().max(1) as i32).clamp(24, 150);
    let tall = side.min(64);
    let height = top + tall * rows.len() as i32 + 16;
    picture((WIDTH, height as u32), |root| {
        let text = |size: i32, side: HPos| {
            let style = ("sans-serif", size).into_font().color(&INK);
            style.pos(Pos::new(side, VPos::Center))
        };
        let write = |words: String, at: (i32, i32), size: i32, side: HPos| {
            root.draw(&Text::new(words, at, text(size, side)))
                .map_err(failed)
        };
        let middle = left + side * columns.len() as i32 / 2;
        write(across.into(), (middle, 14), 17, HPos::Center)?;
        write(down.into(), (left - 8, top - 22), 17, HPos::Right)?;
        let letters = (side / 8).max(2) as usize;
        for (at, name) in columns.iter().enumerate() {
            let x = left + side * at as i32 + side / 2;
            write(clipped(name, letters), (x, top - 22), 16, HPos::Center)?;
        }
        for (at, (name, own)) in rows.iter().zip(counts).enumerate() {
            let y = top + tall * at as i32;
            write(clipped(name, 17), (left - 8, y + tall / 2), 16, HPos::Right)?;
            let all = own.iter().sum::<u64>().max(1) as f64;
            for (place, count) in own.iter().enumerate() {
                let x = left + side * place as i32;
                let corners = [(x, y), (x + side - 2, y + tall - 2)];
                // Never so dark that the number could not be read.
                let shade = SERIES[0].mix(0.05 + 0.4 * *count as f64 / all);
                root.draw(&Rectangle::new(corners, shade.filled()))
                    .map_err(failed)?;
                let centre = (x + side / 2 - 1, y + tall / 2 - 1);
                write(grouped(*count), centre, 16, HPos::Center)?;
            }
        }
        Ok(())
    })
}

/// An SVG element whose colours are roles.
fn picture(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, DrawingError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&root)?;
        root.present().map_err(failed)?;
    }
    for (colour, role) in ROLES {
        svg = svg.replace(colour, role);
    }
    Ok(svg)
}

/// The picture with words for those who do not see it, and a style of its own if it is to stand alone.
pub(super) fn told(svg: &str, says: &str, alone: bool) -> String {
    let body = svg.trim_start().trim_start_matches("<svg");
    let (open, rest) = body.split_once('>').unwrap_or((body, ""));
    let label = escaped(says);
    let style = match alone {
        true => format!("<style>{STYLE} svg{{background:var(--paper)}}</style>"),
        false => String::new(),
    };
    format!("<svg role=\"img\" aria-label=\"{label}\"{open}>{style}{rest}")
}
