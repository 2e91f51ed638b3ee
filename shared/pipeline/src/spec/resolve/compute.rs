//! Where a training runs and on what: each back-end takes what it has, and nothing that it would leave unused.

use std::ops::Range;

use millstream_events::{
    compute::{Accelerator, Capacity, Compute, RunOn},
    secret_name::SecretName,
};

use crate::spec::{
    decode::{At, Decoder},
    diagnostic::Code,
    file::TrainingSpec,
    scalars::Count,
    yaml::Key,
};

/// Back-ends whose jobs get machines of their own.
const WITH_MACHINES: &[RunOn] = &[RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray, RunOn::Vertex];

/// Back-ends whose jobs are pods.
const WITH_PODS: &[RunOn] = &[RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray];

/// Back-ends that keep room for a job.
const WITH_ROOM: &[RunOn] = &[RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::Ray, RunOn::RayCluster, RunOn::Vertex];

pub(super) fn resolve(key: &Key, spec: &TrainingSpec, to: &mut Decoder<'_>) -> Compute {
    let run_on = spec.run_on.as_ref().map_or(RunOn::Local, |at| at.value);
    refuse_unused(run_on, spec, to);
    secrets(run_on, spec, to);
    let plain = Compute::default();
    let count = |at: &Option<At<Count>>, otherwise| at.as_ref().map_or(otherwise, |at| at.value.0);
    let limits = spec.limits.as_ref();
    nodes_within_their_limit(spec, to);
    let compute = Compute {
        run_on,
        nodes: count(&spec.nodes, plain.nodes),
        processes_per_node: count(&spec.processes_per_node, plain.processes_per_node),
        machine: spec.machine.as_ref().map(|at| at.value.0.clone()),
        cpu: count(&spec.cpu, plain.cpu),
        memory_mib: spec.memory.as_ref().map_or(plain.memory_mib, |at| at.value.0),
        accelerator: spec
            .accelerator
            .as_ref()
            .map(|given| Accelerator { gpu: given.gpu.value, count: count(&given.count, 1) }),
        capacity: capacity(spec, to),
        queue: spec.queue.as_ref().map(|at| at.value.0.clone()),
        service_account: spec.service_account.as_ref().map(|at| at.value.0.clone()),
        data_access: spec.data_access.as_ref().map_or(plain.data_access, |at| at.value),
        shared_memory_mib: spec.shared_memory.as_ref().map(|at| at.value.0),
        resumes: spec.checkpoints.as_ref().is_some_and(|at| at.value),
        retries: spec.retries.as_ref().map_or(0, |at| at.value.0),
        expected_seconds: limits.and_then(|limits| limits.expected.as_ref()).map(|at| at.value.as_secs()),
        max_cost_usd: limits.and_then(|limits| limits.cost_usd.as_ref()).map(|at| at.value.0),
    };
    a_machine_has_it(key, &compute, spec, to);
    compute
}

/// Some machine type has what is asked for. One that is named and not in the catalogue may: its back-end has the last word.
fn a_machine_has_it(key: &Key, compute: &Compute, spec: &TrainingSpec, to: &mut Decoder<'_>) {
    let is_known = compute.machine.as_deref().is_none_or(|name| millstream_prices::machine(name).is_some());
    if !WITH_MACHINES.contains(&compute.run_on) || !is_known {
        return;
    }
    let Err(refusal) = millstream_prices::machine_for(compute) else { return };
    let accelerator = spec.accelerator.as_ref();
    let place = match refusal.field {
        "machine" => span(&spec.machine),
        "cpu" => span(&spec.cpu),
        "memory" => span(&spec.memory),
        "accelerator" | "accelerator.type" => accelerator.map(|given| given.gpu.span.clone()),
        "accelerator.count" => {
            accelerator.and_then(|given| span(&given.count).or_else(|| Some(given.gpu.span.clone())))
        }
        "capacity" => span(&spec.spot).or_else(|| span(&spec.flex_start)),
        _ => None,
    };
    to.mistake(place.unwrap_or_else(|| key.span.clone()), Code::InvalidValue, refusal.to_string());
}

