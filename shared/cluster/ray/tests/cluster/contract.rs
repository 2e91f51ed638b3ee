use async_trait::async_trait;
use millstream_events::{compute::RunOn, work::Program};
use millstream_ports::{
    ObjectStore, Trainer,
    contracts::{self, TrainerPeer, trainer::Behaviour},
};

use crate::support::{BUCKET, Site};

#[async_trait]
impl TrainerPeer for Site {
    fn trainer(&self) -> &dyn Trainer {
        &self.trainer
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&self.store, BUCKET)
    }

    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>) {
        let script = match behaviour {
            Behaviour::Succeeds => "echo started; echo '{\"rows\": 3}' > \"$AIP_MODEL_DIR/metrics.json\"",
            Behaviour::Fails => "echo started; echo no such column; exit 1",
            Behaviour::Hangs => "echo started; exec sleep 600",
        };
        (Program::Command(vec!["/bin/sh".to_owned()]), vec!["-c".to_owned(), script.to_owned()])
    }

    fn run_on(&self) -> RunOn {
        RunOn::RayCluster
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    contracts::trainer(&Site::new()).await;
}
