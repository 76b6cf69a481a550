//! Hair: the part behind the head and the part before it.

use super::canvas::{Canvas, Rgb, block, curve, oval, shape};
use super::looks::{Hair, Looks};

/// What is drawn before shoulders and head are.
pub(super) fn behind(canvas: &mut Canvas, looks: &Looks) {
    let color = looks.hair_color.darker(0.14);
    let (left, right) = (50.0 - looks.width, 50.0 + looks.width);
    match looks.hair {
        Hair::Long => {
            let fall = shape(
                (left - 4.0, 45.0),
                &[
                    [left - 5.0, 10.0, right + 5.0, 10.0, right + 4.0, 45.0],
                    [right + 5.0, 65.0, right + 6.0, 80.0, right + 4.0, 90.0],
                    [60.0, 96.0, 40.0, 96.0, left - 4.0, 90.0],
                    [left - 6.0, 80.0, left - 5.0, 65.0, left - 4.0, 45.0],
                ],
            );
            canvas.fill(fall, color);
        }
        Hair::Bob => {
            let fall = shape(
                (left - 3.6, 44.0),
                &[
                    [left - 4.0, 11.0, right + 4.0, 11.0, right + 3.6, 44.0],
                    [right + 4.0, 56.0, right + 4.4, 64.0, right + 1.5, 69.0],
                    [60.0, 73.0, 40.0, 73.0, left - 1.5, 69.0],
                    [left - 4.4, 64.0, left - 4.0, 56.0, left - 3.6, 44.0],
                ],
            );
            canvas.fill(fall, color);
        }
        Hair::Waves => {
            for (x, y, radius) in [
                (50.0, 34.0, 21.0),
                (left + 0.5, 44.0, 9.5),
                (right - 0.5, 44.0, 9.5),
                (left - 2.0, 56.0, 9.0),
                (right + 2.0, 56.0, 9.0),
                (left - 1.0, 68.0, 9.0),
                (right + 1.0, 68.0, 9.0),
                (left - 2.5, 79.0, 8.5),
                (right + 2.5, 79.0, 8.5),
            ] {
                canvas.oval((x, y), (radius, radius), color);
            }
            canvas.fill(block(left, 36.0, right, 78.0, 8.0), color);
        }
        Hair::Afro => {
            canvas.oval((50.0, 36.0), (looks.width + 12.0, 26.0), color);
            for (x, y) in [
                (22.0, 38.0),
                (78.0, 38.0),
                (27.0, 50.0),
                (73.0, 50.0),
                (31.0, 22.0),
                (69.0, 22.0),
                (50.0, 14.0),
            ] {
                canvas.oval((x, y), (8.0, 8.0), color);
            }
        }
        Hair::Bun => {
            canvas.oval((50.0, 16.5), (9.0, 8.4), looks.hair_color);
            canvas.line(
                curve((43.0, 21.0), &[[46.0, 23.5, 54.0, 23.5, 57.0, 21.0]]),
                color,
                1.6,
            );
        }
        Hair::Braids => {
            for side in [-1.0, 1.0] {
                for knot in [52.0, 59.0, 66.0, 73.0, 80.0, 87.0] {
                    canvas.oval((50.0 + side * (looks.width + 1.6), knot), (4.2, 4.6), color);
                }
            }
        }
        Hair::Scarf => {
            let cloth = scarf(looks);
            let hood = shape(
                (left - 5.0, 46.0),
                &[
                    [left - 6.0, 9.0, right + 6.0, 9.0, right + 5.0, 46.0],
                    [right + 5.0, 66.0, right + 8.0, 76.0, right + 10.0, 86.0],
                    [60.0, 98.0, 40.0, 98.0, left - 10.0, 86.0],
                    [left - 8.0, 76.0, left - 5.0, 66.0, left - 5.0, 46.0],
                ],
            );
            canvas.fill(hood, cloth.darker(0.2));
        }
        Hair::Bald | Hair::Cropped | Hair::Parted | Hair::Quiff | Hair::Curls => {}
    }
}

