//! The contract suites on the in-memory versions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::DateTime;
use millstream_events::{
    contract::Column,
    names::{ObjectPath, TableName},
    work::Program,
};
use millstream_ports::{
    Clock, Ledger, ObjectLedger, ObjectStore, ObjectStoreExt, Precondition, Secret, SecretName, Secrets, Trainer,
    Warehouse,
    contracts::{self, SecretsPeer, TrainerPeer, WarehousePeer, trainer::Behaviour},
    memory::{
        ManualClock, MemoryBus, MemoryModels, MemoryObjectStore, MemorySecrets, MemoryTrainer, MemoryWarehouse,
        TrainingEnd,
    },
};
use serde_json::Value;

const BUCKET: &str = "contracts";

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(DateTime::from_timestamp(1_790_000_000, 0).unwrap()))
}

#[tokio::test]
async fn the_object_store_keeps_its_contract() {
    contracts::object_store(&MemoryObjectStore::new(), BUCKET).await;
}

#[tokio::test]
async fn the_ledger_over_an_object_store_keeps_its_contract() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryObjectStore::new());
    contracts::ledger(&|| -> Arc<dyn Ledger> { Arc::new(ObjectLedger::new(store.clone(), BUCKET, clock())) }).await;
}

#[tokio::test]
async fn the_bus_keeps_its_contract() {
    let bus = MemoryBus::new();
    contracts::event_bus(&bus, &async || bus.events()).await;
}

#[tokio::test]
async fn the_model_registry_keeps_its_contract() {
    let artifact = ObjectPath::new(BUCKET, "model").unwrap();
    contracts::models(&MemoryModels::new(clock()), &artifact).await;
}

#[tokio::test]
async fn the_endpoints_keep_their_contract() {
    let models = MemoryModels::new(clock());
    contracts::endpoints(&models, &models, &ObjectPath::new(BUCKET, "model").unwrap()).await;
}

/// Secrets that are put where they are looked for.
struct MemoryVault(MemorySecrets);

#[async_trait]
impl SecretsPeer for MemoryVault {
    fn secrets(&self) -> &dyn Secrets {
        &self.0
    }

    async fn put(&self, name: &SecretName, value: &[u8]) {
        self.0.put(name.clone(), Secret::new(value));
    }
}

#[tokio::test]
async fn the_secrets_keep_their_contract() {
    contracts::secrets(&MemoryVault(MemorySecrets::new())).await;
}

/// The memory warehouse reads batches of JSON Lines.
struct MemoryTables {
    store: Arc<MemoryObjectStore>,
    warehouse: MemoryWarehouse,
}

#[async_trait]
impl WarehousePeer for MemoryTables {
    fn warehouse(&self) -> &dyn Warehouse {
        &self.warehouse
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&*self.store, BUCKET)
    }

    fn dataset(&self) -> &str {
        "contracts"
    }

    async fn write_batch(&self, to: &ObjectPath, _columns: &[Column], rows: &[Value]) {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        self.store.put(to, lines, Precondition::None).await.unwrap();
    }

    async fn rows(&self, table: &TableName) -> Vec<Value> {
        self.warehouse.content(table).iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_warehouse_keeps_its_contract_at_once_and_when_it_is_slow() {
    for running_answers in [0, 3] {
        let store = Arc::new(MemoryObjectStore::new());
        let warehouse = MemoryWarehouse::new(store.clone()).slow(running_answers);
        contracts::warehouse(&MemoryTables { store, warehouse }).await;
    }
}

/// The program's name says how it behaves.
struct MemoryPrograms {
    store: Arc<MemoryObjectStore>,
    clock: Arc<ManualClock>,
    trainer: MemoryTrainer,
}

#[async_trait]
impl TrainerPeer for MemoryPrograms {
    fn trainer(&self) -> &dyn Trainer {
        &self.trainer
    }

    fn store(&self) -> (&dyn ObjectStore, &str) {
        (&*self.store, BUCKET)
    }

    fn program(&self, behaviour: Behaviour) -> (Program, Vec<String>) {
        (Program::Command(vec![format!("{behaviour:?}")]), Vec::new())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

#[tokio::test(start_paused = true)]
async fn the_trainer_keeps_its_contract_at_once_and_when_it_is_slow() {
    for running_answers in [0, 3] {
        let (store, clock) = (Arc::new(MemoryObjectStore::new()), clock());
        let trainer = MemoryTrainer::new(store.clone(), clock.clone() as Arc<dyn Clock>)
            .slow(running_answers)
            .scripted(|_, training, _| match &training.program {
                Program::Command(words) if words[0] == "Fails" => {
                    TrainingEnd::Fails { reason: "exit code 1".to_owned(), log_tail: "no such column\n".to_owned() }
                }
                Program::Command(words) if words[0] == "Hangs" => TrainingEnd::Hangs,
                _ => TrainingEnd::with_metrics(&BTreeMap::from([("rows".to_owned(), 3.0)])),
            });
        contracts::trainer(&MemoryPrograms { store, clock, trainer }).await;
    }
}
