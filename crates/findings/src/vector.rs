//! Three numbers as a vector.

pub(crate) type Vector = [f64; 3];

pub(crate) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

/// The vector with length 1; one without length stays as it is.
pub(crate) fn unit(a: Vector) -> Vector {
    let length = norm(a);
    if length > 0.0 { a.map(|v| v / length) } else { a }
}

/// RAS+ to LPS+ and back.
pub(crate) fn flip_ras_lps([x, y, z]: Vector) -> Vector {
    // Adding zero turns a negative zero into zero.
    [-x + 0.0, -y + 0.0, z]
}
