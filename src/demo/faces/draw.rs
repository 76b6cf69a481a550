//! Draws a face: background, what is behind the head, shoulders, head, features, hair.

use super::canvas::{Canvas, Rgb, block, curve, oval, shape};
use super::looks::{Beard, Glasses, Hair, Looks};
use super::{clothes, hair};

/// The pixels of a face, four bytes each, row by row.
pub(super) fn face(owner: &str, upload: u64, side: u32) -> Vec<u8> {
    let Some(mut canvas) = Canvas::new(side) else {
        return Vec::new();
    };
    let looks = Looks::of(owner, upload);
    background(&mut canvas, &looks);
    canvas.tilt(looks.tilt);
    hair::behind(&mut canvas, &looks);
    canvas.tilt(0.0);
    clothes::shoulders(&mut canvas, &looks);
    canvas.tilt(looks.tilt);
    head(&mut canvas, &looks);
    eyes(&mut canvas, &looks);
    nose(&mut canvas, &looks);
    beard(&mut canvas, &looks);
    mouth(&mut canvas, &looks);
    hair::before(&mut canvas, &looks);
    brows(&mut canvas, &looks);
    glasses(&mut canvas, &looks);
    canvas.finish()
}

fn background(canvas: &mut Canvas, looks: &Looks) {
    let (from, to) = looks.background;
    canvas.wash(from, to);
    canvas.veil(oval(looks.glow, (34.0, 34.0)), from.lighter(0.55), 90);
    canvas.veil(
        oval((100.0 - looks.glow.0, 96.0), (46.0, 30.0)),
        to.darker(0.2),
        46,
    );
}

fn head(canvas: &mut Canvas, looks: &Looks) {
    let (left, right) = (50.0 - looks.width, 50.0 + looks.width);
    if looks.hair != Hair::Scarf {
        for (x, inwards) in [(left + 0.2, 0.7), (right - 0.2, -0.7)] {
            canvas.oval((x, 47.5), (3.4, 4.9), looks.skin.darker(0.05));
            canvas.oval((x + inwards, 47.8), (1.7, 2.9), looks.shade());
            if looks.earrings {
                canvas.oval((x, 53.2), (1.0, 1.0), Rgb::hex(0x00f2_d16b));
            }
        }
    }
    canvas.fill(outline(looks, 0.0), looks.skin);
    // Cheeks.
    for x in [50.0 - looks.apart - 3.4, 50.0 + looks.apart + 3.4] {
        canvas.veil(oval((x, 54.0), (3.8, 2.7)), Rgb(232, 92, 92), 42);
    }
    if looks.freckles {
        for (x, y) in [(-9.0, 52.0), (-11.4, 53.4), (-7.4, 54.0), (-10.0, 55.0)] {
            for side in [-1.0, 1.0] {
                canvas.veil(
                    oval((50.0 + side * x, y), (0.45, 0.45)),
                    looks.shade().darker(0.2),
                    150,
                );
            }
        }
    }
}

/// The outline of the head, or one that much wider.
pub(super) fn outline(looks: &Looks, wider: f32) -> Option<tiny_skia::Path> {
    let (left, right) = (50.0 - looks.width - wider, 50.0 + looks.width + wider);
    let jaw = 5.0 + 5.5 * looks.jaw;
    shape(
        (left, 44.0),
        &[
            [left, 16.5 - wider, right, 16.5 - wider, right, 44.0],
            [right, 57.0, 50.0 + jaw + 2.5, 67.5, 50.0, 67.8 + wider],
            [50.0 - jaw - 2.5, 67.5, left, 57.0, left, 44.0],
        ],
    )
}

