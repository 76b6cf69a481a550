//! How somebody looks: what stays from picture to picture, and what changes with each.

use super::canvas::Rgb;
use crate::demo::dice::Dice;

const SKIN: [u32; 10] = [
    0x00fa_d9c3,
    0x00f6_cbad,
    0x00ef_bd97,
    0x00e6_ae84,
    0x00d7_9a6d,
    0x00c1_845a,
    0x00a7_6c47,
    0x008b_5638,
    0x006f_432c,
    0x0058_3425,
];
const HAIR: [u32; 10] = [
    0x001f_1a1c,
    0x002c_211f,
    0x003d_2a22,
    0x0057_3a2a,
    0x007a_4b2c,
    0x009c_5a2e,
    0x00b9_783f,
    0x00d9_a85c,
    0x00e8_cb8d,
    0x006e_3328,
];
const GREY: [u32; 4] = [0x00b9_b5b2, 0x008d_8a8c, 0x00d9_d6d2, 0x00a7_a39b];
const DYED: [u32; 4] = [0x002f_7f86, 0x00c2_557d, 0x006a_5acd, 0x00c0_503a];
const EYES: [u32; 6] = [
    0x003b_2a22,
    0x004a_3626,
    0x002f_4a3c,
    0x0035_546e,
    0x0058_452c,
    0x0026_211f,
];
const BACKGROUND: [(u32, u32); 16] = [
    (0x00bf_e3e0, 0x007f_b8bd),
    (0x00f9_d9b8, 0x00ee_a77c),
    (0x00d9_d3f0, 0x00a7_9ad6),
    (0x00f7_c9cf, 0x00e0_8d9c),
    (0x00cf_e6c4, 0x008d_bb86),
    (0x00fb_e7ad, 0x00ea_bd5f),
    (0x00c4_dcf4, 0x007e_a9d8),
    (0x00e9_dccb, 0x00c2_a683),
    (0x009e_cfc4, 0x003f_8f86),
    (0x00f2_b49b, 0x00cc_6b55),
    (0x00b5_bfe8, 0x0065_73b8),
    (0x00f4_d4e4, 0x00cf_8fb4),
    (0x00df_e9ee, 0x00a3_b8c4),
    (0x00e4_edb8, 0x00a9_bd5c),
    (0x008f_b7d4, 0x0034_638c),
    (0x00e3_c3ae, 0x009d_6b57),
];
const CLOTHES: [u32; 16] = [
    0x0026_4653,
    0x002a_9d8f,
    0x00e9_c46a,
    0x00e7_6f51,
    0x006d_597a,
    0x00b5_6576,
    0x0035_5070,
    0x00f4_f1ea,
    0x003d_405b,
    0x0081_b29a,
    0x00c8_553d,
    0x0058_8b8b,
    0x002d_3142,
    0x007a_9e7e,
    0x00d8_a48f,
    0x004f_6d9a,
];

/// How hair is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hair {
    Bald,
    Cropped,
    Parted,
    Quiff,
    Curls,
    Afro,
    Bob,
    Long,
    Waves,
    Bun,
    Braids,
    Scarf,
}

const SHORT: [Hair; 7] = [
    Hair::Bald,
    Hair::Cropped,
    Hair::Cropped,
    Hair::Parted,
    Hair::Parted,
    Hair::Quiff,
    Hair::Curls,
];
const LONG: [Hair; 9] = [
    Hair::Bob,
    Hair::Bob,
    Hair::Long,
    Hair::Long,
    Hair::Waves,
    Hair::Waves,
    Hair::Bun,
    Hair::Braids,
    Hair::Scarf,
];
const EITHER: [Hair; 4] = [Hair::Afro, Hair::Curls, Hair::Quiff, Hair::Bun];

/// What hair there is on a chin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beard {
    Shaved,
    Stubble,
    Moustache,
    Full,
}

/// What is before the eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glasses {
    No,
    Round,
    Square,
}

/// What is worn below the chin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Top {
    Round,
    Collar,
    Hood,
    Jacket,
    Roll,
    Stripes,
}

const TOPS: [Top; 6] = [
    Top::Round,
    Top::Collar,
    Top::Hood,
    Top::Jacket,
    Top::Roll,
    Top::Stripes,
];

