//! The gray color map of the published image writer.

/// Entries of the "gray" table that are one below their index (SPEC 1.7).
const ONE_BELOW: [u8; 24] = [
    33, 37, 41, 45, 49, 53, 57, 61, 66, 74, 82, 90, 98, 106, 114, 122, 132, 148, 164, 180, 196, 212, 228, 244,
];

/// Gray of a table index: the index itself, but for 24 where `trunc(index * (1 / 255) * 255)` in `f64`
/// falls one short.
const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut gray: u8 = 0;
    loop {
        table[gray as usize] = gray;
        if gray == u8::MAX {
            break;
        }
        gray += 1;
    }
    let mut n = 0;
    while n < ONE_BELOW.len() {
        table[ONE_BELOW[n] as usize] -= 1;
        n += 1;
    }
    table
};

/// Gray of a number in `[0, 1]`, in `f64`: `trunc(256 x)` with 256 taken as 255, through the table.
pub(super) fn gray_f64(unit: f64) -> u8 {
    TABLE[usize::from(super::window::truncate(unit * 256.0))]
}

/// The same in `f32`.
pub(super) fn gray_f32(unit: f32) -> u8 {
    // the product by a power of two is exact, so the cast to f64 changes nothing
    gray_f64(f64::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_the_truncated_product() {
        for (index, &gray) in TABLE.iter().enumerate() {
            let expected = super::super::window::truncate(index as f64 * (1.0 / 255.0) * 255.0);
            assert_eq!(gray, expected, "{index}");
        }
    }

    #[test]
    fn ends() {
        assert_eq!([gray_f64(0.0), gray_f64(1.0), gray_f64(0.999_999), gray_f32(0.5)], [0, 255, 255, 128]);
        assert_eq!(gray_f64(33.0 / 256.0), 32);
        assert_eq!(gray_f64(f64::NAN), 0);
    }
}
