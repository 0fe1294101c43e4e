//! Measurement groups.

use findings::{CaseScore, CaseScoreRule, Finding, RESEARCH_NOTE};

use super::content::{CONTAINS, HAS_CONCEPT_MOD, HAS_OBS_CONTEXT, Item};
use crate::codes::{Code, EntityCodes};
use crate::context::Context;

const MILLIMETER: Code = Code::new("mm", "UCUM", "millimeter");
/// A milliliter, by the unit that PS3.16 has for volumes (CID 7462).
const CUBIC_CENTIMETER: Code = Code::new("cm3", "UCUM", "cubic centimeter");
const PERCENT: Code = Code::new("%", "UCUM", "Percent");
const CERTAINTY: Code = Code::dcm("111012", "Certainty of Finding");

/// A finding: TID 1411, "Volumetric ROI Measurements and Qualitative Evaluations".
pub(super) fn of_finding(context: &Context<'_>, finding: &Finding) -> Item {
    let codes = EntityCodes::of(&finding.entity);
    let mut group = started(
        context,
        "1411",
        &format!("F{} {}", finding.number, finding.entity),
        &format!("tracking of finding {}", finding.number),
        &codes,
    );
    let mut interpolated = Vec::new();
    for (number, slice) in (1..).zip(&finding.boxes) {
        let b = slice.box_px;
        let corners = [[b.x_min, b.y_min], [b.x_max, b.y_min], [b.x_max, b.y_max], [b.x_min, b.y_max]];
        let points = corners.map(|[x, y]| {
            let [column, row, _] = context.geometry.to_source([x, y, slice.slice_idx as f64]);
            [column, row]
        });
        let (_, index) = context.geometry.source_plane(slice.slice_idx);
        let image = context.reference(&context.source.slices[index], true);
        group.push(Item::polyline(&Code::dcm("111030", "Image Region"), &points, image));
        if slice.observed_px.is_none() {
            interpolated.push(number.to_string());
        }
    }
    let size = finding.size_mm;
    for (name, value, unit) in [
        (Code::sct("103339001", "Long Axis"), size.longest, MILLIMETER),
        (Code::sct("103340004", "Short Axis"), size.perpendicular, MILLIMETER),
        (Code::sct("131197000", "Depth"), size.across_slices, MILLIMETER),
        (Code::sct("118565006", "Volume"), finding.volume_ml, CUBIC_CENTIMETER),
    ] {
        group.push(Item::number(&name, value, &unit));
    }
    if let Some(confidence) = finding.confidence {
        group.push(Item::number(&CERTAINTY, 100.0 * confidence, &PERCENT));
    }
    let mut comment = format!("{RESEARCH_NOTE}; sizes are those of boxes along the axes of the images");
    if !interpolated.is_empty() {
        comment.push_str(&format!("; interpolated image regions: {}", interpolated.join(", ")));
    }
    group.push(Item::text(CONTAINS, &Code::dcm("121106", "Comment"), &comment));
    group
}

/// The study's tumor score: TID 1501, "Measurement and Qualitative Evaluation Group".
pub(super) fn of_case(context: &Context<'_>, score: &CaseScore) -> Item {
    let codes = EntityCodes::of(&findings::Entity::PANCREATIC_TUMOR);
    let mut group = started(context, "1501", "case tumor score", "tracking of the case", &codes);
    group.push(Item::number(&CERTAINTY, 100.0 * score.value, &PERCENT));
    let rule = match score.rule {
        CaseScoreRule::Max => "largest probability",
        CaseScoreRule::MeanOfTop3 => "mean of the three largest probabilities",
        CaseScoreRule::NoisyOr => "1 minus the product of (1 - probability)",
    };
    let comment = format!("{RESEARCH_NOTE}; {rule} of {} slices, not calibrated", score.n_slices);
    group.push(Item::text(CONTAINS, &Code::dcm("121106", "Comment"), &comment));
    group
}

/// A group with what all have: tracking, finding, site, algorithm.
fn started(
    context: &Context<'_>,
    template: &str,
    identifier: &str,
    purpose: &str,
    codes: &EntityCodes,
) -> Item {
    let name = Code::dcm("125007", "Measurement Group");
    let mut group = Item::container(CONTAINS, &name).with_template(template);
    let tracking = Code::dcm("112039", "Tracking Identifier");
    group.push(Item::text(HAS_OBS_CONTEXT, &tracking, identifier));
    let tracking = Code::dcm("112040", "Tracking Unique Identifier");
    group.push(Item::uid(HAS_OBS_CONTEXT, &tracking, &context.new_uid(purpose)));
    group.push(Item::code(CONTAINS, &Code::sct("276214006", "Finding category"), &codes.category));
    group.push(Item::code(CONTAINS, &Code::dcm("121071", "Finding"), &codes.finding));
    if let Some(site) = &codes.site {
        let mut site = Item::code(HAS_CONCEPT_MOD, &Code::sct("363698007", "Finding Site"), site);
        if let Some(laterality) = &codes.laterality {
            site.push(Item::code(HAS_CONCEPT_MOD, &Code::sct("272741003", "Laterality"), laterality));
        }
        group.push(site);
    }
    let software = &context.options.software;
    for (code, meaning, text) in
        [("111001", "Algorithm Name", software.name()), ("111003", "Algorithm Version", software.version())]
    {
        group.push(Item::text(HAS_CONCEPT_MOD, &Code::dcm(code, meaning), text));
    }
    for (weights, sha256) in &context.findings.provenance.weights_sha256 {
        let parameter = format!("weights {weights} sha256 {sha256}");
        group.push(Item::text(HAS_CONCEPT_MOD, &Code::dcm("111002", "Algorithm Parameters"), &parameter));
    }
    group
}
