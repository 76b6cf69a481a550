//! Draws a face.

use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Transform};

use crate::demo::dice::Dice;

/// The pixels of a face, four bytes each, row by row.
pub(super) fn face(owner: &str, upload: u64, side: u32) -> Vec<u8> {
    let Some(mut canvas) = Pixmap::new(side, side) else {
        return Vec::new();
    };
    let mut dice = Dice::of(owner, upload);
    canvas.fill(Color::from_rgba8(
        u8::try_from(dice.below(255)).unwrap_or(0),
        200,
        180,
        255,
    ));
    if let Some(circle) = PathBuilder::from_circle(50.0, 50.0, 30.0) {
        let mut paint = Paint::default();
        paint.set_color_rgba8(u8::try_from(dice.below(255)).unwrap_or(0), 150, 120, 255);
        let scale = f32::from(u16::try_from(side).unwrap_or(u16::MAX)) / 100.0;
        canvas.fill_path(
            &circle,
            &paint,
            FillRule::Winding,
            Transform::from_scale(scale, scale),
            None,
        );
    }
    canvas.take()
}