fn capacity(spec: &TrainingSpec, to: &mut Decoder<'_>) -> Capacity {
    let given = |at: &Option<At<bool>>| at.as_ref().is_some_and(|at| at.value);
    match (given(&spec.spot), given(&spec.flex_start)) {
        (false, false) => Capacity::Standard,
        (true, false) => Capacity::Spot,
        (false, true) => Capacity::FlexStart,
        (true, true) => {
            let place = spec.flex_start.as_ref().map(|at| at.span.clone()).unwrap_or_default();
            to.mistake(place, Code::Conflict, "a training is `spot` or `flex_start`, not both")
                .hint("spot machines may be taken back; flex-start ones are waited for and then kept");
            Capacity::Standard
        }
    }
}

/// A field's name, its place where it is written, and the back-ends that take it.
type Given<'a> = (&'a str, Option<Range<usize>>, &'a [RunOn]);

/// A field that its back-end leaves unused is a misunderstanding.
fn refuse_unused(run_on: RunOn, spec: &TrainingSpec, to: &mut Decoder<'_>) {
    let given: [Given<'_>; 13] = [
        ("nodes", span(&spec.nodes), WITH_MACHINES),
        ("processes_per_node", span(&spec.processes_per_node), &[RunOn::Kubeflow, RunOn::KubeflowV1]),
        ("machine", span(&spec.machine), WITH_MACHINES),
        ("cpu", span(&spec.cpu), WITH_ROOM),
        ("memory", span(&spec.memory), WITH_ROOM),
        ("accelerator", spec.accelerator.as_ref().map(|given| given.gpu.span.clone()), WITH_ROOM),
        ("spot", span(&spec.spot), WITH_MACHINES),
        ("flex_start", span(&spec.flex_start), WITH_MACHINES),
        ("queue", span(&spec.queue), WITH_PODS),
        (
            "service_account",
            span(&spec.service_account),
            &[RunOn::Kubeflow, RunOn::KubeflowV1, RunOn::KubeflowPipeline, RunOn::Ray, RunOn::Vertex],
        ),
        ("data_access", span(&spec.data_access), WITH_PODS),
        ("shared_memory", span(&spec.shared_memory), WITH_PODS),
        ("retries", span(&spec.retries), &[RunOn::KubeflowV1, RunOn::Ray]),
    ];
    for (field, place, takers) in given {
        let Some(place) = place.filter(|_| !takers.contains(&run_on)) else { continue };
        let takers: Vec<_> = takers.iter().map(|taker| format!("`{taker}`")).collect();
        to.mistake(place, Code::Conflict, format!("`run_on: {run_on}` has no use for `{field}`"))
            .hint(format!("leave it out, or run on {}", takers.join(", ")));
    }
}

/// Where others can read a job's variables, no secret is put into them.
fn secrets(run_on: RunOn, spec: &TrainingSpec, to: &mut Decoder<'_>) {
    if !matches!(run_on, RunOn::Vertex | RunOn::RayCluster | RunOn::KubeflowPipeline) {
        return;
    }
    for (key, value) in spec.env.entries.iter().filter(|(_, value)| SecretName::of_reference(&value.value).is_some()) {
        to.mistake(
            value.span.clone(),
            Code::Unsupported,
            format!("`{}` cannot be a secret with `run_on: {run_on}`, where others read a job's variables", key.text),
        )
        .hint("let the program read it from Secret Manager as its own service account");
    }
}

fn span<T>(field: &Option<At<T>>) -> Option<Range<usize>> {
    field.as_ref().map(|at| at.span.clone())
}

fn nodes_within_their_limit(spec: &TrainingSpec, to: &mut Decoder<'_>) {
    let most = spec.limits.as_ref().and_then(|limits| limits.nodes.as_ref());
    if let (Some(nodes), Some(most)) = (&spec.nodes, most)
        && nodes.value.0 > most.value.0
    {
        to.mistake(
            nodes.span.clone(),
            Code::Conflict,
            format!("{} nodes are more than `limits.nodes` allows, {}", nodes.value.0, most.value.0),
        );
    }
}
