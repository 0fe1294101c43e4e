//! 3D Slicer's markups.

use serde_json::{Value, json};

use crate::document::Findings;
use crate::error::FindingsError;
use crate::export::coco::bytes_of;
use crate::finding::Finding;
use crate::geometry::StudyGeometry;
use crate::vector::{cross, dot, unit};

const SCHEMA: &str = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#";

/// A `.mrk.json` file with one region of interest (a box) for each finding, in LPS mm.
///
/// The axes of a region are those of the slices: columns, rows, and the normal. Slicer's boxes have right
/// angles; on a sheared grid a region is the smallest such box around the finding's block.
///
/// # Errors
/// [`FindingsError::Geometry`] if the document's geometry cannot be used.
pub fn slicer_markups(findings: &Findings) -> Result<Vec<u8>, FindingsError> {
    let geometry = findings.geometry()?;
    let markups: Vec<Value> = findings.findings.iter().map(|f| markup(f, findings, &geometry)).collect();
    Ok(bytes_of(&json!({ "@schema": SCHEMA, "markups": markups })))
}

fn markup(finding: &Finding, findings: &Findings, geometry: &StudyGeometry) -> Value {
    let along_row = unit(geometry.step_lps_mm(0));
    let normal = unit(cross(along_row, geometry.step_lps_mm(1)));
    let axes = [along_row, cross(normal, along_row), normal];
    // Extent along each axis of all corners.
    let spans = axes.map(|axis| {
        let places = finding.corners_lps_mm.map(|corner| dot(corner, axis));
        let low = places.into_iter().fold(f64::INFINITY, f64::min);
        let high = places.into_iter().fold(f64::NEG_INFINITY, f64::max);
        (0.5 * (low + high), high - low)
    });
    let center: [f64; 3] =
        std::array::from_fn(|n| (0..3).map(|axis| spans[axis].0 * axes[axis][n]).sum::<f64>());
    let size = spans.map(|(_, length)| length);
    // Row by row, the columns being the axes.
    let orientation: Vec<f64> = (0..3).flat_map(|n| axes.map(|axis| axis[n])).collect();
    let color = findings.entities.iter().find(|record| record.entity == finding.entity);
    let color = color.map_or([255; 3], |record| record.color_rgb).map(|byte| f64::from(byte) / 255.0);
    let name = format!("F{} {}", finding.number, finding.entity);
    let confidence = finding.confidence.map_or_else(String::new, |p| format!("confidence {p:.3}; "));
    let description = format!("{confidence}{}", findings.note);
    json!({
        "type": "ROI",
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": true,
        "fixedNumberOfControlPoints": false,
        "labelFormat": "%N",
        "lastUsedControlPointNumber": 1,
        "roiType": "Box",
        "center": center,
        "orientation": orientation,
        "size": size,
        "insideOut": false,
        "controlPoints": [{
            "id": "1",
            "label": name,
            "description": description,
            "associatedNodeID": "",
            "position": center,
            "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
            "selected": true,
            "locked": true,
            "visibility": true,
            "positionStatus": "defined",
        }],
        "measurements": [],
        "display": {
            "visibility": true,
            "opacity": 1.0,
            "color": color,
            "selectedColor": color,
            "fillVisibility": false,
            "outlineVisibility": true,
            "outlineOpacity": 1.0,
            "propertiesLabelVisibility": true,
        },
    })
}
