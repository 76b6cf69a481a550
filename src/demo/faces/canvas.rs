//! A canvas of 100 by 100 units, whatever its pixels, and the few strokes a face needs.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, Rect, SpreadMode, Stroke, Transform,
};

/// A colour without transparency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

impl Rgb {
    /// From `0xRRGGBB`.
    pub(super) const fn hex(value: u32) -> Self {
        let [_, red, green, blue] = value.to_be_bytes();
        Self(red, green, blue)
    }

    /// Part of the way to another colour: 0 is this one, 1 the other.
    pub(super) fn towards(self, other: Self, part: f32) -> Self {
        let (one, two) = (self.opaque(), other.opaque());
        let between = |a: f32, b: f32| a + (b - a) * part;
        let mixed = Color::from_rgba(
            between(one.red(), two.red()),
            between(one.green(), two.green()),
            between(one.blue(), two.blue()),
            1.0,
        );
        let mixed = mixed.unwrap_or(one).to_color_u8();
        Self(mixed.red(), mixed.green(), mixed.blue())
    }

    pub(super) fn darker(self, part: f32) -> Self {
        self.towards(Self(24, 12, 32), part)
    }

    pub(super) fn lighter(self, part: f32) -> Self {
        self.towards(Self(255, 250, 240), part)
    }

    fn opaque(self) -> Color {
        Color::from_rgba8(self.0, self.1, self.2, 255)
    }
}

/// What is drawn on.
pub(super) struct Canvas {
    pixels: Pixmap,
    scale: f32,
    transform: Transform,
}

impl Canvas {
    /// A square canvas; none when it would have no pixels.
    pub(super) fn new(side: u32) -> Option<Self> {
        let scale = f32::from(u16::try_from(side).ok()?) / 100.0;
        Some(Self {
            pixels: Pixmap::new(side, side)?,
            scale,
            transform: Transform::from_scale(scale, scale),
        })
    }

    /// Tilts what is drawn from now on, in degrees about the neck, and comes a little nearer.
    pub(super) fn tilt(&mut self, degrees: f32) {
        let nearer = 1.14;
        self.transform = Transform::from_rotate_at(degrees, 50.0, 74.0)
            .post_translate(-50.0, -57.0)
            .post_scale(nearer, nearer)
            .post_translate(50.0, 57.0)
            .post_scale(self.scale, self.scale);
    }

    /// The pixels, four bytes each, row by row.
    pub(super) fn finish(self) -> Vec<u8> {
        self.pixels.take()
    }

    /// Covers everything, from one corner's colour to the other's.
    pub(super) fn wash(&mut self, from: Rgb, to: Rgb) {
        let stops = vec![
            GradientStop::new(0.0, from.opaque()),
            GradientStop::new(1.0, to.opaque()),
        ];
        let shader = LinearGradient::new(
            Point::from_xy(10.0, 0.0),
            Point::from_xy(90.0, 100.0),
            stops,
            SpreadMode::Pad,
            Transform::identity(),
        );
        let (Some(shader), Some(all)) = (shader, Rect::from_xywh(0.0, 0.0, 100.0, 100.0)) else {
            return;
        };
        let paint = Paint {
            shader,
            ..Paint::default()
        };
        self.pixels.fill_rect(all, &paint, self.transform, None);
    }

    /// Fills a path.
    pub(super) fn fill(&mut self, path: Option<Path>, color: Rgb) {
        self.veil(path, color, 255);
    }

    /// Fills a path so that what is under it shows through; 255 hides it.
    pub(super) fn veil(&mut self, path: Option<Path>, color: Rgb, strength: u8) {
        let Some(path) = path else { return };
        let mut paint = Paint::default();
        paint.set_color_rgba8(color.0, color.1, color.2, strength);
        self.pixels
            .fill_path(&path, &paint, FillRule::Winding, self.transform, None);
    }

    /// Draws along a path.
    pub(super) fn line(&mut self, path: Option<Path>, color: Rgb, width: f32) {
        let Some(path) = path else { return };
        let mut paint = Paint::default();
        paint.set_color_rgba8(color.0, color.1, color.2, 255);
        let stroke = Stroke {
            width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            ..Stroke::default()
        };
        self.pixels
            .stroke_path(&path, &paint, &stroke, self.transform, None);
    }

    /// Fills an ellipse.
    pub(super) fn oval(&mut self, center: (f32, f32), radius: (f32, f32), color: Rgb) {
        self.fill(oval(center, radius), color);
    }
}

/// An ellipse.
pub(super) fn oval((x, y): (f32, f32), (wide, high): (f32, f32)) -> Option<Path> {
    let around = Rect::from_xywh(x - wide, y - high, wide * 2.0, high * 2.0)?;
    PathBuilder::from_oval(around)
}

/// A rectangle with round corners.
pub(super) fn block(left: f32, top: f32, right: f32, bottom: f32, round: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(left + round, top);
    path.line_to(right - round, top);
    path.quad_to(right, top, right, top + round);
    path.line_to(right, bottom - round);
    path.quad_to(right, bottom, right - round, bottom);
    path.line_to(left + round, bottom);
    path.quad_to(left, bottom, left, bottom - round);
    path.line_to(left, top + round);
    path.quad_to(left, top, left + round, top);
    path.close();
    path.finish()
}

/// A shape of cubic curves that closes: where it starts, then control, control, end.
pub(super) fn shape(start: (f32, f32), curves: &[[f32; 6]]) -> Option<Path> {
    let mut path = curve_builder(start, curves);
    path.close();
    path.finish()
}

/// A line of cubic curves.
pub(super) fn curve(start: (f32, f32), curves: &[[f32; 6]]) -> Option<Path> {
    curve_builder(start, curves).finish()
}

fn curve_builder(start: (f32, f32), curves: &[[f32; 6]]) -> PathBuilder {
    let mut path = PathBuilder::new();
    path.move_to(start.0, start.1);
    for [x1, y1, x2, y2, x, y] in curves {
        path.cubic_to(*x1, *y1, *x2, *y2, *x, *y);
    }
    path
}