/// Somebody, on one day.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one trait of a face; any mixture of them is somebody"
)]
pub(super) struct Looks {
    pub(super) skin: Rgb,
    pub(super) hair: Hair,
    pub(super) hair_color: Rgb,
    pub(super) beard: Beard,
    pub(super) glasses: Glasses,
    pub(super) frame: Rgb,
    pub(super) eyes: Rgb,
    /// Half the width of the head.
    pub(super) width: f32,
    /// How square the jaw is, from 0 to 1.
    pub(super) jaw: f32,
    pub(super) brow: f32,
    pub(super) apart: f32,
    pub(super) nose: f32,
    pub(super) freckles: bool,
    pub(super) earrings: bool,
    pub(super) lips: bool,
    pub(super) lines: bool,
    pub(super) mirrored: bool,
    pub(super) background: (Rgb, Rgb),
    pub(super) top: Top,
    pub(super) cloth: Rgb,
    pub(super) second_cloth: Rgb,
    /// From a quiet smile, 0, to an open one, 1.
    pub(super) smile: f32,
    pub(super) tilt: f32,
    /// Where the light shape behind the head is.
    pub(super) glow: (f32, f32),
}

impl Looks {
    /// How that owner looks in that upload.
    pub(super) fn of(owner: &str, upload: u64) -> Self {
        let mut who = Dice::of(owner, 0);
        let mut day = Dice::of(owner, upload);
        let tone = who.below(10);
        let short = who.chance(50); // Asked for by `short_haired` too: second, after the tone.
        let older = who.chance(18);
        let hair = match who.below(100) {
            0..20 => who.pick(&EITHER, Hair::Afro),
            _ if short => who.pick(&SHORT, Hair::Cropped),
            _ => who.pick(&LONG, Hair::Long),
        };
        let hair_color = match who.below(100) {
            _ if older => who.pick(&GREY, 0x00b9_b5b2),
            0..5 => who.pick(&DYED, 0x002f_7f86),
            // Dark skin goes with dark hair more often than not.
            _ if tone >= 5 => who.pick(HAIR.first_chunk::<4>().unwrap_or(&[0; 4]), 0x001f_1a1c),
            _ => who.pick(&HAIR, 0x003d_2a22),
        };
        let beard = match who.below(100) {
            0..45 if short => Beard::Shaved,
            0..62 if short => Beard::Stubble,
            0..70 if short => Beard::Moustache,
            _ if short => Beard::Full,
            _ => Beard::Shaved,
        };
        let beard = if hair == Hair::Scarf {
            Beard::Shaved
        } else {
            beard
        };
        let cloth = day.pick(&CLOTHES, 0x0026_4653);
        let (from, to) = day.pick(&BACKGROUND, (0x00bf_e3e0, 0x007f_b8bd));
        let second = day.pick(&CLOTHES, 0x00e9_c46a);
        Self {
            skin: Rgb::hex(
                SKIN.get(usize::try_from(tone).unwrap_or(0))
                    .copied()
                    .unwrap_or(0),
            ),
            hair,
            hair_color: Rgb::hex(hair_color),
            beard,
            glasses: match who.below(10) {
                0 | 1 => Glasses::Round,
                2 => Glasses::Square,
                _ => Glasses::No,
            },
            frame: Rgb::hex(who.pick(
                &[0x002b_2b33, 0x006b_4226, 0x008a_2f3b, 0x0027_4060],
                0x002b_2b33,
            )),
            eyes: Rgb::hex(who.pick(&EYES, 0x003b_2a22)),
            width: who.between(17.4, 19.6),
            jaw: if short {
                who.between(0.35, 0.9)
            } else {
                who.between(0.0, 0.5)
            },
            brow: if short {
                who.between(1.3, 1.9)
            } else {
                who.between(0.9, 1.4)
            },
            apart: who.between(7.3, 8.6),
            nose: who.between(1.8, 3.0),
            freckles: tone < 5 && who.chance(16),
            earrings: !short && who.chance(45),
            lips: !short && who.chance(60),
            lines: older,
            mirrored: who.chance(50),
            background: (Rgb::hex(from), Rgb::hex(to)),
            top: day.pick(&TOPS, Top::Round),
            cloth: Rgb::hex(cloth),
            second_cloth: Rgb::hex(if second == cloth { 0x00f4_f1ea } else { second }),
            smile: day.unit(),
            tilt: day.between(-4.0, 4.0),
            glow: (day.between(22.0, 78.0), day.between(18.0, 46.0)),
        }
    }

    /// Whether that owner is one of those who may have a beard, in every upload.
    pub(super) fn short_haired(owner: &str) -> bool {
        let mut who = Dice::of(owner, 0);
        let _tone = who.below(10);
        who.chance(50)
    }

    /// The colour of shaded skin.
    pub(super) fn shade(&self) -> Rgb {
        self.skin.towards(Rgb(110, 30, 30), 0.2)
    }
}
