//! Neck, shoulders, and what is worn on them.

use super::canvas::{Canvas, Rgb, block, curve, oval, shape};
use super::looks::{Looks, Top};

/// Draws all that is below the chin.
pub(super) fn shoulders(canvas: &mut Canvas, looks: &Looks) {
    let neck = shape(
        (41.5, 58.0),
        &[
            [41.5, 70.0, 42.0, 75.0, 33.0, 81.0],
            [40.0, 92.0, 60.0, 92.0, 67.0, 81.0],
            [58.0, 75.0, 58.5, 70.0, 58.5, 58.0],
        ],
    );
    let torso = |drop: f32| {
        shape(
            (37.0, 77.5 + drop),
            &[
                [28.0, 80.5, 15.0, 82.0, 10.0, 102.0],
                [36.0, 104.0, 64.0, 104.0, 90.0, 102.0],
                [85.0, 82.0, 72.0, 80.5, 63.0, 77.5 + drop],
                [60.0, 88.0 + drop, 40.0, 88.0 + drop, 37.0, 77.5 + drop],
            ],
        )
    };
    let cloth = looks.cloth;
    if looks.top == Top::Hood {
        canvas.fill(oval((50.0, 80.0), (21.0, 11.0)), cloth.darker(0.22));
    }
    canvas.fill(neck, looks.skin.darker(0.06));
    let under_chin = shape(
        (41.5, 62.0),
        &[
            [41.5, 66.0, 42.0, 68.0, 41.0, 70.5],
            [46.0, 76.0, 54.0, 76.0, 59.0, 70.5],
            [58.0, 68.0, 58.5, 66.0, 58.5, 62.0],
        ],
    );
    canvas.veil(under_chin, looks.shade().darker(0.25), 130);
    canvas.fill(torso(0.0), cloth);
    collar(canvas, looks);
}

fn collar(canvas: &mut Canvas, looks: &Looks) {
    let cloth = looks.cloth;
    let neckline = |color: Rgb, width: f32, canvas: &mut Canvas| {
        let line = curve((37.0, 77.8), &[[40.0, 88.0, 60.0, 88.0, 63.0, 77.8]]);
        canvas.line(line, color, width);
    };
    let lapel = |sign: f32| {
        let x = |offset: f32| 50.0 + sign * offset;
        shape(
            (x(13.5), 77.0),
            &[
                [x(16.0), 80.0, x(16.0), 84.0, x(14.0), 89.0],
                [x(10.0), 90.0, x(6.0), 92.0, x(0.0), 100.0],
                [x(3.0), 90.0, x(8.0), 84.0, x(13.5), 77.0],
            ],
        )
    };
    match looks.top {
        Top::Round => neckline(cloth.darker(0.25), 1.8, canvas),
        Top::Collar => {
            for sign in [-1.0, 1.0] {
                canvas.fill(lapel(sign), cloth.lighter(0.3));
            }
            canvas.line(
                curve((50.0, 92.0), &[[50.0, 95.0, 50.0, 98.0, 50.0, 101.0]]),
                cloth.darker(0.25),
                0.8,
            );
        }
        Top::Hood => {
            neckline(cloth.darker(0.3), 2.6, canvas);
            for x in [45.0, 55.0] {
                canvas.line(
                    curve((x, 85.0), &[[x, 88.0, x, 91.0, x, 94.0]]),
                    cloth.lighter(0.6),
                    1.1,
                );
            }
        }
        Top::Jacket => {
            let shirt = shape(
                (38.0, 79.0),
                &[
                    [42.0, 90.0, 46.0, 97.0, 50.0, 103.0],
                    [54.0, 97.0, 58.0, 90.0, 62.0, 79.0],
                    [60.0, 88.5, 40.0, 88.5, 38.0, 79.0],
                ],
            );
            canvas.fill(shirt, looks.second_cloth);
            for sign in [-1.0, 1.0] {
                canvas.fill(lapel(sign), cloth.darker(0.28));
            }
        }
        Top::Roll => {
            canvas.fill(block(35.5, 74.5, 64.5, 90.0, 6.0), cloth);
            canvas.fill(block(39.4, 70.0, 60.6, 82.5, 5.0), cloth.lighter(0.1));
            canvas.line(
                curve((41.0, 77.0), &[[45.0, 79.0, 55.0, 79.0, 59.0, 77.0]]),
                cloth.darker(0.2),
                0.9,
            );
        }
        Top::Stripes => {
            for (y, bend) in [(89.5, 2.0), (95.5, 3.0)] {
                let line = curve(
                    (17.0, y + 2.0),
                    &[[35.0, y + bend, 65.0, y + bend, 83.0, y + 2.0]],
                );
                canvas.line(line, looks.second_cloth, 2.6);
            }
            neckline(looks.second_cloth, 1.8, canvas);
        }
    }
}