fn eyes(canvas: &mut Canvas, looks: &Looks) {
    let ink = Rgb(38, 28, 30);
    for side in [-1.0, 1.0] {
        let x = 50.0 + side * looks.apart;
        if looks.smile > 0.86 {
            // Laughing eyes.
            let lid = curve(
                (x - 2.7, 47.6),
                &[[x - 1.6, 44.9, x + 1.6, 44.9, x + 2.7, 47.6]],
            );
            canvas.line(lid, ink, 1.3);
            continue;
        }
        let white = shape(
            (x - 3.1, 46.9),
            &[
                [x - 1.8, 44.1, x + 1.8, 44.1, x + 3.1, 46.9],
                [x + 1.6, 49.2, x - 1.6, 49.2, x - 3.1, 46.9],
            ],
        );
        canvas.fill(white, Rgb(252, 250, 247));
        canvas.oval((x, 46.7), (1.85, 1.95), looks.eyes);
        canvas.oval((x, 46.7), (0.95, 1.0), ink);
        canvas.oval((x + 0.6, 46.0), (0.5, 0.5), Rgb(255, 255, 255));
        let lid = curve(
            (x - 3.2, 46.9),
            &[[x - 1.8, 44.0, x + 1.8, 44.0, x + 3.2, 46.9]],
        );
        canvas.line(lid, ink, if looks.lips { 1.0 } else { 0.75 });
        if looks.lips {
            let lash = curve(
                (x + side * 3.1, 46.8),
                &[[
                    x + side * 3.6,
                    46.4,
                    x + side * 3.9,
                    46.0,
                    x + side * 4.1,
                    45.5,
                ]],
            );
            canvas.line(lash, ink, 0.8);
        }
        if looks.lines {
            let line = curve(
                (x - 2.4, 50.4),
                &[[x - 1.0, 51.3, x + 1.0, 51.3, x + 2.4, 50.4]],
            );
            canvas.line(line, looks.shade(), 0.5);
        }
    }
}

fn brows(canvas: &mut Canvas, looks: &Looks) {
    let color = match looks.hair {
        Hair::Scarf | Hair::Bald => looks.hair_color.darker(0.1),
        _ => looks.hair_color.darker(0.25),
    };
    let lift = 0.8 * looks.smile;
    for side in [-1.0, 1.0] {
        let x = |offset: f32| 50.0 + side * (looks.apart + offset);
        let brow = curve(
            (x(-3.4), 41.6 - lift),
            &[[
                x(-1.2),
                39.9 - lift,
                x(1.6),
                39.8 - lift,
                x(3.8),
                41.4 - lift,
            ]],
        );
        canvas.line(brow, color, looks.brow);
    }
}

fn nose(canvas: &mut Canvas, looks: &Looks) {
    let wide = looks.nose;
    let line = curve(
        (50.0 - wide, 53.6),
        &[[
            50.0 - wide * 0.5,
            55.4,
            50.0 + wide * 0.5,
            55.4,
            50.0 + wide,
            53.6,
        ]],
    );
    canvas.line(line, looks.shade().darker(0.08), 1.0);
}

fn mouth(canvas: &mut Canvas, looks: &Looks) {
    let wide = 4.6 + 2.2 * looks.smile;
    let lip = if looks.lips {
        looks.shade().towards(Rgb(190, 40, 60), 0.55)
    } else {
        looks.shade().darker(0.32)
    };
    if looks.smile > 0.5 {
        let deep = 3.2 + 2.2 * (looks.smile - 0.5);
        let open = shape(
            (50.0 - wide, 58.2),
            &[
                [
                    50.0 - wide * 0.4,
                    59.2,
                    50.0 + wide * 0.4,
                    59.2,
                    50.0 + wide,
                    58.2,
                ],
                [
                    50.0 + wide * 0.7,
                    58.4 + deep * 1.25,
                    50.0 - wide * 0.7,
                    58.4 + deep * 1.25,
                    50.0 - wide,
                    58.2,
                ],
            ],
        );
        canvas.fill(open.clone(), Rgb(122, 38, 46));
        let teeth = shape(
            (50.0 - wide * 0.86, 58.4),
            &[
                [
                    50.0 - wide * 0.4,
                    59.2,
                    50.0 + wide * 0.4,
                    59.2,
                    50.0 + wide * 0.86,
                    58.4,
                ],
                [
                    50.0 + wide * 0.5,
                    60.9,
                    50.0 - wide * 0.5,
                    60.9,
                    50.0 - wide * 0.86,
                    58.4,
                ],
            ],
        );
        canvas.fill(teeth, Rgb(253, 251, 247));
        if looks.lips {
            canvas.line(open, lip, 0.8);
        }
        return;
    }
    let deep = 1.6 + 2.0 * looks.smile;
    let line = curve(
        (50.0 - wide, 58.9),
        &[[
            50.0 - wide * 0.5,
            58.9 + deep,
            50.0 + wide * 0.5,
            58.9 + deep,
            50.0 + wide,
            58.9,
        ]],
    );
    canvas.line(line, lip, if looks.lips { 1.7 } else { 1.2 });
}

