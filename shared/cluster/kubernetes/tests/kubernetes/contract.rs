//! The port's own contract, on each kind of job.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_cluster_kubernetes::KubernetesTrainer;
use millstream_events::{compute::RunOn, work::Program};
use millstream_ports::{
    contracts::{self, TrainerPeer, trainer::Behaviour},
    memory::MemoryObjectStore,
    object_store::ObjectStore,
    trainer::Trainer,
};

use crate::support::{Cluster, Kind, Operator, image};

struct Peer {
    kind: Kind,
    trainer: KubernetesTrainer,
    store: Arc<MemoryObjectStore>,
}

#[async_trait]
impl TrainerPeer for Peer {
    fn trainer(&self) -> &dyn Trainer {
        &self.trainer
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&*self.store, "models")
    }

    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>) {
        let argument = match behaviour {
            Behaviour::Succeeds => "succeeds",
            Behaviour::Fails => "fails",
            Behaviour::Hangs => "hangs",
        };
        let program = Program::Image { image: image(), command: vec!["program".to_owned()] };
        (program, vec![argument.to_owned()])
    }

    fn run_on(&self) -> RunOn {
        self.kind.run_on()
    }
}

async fn keeps_the_contract(kind: Kind) {
    let cluster = Arc::new(Cluster::start().await);
    let store = Arc::new(MemoryObjectStore::default());
    let _operator = Operator::start(&cluster, kind, store.clone());
    let peer = Peer { kind, trainer: cluster.trainer(), store };
    contracts::trainer(&peer).await;
}

#[tokio::test]
async fn train_jobs_keep_the_contract() {
    keeps_the_contract(Kind::TrainJob).await;
}

#[tokio::test]
async fn pytorch_jobs_keep_the_contract() {
    keeps_the_contract(Kind::PyTorchJob).await;
}

#[tokio::test]
async fn ray_jobs_keep_the_contract() {
    keeps_the_contract(Kind::RayJob).await;
}
