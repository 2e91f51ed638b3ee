//! The experiment that runs belong to. It is looked up each time: a person may delete it in between.

use millstream_ports::{ErrorKind, PortError, PortResult};

use crate::api::Api;

/// The id of the settings' experiment; `None` where it is not there.
pub(crate) async fn find(api: &Api) -> PortResult<Option<String>> {
    let found = api.experiments(&api.settings().experiment).await?;
    Ok(found.into_iter().next().map(|experiment| experiment.experiment_id))
}

/// The id of the settings' experiment, made where it is not there.
pub(crate) async fn find_or_make(api: &Api) -> PortResult<String> {
    if let Some(found) = find(api).await? {
        return Ok(found);
    }
    let name = &api.settings().experiment;
    match api.create_experiment(name).await {
        Ok(made) => Ok(made.experiment_id),
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::Conflict => find(api).await?.ok_or_else(|| {
            PortError::unavailable(format!("the experiment {name} was there and is gone; ask again")).caused_by(error)
        }),
        Err(error) => Err(error),
    }
}
