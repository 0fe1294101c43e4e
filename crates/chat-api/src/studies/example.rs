//! The study that comes with the server.

use std::sync::Arc;

use ct_phantom::generate_patient;

use super::{Study, StudyError, StudyKind};
use crate::config::ExampleStudy;
use crate::model::{Files, StudyInput, StudySource};

/// Makes the example; a phantom is as a DICOM series would be.
pub(super) fn make_example(example: &ExampleStudy) -> Result<Study, StudyError> {
    let phantom = generate_patient(&example.spec, example.patient)?;
    let source = StudySource::Volume(Arc::new(phantom.volume));
    Ok(Study::new(StudyKind::Nifti, StudyInput { source, files: Files::default() }))
}