/// What is drawn over the head.
pub(super) fn before(canvas: &mut Canvas, looks: &Looks) {
    let color = looks.hair_color;
    let strand = color.lighter(0.14);
    match looks.hair {
        Hair::Bald => {
            let shine = curve((42.0, 29.5), &[[45.0, 27.2, 49.0, 26.6, 52.0, 26.8]]);
            canvas.line(shine, looks.skin.lighter(0.4), 1.5);
        }
        Hair::Cropped => canvas.fill(cap(looks, 0.8, 34.0, 33.0, 0.0), color),
        Hair::Parted | Hair::Bob => {
            canvas.fill(cap(looks, 2.2, 27.0, 39.0, 9.0), color);
            let side = if looks.mirrored { -1.0 } else { 1.0 };
            let x = |offset: f32| 50.0 + side * offset;
            let sweep = curve(
                (x(-8.0), 22.5),
                &[[x(0.0), 24.5, x(9.0), 28.0, x(14.0), 34.0]],
            );
            canvas.line(sweep, strand, 0.8);
        }
        Hair::Quiff => quiff(canvas, looks),
        Hair::Curls => {
            canvas.fill(cap(looks, 1.6, 31.0, 31.0, 0.0), color);
            curls(canvas, looks, color, 5.2);
        }
        Hair::Afro => {
            canvas.fill(
                cap(looks, 1.4, 32.0, 32.0, 0.0),
                looks.hair_color.darker(0.14),
            );
            curls(canvas, looks, looks.hair_color.darker(0.14), 4.2);
        }
        Hair::Long | Hair::Waves => curtains(canvas, looks),
        Hair::Bun => {
            canvas.fill(cap(looks, 1.4, 28.0, 28.0, 0.0), color);
            for x in [43.0, 50.0, 57.0] {
                canvas.line(
                    curve(
                        (x, 26.5),
                        &[[
                            x,
                            24.5,
                            f32::midpoint(x, 50.0),
                            23.0,
                            f32::midpoint(x, 50.0),
                            21.5,
                        ]],
                    ),
                    strand,
                    0.7,
                );
            }
        }
        Hair::Braids => {
            canvas.fill(cap(looks, 1.8, 30.5, 30.5, 0.0), color);
            canvas.line(
                curve((50.0, 20.5), &[[50.0, 23.0, 50.0, 26.0, 50.0, 29.5]]),
                looks.skin.darker(0.1),
                0.8,
            );
            for side in [-1.0, 1.0] {
                canvas.oval(
                    (50.0 + side * (looks.width + 1.6), 52.0),
                    (2.6, 2.0),
                    looks.second_cloth,
                );
            }
        }
        Hair::Scarf => over_scarf(canvas, looks),
    }
}

fn quiff(canvas: &mut Canvas, looks: &Looks) {
    let color = looks.hair_color;
    let strand = color.lighter(0.14);
    canvas.fill(cap(looks, 1.2, 31.0, 31.0, 0.0), color);
    let side = if looks.mirrored { -1.0 } else { 1.0 };
    let x = |offset: f32| 50.0 + side * offset;
    let wave = shape(
        (x(-15.0), 31.0),
        &[
            [x(-17.0), 18.0, x(-4.0), 12.0, x(15.0), 14.5],
            [x(20.0), 18.0, x(19.0), 26.0, x(16.5), 31.0],
            [x(8.0), 26.5, x(-4.0), 34.0, x(-15.0), 31.0],
        ],
    );
    canvas.fill(wave, color);
    canvas.line(
        curve(
            (x(-9.0), 24.5),
            &[[x(-3.0), 18.5, x(6.0), 17.0, x(13.0), 18.5]],
        ),
        strand,
        0.9,
    );
}

/// Long hair, parted in the middle.
fn curtains(canvas: &mut Canvas, looks: &Looks) {
    let color = looks.hair_color;
    let strand = color.lighter(0.14);
    for side in [-1.0, 1.0] {
        let x = |offset: f32| 50.0 + side * offset;
        let edge = looks.width;
        let curtain = shape(
            (x(-1.0), 20.5),
            &[
                [x(edge), 17.0, x(edge + 3.6), 30.0, x(edge + 3.0), 52.0],
                [
                    x(edge + 1.0),
                    56.0,
                    x(edge - 0.6),
                    54.0,
                    x(edge - 1.0),
                    50.0,
                ],
                [x(edge - 1.0), 40.0, x(10.0), 33.0, x(-1.0), 25.5],
            ],
        );
        canvas.fill(curtain, color);
        canvas.line(
            curve(
                (x(3.0), 23.0),
                &[[x(11.0), 25.0, x(edge), 33.0, x(edge + 1.4), 45.0]],
            ),
            strand,
            0.7,
        );
    }
}

