//! Studies: bytes in, slices out, held in memory until they expire.

mod archive;
mod error;
mod example;
mod kind;
mod open;
mod query;
mod reference;
mod report;
mod routes;
mod run;
mod store;
mod study;
mod upload;
mod wire;

pub use error::StudyError;
pub use kind::StudyKind;
pub use open::open_study;
pub(crate) use open::{OpenLimits, OpenOptions};
pub(crate) use reference::SliceReference;
pub(crate) use report::{BoxJson, FindingsJson};
pub(crate) use routes::{create, create_example, delete, export, findings, get, slice_png};
pub(crate) use run::{is_usable, run};
pub(crate) use store::StudyStore;
pub use study::Study;
pub(crate) use wire::StudyInfo;
pub(crate) mod paths {
    //! What the OpenAPI document is made of.
    pub(crate) use super::routes::{
        __path_create, __path_create_example, __path_delete, __path_export, __path_findings, __path_get,
        __path_slice_png, __path_slice_values,
    };
    pub(crate) use super::run::__path_run;
}
