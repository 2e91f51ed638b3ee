//! The functions that can be a service.

use clap::ValueEnum;
use millstream_runtime::Declaration;

/// A function, by the name that its service, its subscription and its log lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Triggers and facts into commands
    PlanRun,
    /// An uploaded object into a validated batch
    IngestFile,
    /// A database or workbook into validated batches
    ExtractSource,
    /// A batch into a warehouse table
    LoadTable,
    /// A SQL model into a warehouse table
    TransformTable,
    /// A table into the lake
    ExportTable,
    /// A table into a trained model
    TrainModel,
    /// A trained model into a registered, gated and serving one
    PromoteModel,
}

impl Role {
    /// Every function.
    pub(crate) const ALL: [Self; 8] = [
        Self::PlanRun,
        Self::IngestFile,
        Self::ExtractSource,
        Self::LoadTable,
        Self::TransformTable,
        Self::ExportTable,
        Self::TrainModel,
        Self::PromoteModel,
    ];

    /// What it says of itself.
    pub(crate) fn declaration(self) -> &'static Declaration {
        match self {
            Self::PlanRun => &millstream_plan_run::DECLARATION,
            Self::IngestFile => &millstream_ingest_file::DECLARATION,
            Self::ExtractSource => &millstream_extract_source::DECLARATION,
            Self::LoadTable => &millstream_load_table::DECLARATION,
            Self::TransformTable => &millstream_transform_table::DECLARATION,
            Self::ExportTable => &millstream_export_table::DECLARATION,
            Self::TrainModel => &millstream_train_model::DECLARATION,
            Self::PromoteModel => &millstream_promote_model::DECLARATION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_served_under_the_name_that_it_declares() {
        for role in Role::ALL {
            let named = role.to_possible_value().unwrap();
            assert_eq!(named.get_name(), role.declaration().name);
        }
    }
}
