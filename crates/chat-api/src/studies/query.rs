//! What stands behind the question mark.

use ct_slices::pixels::HuWindow;
use serde::Deserialize;

use super::OpenOptions;
use crate::http::ApiError;

/// How a study is opened.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OpenQuery {
    /// Which DICOM series, from 0, where there are several.
    series: Option<usize>,
    /// Which frame, from 0, of a NIfTI file with more than three axes.
    frame: Option<usize>,
    /// Go on, with warnings, where slices are missing or uneven.
    #[serde(default)]
    allow_irregular: bool,
}

impl From<OpenQuery> for OpenOptions {
    fn from(query: OpenQuery) -> Self {
        Self { series: query.series, frame: query.frame, allow_irregular: query.allow_irregular }
    }
}

/// How a slice is drawn.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WindowQuery {
    /// `low,high` in HU, or the name of a window: `pancreas`, `soft-tissue`, `liver`, `bone`, `lung`. The
    /// model's own window where none is named.
    window: Option<String>,
}

impl WindowQuery {
    pub(crate) fn window(&self, default: HuWindow) -> Result<HuWindow, ApiError> {
        self.window.as_deref().map_or(Ok(default), parse_window)
    }
}

/// `low,high` in HU, or a name.
pub(super) fn parse_window(text: &str) -> Result<HuWindow, ApiError> {
    if let Some(window) = HuWindow::named(text) {
        return Ok(window);
    }
    let limits = text.split_once(',').and_then(|(low, high)| {
        let (low, high) = (low.trim().parse::<f64>().ok()?, high.trim().parse::<f64>().ok()?);
        HuWindow::from_limits(low, high).ok()
    });
    let message = "`window` must be `low,high` in HU, low below high, or the name of a window";
    limits.ok_or_else(|| ApiError::bad("bad_window", message).at("window"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_limits_or_names() {
        assert_eq!(parse_window("-150,250").unwrap(), HuWindow::PANCREAS);
        assert_eq!(parse_window("lung").unwrap(), HuWindow::LUNG);
        for text in ["", "1", "1,", "250,-150", "nan,1", "1,inf", "1,2,3", "skull"] {
            assert!(parse_window(text).is_err(), "{text}");
        }
    }
}
