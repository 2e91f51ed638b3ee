//! What is refused, and how the service's own refusals are told.

use millstream_cluster_pipelines::{PipelinesSettings, PipelinesTrainer};
use millstream_events::{
    compute::{Accelerator, Capacity, DataAccess, GpuType, RunOn},
    work::Program,
};
use millstream_ports::{ErrorKind, SystemClock, Trainer, TrainingJob};
use serde_json::{Value, json};

use crate::support::{JOB, Site, behaving, pipeline, spec};

/// A change to a training that is fine without it.
type Change = fn(&mut TrainingJob);

#[tokio::test]
async fn what_a_run_does_not_take_is_refused_by_name_before_anything_is_asked_for() {
    let site = Site::new().await;
    let changes: [(&str, Change); 18] = [
        ("compute.run_on", |training| training.compute.run_on = RunOn::Ray),
        ("compute.nodes", |training| training.compute.nodes = 2),
        ("compute.processes_per_node", |training| training.compute.processes_per_node = 2),
        ("compute.machine", |training| training.compute.machine = Some("n1-standard-4".to_owned())),
        ("compute.cpu", |training| training.compute.cpu = 8),
        ("compute.memory_mib", |training| training.compute.memory_mib = 1),
        ("compute.accelerator", |training| {
            training.compute.accelerator = Some(Accelerator { gpu: GpuType::L4, count: 1 });
        }),
        ("compute.capacity", |training| training.compute.capacity = Capacity::Spot),
        ("compute.queue", |training| training.compute.queue = Some("gpus".to_owned())),
        ("compute.data_access", |training| training.compute.data_access = DataAccess::Download),
        ("compute.shared_memory_mib", |training| training.compute.shared_memory_mib = Some(64)),
        ("compute.retries", |training| training.compute.retries = 1),
        ("args:", |training| training.args = vec!["--fast".to_owned()]),
        ("env:", |training| _ = training.env.insert("A".to_owned(), "b".to_owned())),
        ("pipeline:", |training| training.program = Program::Tabular),
        ("pipeline:", |training| {
            training.program = pipeline(json!({"apiVersion": "argoproj.io/v1alpha1"}), &[]).program
        }),
        ("pipeline:", |training| training.program = pipeline(spec(&[("model_dir", "STRUCT")]), &[]).program),
        ("data:", |training| {
            training.data = ["gs://models/a/1.csv", "gs://models/b/2.csv"].map(|path| path.parse().unwrap()).to_vec();
        }),
    ];
    for (field, change) in changes {
        let mut training = behaving("hangs");
        change(&mut training);
        let error = site.trainer.ensure(JOB, &training).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{field}: {error}");
        assert!(error.to_string().starts_with(field), "{field}: {error}");
    }
    for job in ["", "a/b", "a b", &"x".repeat(129)] {
        let error = site.trainer.ensure(job, &behaving("hangs")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{job}");
    }
    assert_eq!(site.stub.requests(), [""; 0]);
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_refused() {
    let site = Site::new().await;
    let declared = [("epochs", "NUMBER_INTEGER"), ("note", "STRING"), ("model_dir", "STRING")];
    let cases: [(&[(&str, Value)], &str); 6] = [
        (&[("note", json!("a"))], "parameters.epochs: the pipeline needs it"),
        (&[("epochs", json!(1.5)), ("note", json!("a"))], "parameters.epochs: the pipeline wants a NUMBER_INTEGER"),
        (&[("epochs", json!(1)), ("note", json!(2))], "parameters.note: the pipeline wants a STRING"),
        (
            &[("epoch", json!(1))],
            "parameters.epoch: the pipeline declares no such parameter; it has epochs, model_dir, note",
        ),
        (&[("model_dir", json!("gs://elsewhere/x"))], "parameters.model_dir: the platform sets it"),
        (
            &[("epochs", json!(1)), ("note", json!("secret:crm"))],
            "parameters.note: a run's parameters can be read by others",
        ),
    ];
    for (parameters, expected) in cases {
        let training = pipeline(spec(&declared), parameters);
        let error = site.trainer.ensure(JOB, &training).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn what_the_service_answers_tells_what_can_be_done() {
    let site = Site::new().await;
    let cases = [
        (503, "upstream connect error", ErrorKind::Unavailable, "503: upstream connect error"),
        (500, r#"{"code": 13, "message": "database is locked"}"#, ErrorKind::Unavailable, "database is locked"),
        (403, r#"{"code": 7, "message": "User may not list runs"}"#, ErrorKind::Denied, "User may not list runs"),
        // A gateway that wants a person to sign in.
        (302, "", ErrorKind::Denied, "302"),
        (400, r#"{"code": 3, "message": "no such field"}"#, ErrorKind::Invalid, "no such field"),
        (200, "<html>a proxy's page</html>", ErrorKind::Internal, "cannot be read"),
    ];
    for (status, body, kind, words) in cases {
        site.stub.answer(status, body);
        let error = site.trainer.ensure(JOB, &behaving("hangs")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_one_is_refused_and_one_without_a_service_may_get_one() {
    for url in ["", "ml-pipeline:8888", "ftp://host/", "http://host/?a=b"] {
        let made = PipelinesTrainer::new(PipelinesSettings::new(url), std::sync::Arc::new(SystemClock));
        assert_eq!(made.unwrap_err().kind(), ErrorKind::Invalid, "{url}");
    }
    let trainer = crate::support::trainer(PipelinesSettings::new("http://127.0.0.1:9"));
    let error = trainer.ensure(JOB, &behaving("hangs")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
