//! Synthetic abdominal CT studies with masks, seeded, in the layouts of public data sets.
//!
//! A patient is drawn as anatomy first (body wall, spine, ribs, lung bases, liver, spleen, kidneys,
//! stomach, bowel, vessels, a curved pancreas and its mass), as signed distances in millimetres;
//! then rendered slice by slice with soft edges, slices of finite thickness, tissue texture and the
//! correlated noise of filtered back-projection. Shapes are bent by smooth noise, so that nothing is
//! an ellipse. HU are those of contrast-enhanced CT in one of three phases.
//!
//! **The label hides.** Every patient has a mass in the pancreas, and most have a loop of bowel of
//! its size beside it. In a patient with a tumour the mass is hypodense and the loop is not; in one
//! without, the mass is an ordinary bulge of parenchyma and the loop is hypodense. Size, position,
//! outline, spacing, phase, field of view, dose, ducts, cysts and focal fat are drawn without the
//! label, and [`Tumors::Half`] shares the tumours out so that the halves are alike in what box sizes
//! and histograms show. What remains to be seen is where the dark tissue lies.
//!
//! **Bytes repeat.** Patient `p` follows from [`PhantomSpec`] and `p` alone: ChaCha streams keyed by
//! seed, layout, patient and purpose; only exact float operations on voxels; no sums whose order
//! depends on threads. Layouts have different patients under one seed, as data sets do.
//!
//! It refuses specs that cannot show every organ ([`SpecError`]), never prints, and is not a model
//! of disease or of any scanner: do not estimate clinical performance with it.
//!
//! Start at [`write_dataset`] for files, [`generate_patient`] for arrays, [`generate_mass_pair`] for a tumor
//! and what the same patient looks like without it.
//!
//! ```
//! use ct_phantom::{Layout, PhantomLabel, PhantomSpec, generate_patient};
//!
//! let spec = PhantomSpec::quick(Layout::Msd, 7, 2);
//! let patients = [generate_patient(&spec, 0)?, generate_patient(&spec, 1)?];
//! assert_eq!(patients.iter().filter(|p| p.facts.tumor.is_some()).count(), 1);
//! assert!(patients.iter().all(|p| p.count(PhantomLabel::Pancreas) > 0));
//! # Ok::<(), ct_phantom::PhantomError>(())
//! ```

#![forbid(unsafe_code)]

mod acquisition;
mod anatomy;
mod assignment;
mod dataset;
mod draws;
mod error;
mod facts;
mod label;
mod lattice;
mod layout;
mod patient;
mod phantom;
mod render;
mod shape;
mod spec;
mod vector;

pub use acquisition::{Kernel, Phase};
pub use dataset::{MANIFEST_NAME, PhantomManifest, Progress, StudyRecord, write_dataset};
pub use error::PhantomError;
pub use facts::{Location, PatientFacts, TumorFacts};
pub use label::PhantomLabel;
pub use phantom::{MassPair, Phantom, generate_mass_pair, generate_patient};
pub use spec::{Layout, ParseLayoutError, PhantomSpec, SpecError, Tumors};
