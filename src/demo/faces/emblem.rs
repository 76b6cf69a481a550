//! Draws what groups and teams have instead of a face: an emblem.

use super::canvas::{Canvas, Rgb, block, oval, shape};
use crate::demo::dice::Dice;

const GROUND: [(u32, u32); 8] = [
    (0x0035_5070, 0x001d_3050),
    (0x002a_9d8f, 0x001c_6e66),
    (0x00b5_6576, 0x0080_404f),
    (0x00e7_6f51, 0x00b0_4a30),
    (0x006d_597a, 0x0047_3a52),
    (0x0058_8b8b, 0x0035_605f),
    (0x003d_405b, 0x0024_263c),
    (0x00d9_a441, 0x00a8_7722),
];
const LIGHT: [u32; 5] = [
    0x00ff_e8c2,
    0x00f4_f1ea,
    0x00cd_eae5,
    0x00fc_d5ce,
    0x00e2_e8ff,
];

/// The pixels of an emblem, four bytes each, row by row.
pub(super) fn emblem(owner: &str, upload: u64, side: u32) -> Vec<u8> {
    let Some(mut canvas) = Canvas::new(side) else {
        return Vec::new();
    };
    let mut dice = Dice::of(owner, upload.wrapping_add(1 << 32));
    let (from, to) = dice.pick(&GROUND, (0x0035_5070, 0x001d_3050));
    let (from, to) = (Rgb::hex(from), Rgb::hex(to));
    let light = Rgb::hex(dice.pick(&LIGHT, 0x00f4_f1ea));
    canvas.wash(from, to);
    canvas.veil(oval((74.0, 22.0), (30.0, 30.0)), from.lighter(0.5), 60);
    match dice.below(4) {
        0 => hills(&mut canvas, from, light),
        1 => rings(&mut canvas, &mut dice, from, light),
        2 => tiles(&mut canvas, &mut dice, from, light),
        _ => sail(&mut canvas, from, light),
    }
    canvas.finish()
}

fn hills(canvas: &mut Canvas, ground: Rgb, light: Rgb) {
    canvas.oval((64.0, 38.0), (13.0, 13.0), light);
    for (y, part) in [(62.0, 0.35), (74.0, 0.6), (86.0, 0.82)] {
        let hill = shape(
            (-2.0, y + 6.0),
            &[
                [22.0, y - 18.0, 38.0, y + 16.0, 60.0, y - 2.0],
                [76.0, y - 14.0, 90.0, y + 2.0, 102.0, y - 4.0],
                [102.0, 101.0, 102.0, 101.0, 102.0, 102.0],
                [40.0, 102.0, 10.0, 102.0, -2.0, 102.0],
            ],
        );
        canvas.fill(hill, light.towards(ground, part));
    }
}

fn rings(canvas: &mut Canvas, dice: &mut Dice, ground: Rgb, light: Rgb) {
    let (x, y) = (dice.between(40.0, 60.0), dice.between(42.0, 58.0));
    for (radius, part) in [(38.0, 0.75), (29.0, 0.5), (20.0, 0.25), (11.0, 0.0)] {
        canvas.oval((x, y), (radius, radius), light.towards(ground, part));
    }
    canvas.oval((x, y), (4.0, 4.0), ground.darker(0.3));
}

fn tiles(canvas: &mut Canvas, dice: &mut Dice, ground: Rgb, light: Rgb) {
    for row in [18.0, 40.0, 62.0] {
        for column in [18.0, 40.0, 62.0] {
            let color = light.towards(ground, dice.unit() * 0.9);
            canvas.fill(block(column, row, column + 19.0, row + 19.0, 4.5), color);
        }
    }
}

fn sail(canvas: &mut Canvas, ground: Rgb, light: Rgb) {
    let sail = |tip: f32, edge: f32| {
        shape(
            (50.0, tip),
            &[
                [
                    50.0 + edge * 0.3,
                    34.0,
                    50.0 + edge * 0.8,
                    50.0,
                    50.0 + edge,
                    66.0,
                ],
                [50.0 + edge * 0.6, 67.0, 50.0 + edge * 0.3, 67.0, 50.0, 66.0],
                [50.0, 50.0, 50.0, 34.0, 50.0, tip],
            ],
        )
    };
    canvas.fill(sail(16.0, 26.0), light);
    canvas.fill(sail(26.0, -20.0), light.towards(ground, 0.35));
    let hull = shape(
        (22.0, 70.0),
        &[
            [40.0, 73.0, 60.0, 73.0, 80.0, 70.0],
            [76.0, 80.0, 70.0, 84.0, 64.0, 84.0],
            [54.0, 85.0, 46.0, 85.0, 36.0, 84.0],
            [30.0, 83.0, 25.0, 79.0, 22.0, 70.0],
        ],
    );
    canvas.fill(hull, light.towards(ground, 0.15));
}
