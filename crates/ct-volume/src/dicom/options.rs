//! What a caller chooses.

/// How to read a series.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DicomOptions {
    /// Give stored pixel values without rescale slope and intercept and without padding repair, as
    /// the published code does (SPEC D1). Default false.
    pub stored_values: bool,
    /// Go on, with a warning, where the slices do not form one regular grid. Default false.
    ///
    /// The volume then holds the largest group of slices of one orientation and size, one slice a
    /// position. Missing slices stay missing and the grid takes the spacing without the gaps, so
    /// that what lies beyond a gap is placed too near; uneven gaps become their mean; a tilted
    /// gantry gives a sheared affine, which is right.
    pub allow_irregular: bool,
    /// Which series of a folder that holds several, from 0 in the order of the error's list.
    pub series: Option<usize>,
}

/// What identifies a synthetic series that is written.
#[derive(Clone, Debug)]
pub struct SeriesTags {
    /// PatientID and PatientName of the synthetic patient.
    pub patient: String,
    /// Root for the instance UIDs: digits and dots.
    pub uid_root: String,
    /// SliceThickness in mm (may differ from the spacing, as it does in the clinic).
    pub slice_thickness_mm: f64,
}