/// Hair on the skull: how far it stands off, how low the hairline is at either temple,
/// and how far to a side the parting lies.
fn cap(looks: &Looks, off: f32, here: f32, there: f32, parting: f32) -> Option<tiny_skia::Path> {
    let side = if looks.mirrored { -1.0 } else { 1.0 };
    let x = |offset: f32| 50.0 + side * offset;
    let edge = looks.width + off;
    let top = 15.0 - off * 1.4;
    shape(
        (x(-edge), 46.0),
        &[
            [x(-edge), top, x(edge), top, x(edge), 46.0],
            [
                x(edge - 1.8 - off),
                44.0,
                x(edge - 2.0 - off),
                40.0,
                x(edge - 4.0 - off),
                there - 1.0,
            ],
            [
                x(8.0),
                there - 5.0,
                x(-parting + 4.0),
                there - 6.0,
                x(-parting),
                here - 0.5,
            ],
            [
                x(-parting - 4.0),
                here + 0.5,
                x(-10.0),
                here + 1.0,
                x(-edge + 3.2 + off),
                here + 4.5,
            ],
            [
                x(-edge + 2.2 + off),
                40.0,
                x(-edge + 1.8 + off),
                44.0,
                x(-edge),
                46.0,
            ],
        ],
    )
}

fn curls(canvas: &mut Canvas, looks: &Looks, color: Rgb, radius: f32) {
    let edge = looks.width;
    for (x, y) in [
        (-edge, 38.0),
        (-edge * 0.92, 31.0),
        (-edge * 0.68, 25.5),
        (-edge * 0.36, 22.5),
        (0.0, 21.5),
        (edge * 0.36, 22.5),
        (edge * 0.68, 25.5),
        (edge * 0.92, 31.0),
        (edge, 38.0),
        (-edge * 0.5, 29.0),
        (-edge * 0.16, 27.5),
        (edge * 0.16, 27.5),
        (edge * 0.5, 29.0),
    ] {
        canvas.oval((50.0 + x, y), (radius, radius), color);
    }
    for (x, y) in [
        (-9.0, 24.0),
        (-1.0, 21.5),
        (7.0, 23.0),
        (12.0, 28.0),
        (-13.0, 30.0),
    ] {
        let curl = curve(
            (50.0 + x - 1.8, y + 0.6),
            &[[
                50.0 + x - 1.4,
                y - 1.8,
                50.0 + x + 1.6,
                y - 1.6,
                50.0 + x + 1.7,
                y + 0.8,
            ]],
        );
        canvas.line(curl, color.lighter(0.16), 0.7);
    }
}

fn scarf(looks: &Looks) -> Rgb {
    looks.second_cloth
}

fn over_scarf(canvas: &mut Canvas, looks: &Looks) {
    let cloth = scarf(looks);
    let edge = looks.width;
    for side in [-1.0, 1.0] {
        let x = |offset: f32| 50.0 + side * offset;
        let half = shape(
            (x(-0.5), 17.0),
            &[
                [
                    x(edge + 2.0),
                    15.0,
                    x(edge + 6.0),
                    30.0,
                    x(edge + 4.6),
                    50.0,
                ],
                [x(edge + 3.0), 64.0, x(12.0), 74.0, x(-0.5), 77.0],
                [x(-0.5), 73.0, x(-0.5), 71.0, x(-0.5), 67.6],
                [x(9.0), 66.5, x(edge - 1.6), 57.0, x(edge - 1.6), 44.0],
                [x(edge - 1.6), 34.0, x(10.0), 28.0, x(-0.5), 27.6],
            ],
        );
        canvas.fill(half, cloth);
    }
    let wrap = shape(
        (50.0 - edge - 1.0, 62.0),
        &[
            [44.0, 78.0, 60.0, 78.0, 50.0 + edge + 3.0, 62.0],
            [50.0 + edge + 6.0, 74.0, 66.0, 92.0, 50.0, 93.0],
            [36.0, 92.0, 50.0 - edge - 4.0, 76.0, 50.0 - edge - 1.0, 62.0],
        ],
    );
    canvas.fill(wrap, cloth.darker(0.08));
    canvas.line(
        curve((36.0, 72.0), &[[44.0, 83.0, 58.0, 82.0, 66.0, 71.0]]),
        cloth.darker(0.22),
        0.9,
    );
    canvas.line(
        curve((38.0, 80.0), &[[45.0, 89.0, 57.0, 88.0, 64.0, 79.0]]),
        cloth.darker(0.22),
        0.8,
    );
    let fold = curve(
        (50.0 - edge + 1.0, 33.0),
        &[[50.0 - 8.0, 23.5, 50.0 + 8.0, 23.5, 50.0 + edge - 1.0, 33.0]],
    );
    canvas.line(fold, cloth.darker(0.14), 0.9);
    canvas.veil(oval((58.0, 24.0), (4.0, 1.6)), cloth.lighter(0.6), 60);
}