fn beard(canvas: &mut Canvas, looks: &Looks) {
    let (left, right) = (50.0 - looks.width, 50.0 + looks.width);
    let jaw = 7.5 + 5.5 * looks.jaw;
    let around = |low: f32| {
        shape(
            (left + 0.2, 46.0),
            &[
                [left + 0.4, 57.0, 50.0 - jaw, low, 50.0, low + 0.3],
                [50.0 + jaw, low, right - 0.4, 57.0, right - 0.2, 46.0],
                [right - 2.0, 53.0, right - 4.5, 56.6, 57.0, 56.2],
                [54.0, 55.4, 52.0, 55.8, 50.0, 56.0],
                [48.0, 55.8, 46.0, 55.4, 43.0, 56.2],
                [left + 4.5, 56.6, left + 2.0, 53.0, left + 0.2, 46.0],
            ],
        )
    };
    let color = looks.hair_color.darker(0.05);
    match looks.beard {
        Beard::Shaved => {}
        Beard::Stubble => canvas.veil(around(67.2), looks.hair_color, 62),
        Beard::Full => {
            canvas.fill(around(69.4), color);
            // The lips stay free.
            canvas.veil(oval((50.0, 59.6), (6.4, 2.7)), looks.skin.darker(0.04), 255);
        }
        Beard::Moustache => {
            let hair = shape(
                (50.0, 55.9),
                &[
                    [53.0, 55.0, 56.5, 56.6, 58.0, 59.0],
                    [55.0, 58.6, 52.5, 58.2, 50.0, 57.9],
                    [47.5, 58.2, 45.0, 58.6, 42.0, 59.0],
                    [43.5, 56.6, 47.0, 55.0, 50.0, 55.9],
                ],
            );
            canvas.fill(hair, color);
        }
    }
}

fn glasses(canvas: &mut Canvas, looks: &Looks) {
    let lens = |x: f32| match looks.glasses {
        Glasses::Round => oval((x, 46.9), (5.4, 5.2)),
        _ => block(x - 5.7, 42.6, x + 5.7, 51.0, 2.2),
    };
    if looks.glasses == Glasses::No {
        return;
    }
    for side in [-1.0, 1.0] {
        let x = 50.0 + side * (looks.apart + 0.2);
        canvas.veil(lens(x), Rgb(255, 255, 255), 34);
        canvas.line(lens(x), looks.frame, 1.1);
        let under = match looks.hair {
            Hair::Scarf => 2.0,
            Hair::Long | Hair::Waves | Hair::Bob => 1.2,
            _ => -0.4,
        };
        let edge = 50.0 + side * (looks.width - under);
        let arm = curve(
            (x + side * 5.5, 45.8),
            &[[edge, 45.2, edge, 45.2, edge, 45.4]],
        );
        canvas.line(arm, looks.frame, 1.0);
    }
    let inner = looks.apart - 5.1;
    let bridge = curve(
        (50.0 - inner, 46.2),
        &[[
            50.0 - inner * 0.4,
            44.9,
            50.0 + inner * 0.4,
            44.9,
            50.0 + inner,
            46.2,
        ]],
    );
    canvas.line(bridge, looks.frame, 1.1);
}
