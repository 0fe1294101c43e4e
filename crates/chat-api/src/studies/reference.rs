//! Slices by reference: `study:{id}/{slice}` in place of a picture.

use ct_slices::pixels::HuWindow;

use super::query::parse_window;
use crate::http::ApiError;

/// A slice of a study that the server holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SliceReference {
    pub(crate) study: String,
    pub(crate) slice_idx: usize,
    pub(crate) window: Option<HuWindow>,
}

const PREFIX: &str = "study:";
const WINDOW: &str = "window=";

impl SliceReference {
    /// Reads `study:{id}/{slice}` or `study:{id}/{slice}?window=low,high`; none for other addresses.
    pub(crate) fn parse(url: &str) -> Option<Result<Self, ApiError>> {
        let rest = url.strip_prefix(PREFIX)?;
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let bad = || ApiError::bad("bad_slice_reference", "a slice is named `study:{id}/{slice}`");
        let Some((study, Ok(slice_idx))) =
            place.split_once('/').map(|(study, slice)| (study.to_owned(), slice.parse::<usize>()))
        else {
            return Some(Err(bad()));
        };
        let window = match query.map(|query| query.strip_prefix(WINDOW)) {
            None => None,
            Some(None) => return Some(Err(bad())),
            Some(Some(window)) => match parse_window(window) {
                Ok(window) => Some(window),
                Err(error) => return Some(Err(error)),
            },
        };
        Some(Ok(Self { study, slice_idx, window }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        let read = |url: &str| SliceReference::parse(url).map(Result::ok);
        let reference = |window| SliceReference { study: "abc".to_owned(), slice_idx: 7, window };
        assert_eq!(read("study:abc/7"), Some(Some(reference(None))));
        assert_eq!(read("study:abc/7?window=-150,250"), Some(Some(reference(Some(HuWindow::PANCREAS)))));
        for bad in
            ["study:", "study:abc", "study:abc/", "study:abc/-1", "study:abc/7?x", "study:a/7?window=x"]
        {
            assert_eq!(read(bad), Some(None), "{bad}");
        }
        assert_eq!(read("data:image/png;base64,"), None);
    }
}
