//! The port's contract, but for the rules that count starts in a log: the service has no logs.

use async_trait::async_trait;
use millstream_events::{compute::RunOn, work::Program};
use millstream_ports::{
    ObjectStore, Trainer,
    contracts::{
        TrainerPeer,
        trainer::{
            Behaviour, a_job_past_its_wall_limit_is_ended, a_job_that_ends_well_leaves_its_files,
            a_log_is_cut_to_its_end_and_unknown_for_an_unknown_job,
            cancelling_what_has_ended_or_never_was_changes_nothing,
        },
    },
};

use crate::support::{Site, behaving};

#[async_trait]
impl TrainerPeer for Site {
    fn trainer(&self) -> &dyn Trainer {
        &self.trainer
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&**self.stub.store(), "models")
    }

    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>) {
        let behaviour = match behaviour {
            Behaviour::Succeeds => "succeeds",
            Behaviour::Fails => "fails",
            Behaviour::Hangs => "hangs",
        };
        (behaving(behaviour).program, Vec::new())
    }

    fn run_on(&self) -> RunOn {
        RunOn::KubeflowPipeline
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let site = Site::new().await;
    a_job_that_ends_well_leaves_its_files(&site).await;
    a_job_past_its_wall_limit_is_ended(&site).await;
    cancelling_what_has_ended_or_never_was_changes_nothing(&site).await;
    a_log_is_cut_to_its_end_and_unknown_for_an_unknown_job(&site).await;
}
