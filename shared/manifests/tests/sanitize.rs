//! What goes, what stays and what is said of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use granit_parser::{Event, Parser, ScalarStyle};
use millstream_manifests::{ManifestError, Sanitized, Severity, sanitize};

fn paths(sanitized: &Sanitized) -> Vec<String> {
    sanitized.changes.iter().map(|change| format!("{} {}", change.object, change.path)).collect()
}

/// Sanitizes, and checks that saying it again changes nothing.
fn mended(text: &str) -> Sanitized {
    let once = sanitize(text).unwrap();
    let twice = sanitize(&once.text).unwrap();
    assert_eq!(twice, Sanitized { text: once.text.clone(), changes: Vec::new() }, "{}", once.text);
    once
}

#[test]
fn a_custom_resource_definition_as_controller_gen_writes_it() {
    let mended = mended(
        r#"
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.8.0
  creationTimestamp: null
  name: rayjobs.ray.io
spec:
  group: ray.io
  versions:
  - name: v1
    additionalPrinterColumns:
    - jsonPath: .metadata.creationTimestamp
      name: Age
      type: date
    schema:
      openAPIV3Schema:
        properties:
          metadata:
            properties:
              creationTimestamp: null
            type: object
          status:
            type: object
    subresources:
      status: {}
status:
  acceptedNames:
    kind: ""
    plural: ""
  conditions: []
  storedVersions: []
"#,
    );
    assert_eq!(
        mended.text,
        r#"
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    controller-gen.kubebuilder.io/version: v0.8.0
  name: rayjobs.ray.io
spec:
  group: ray.io
  versions:
  - name: v1
    additionalPrinterColumns:
    - jsonPath: .metadata.creationTimestamp
      name: Age
      type: date
    schema:
      openAPIV3Schema:
        properties:
          metadata:
            properties:
              creationTimestamp: null
            type: object
          status:
            type: object
    subresources:
      status: {}
"#
    );
    let object = "CustomResourceDefinition/rayjobs.ray.io";
    assert_eq!(paths(&mended), [format!("{object} status"), format!("{object} metadata.creationTimestamp")]);
    assert!(mended.changes.iter().all(|change| change.severity == Severity::Warning && change.document == 1));
}

#[test]
fn quoted_is_an_error_and_bare_a_warning() {
    for (written, severity, shown) in [
        ("\"null\"", Some(Severity::Error), "\"null\""),
        ("'null'", Some(Severity::Error), "\"null\""),
        ("\"\"", Some(Severity::Error), "\"\""),
        ("!!str null", Some(Severity::Error), "null"),
        ("null", Some(Severity::Warning), "null"),
        ("~", Some(Severity::Warning), "null"),
        ("", Some(Severity::Warning), "null"),
        ("\"2026-11-28T09:00:00Z\"", None, ""),
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  template:\n    metadata:\n      creationTimestamp: {written}\n"
        );
        let mended = mended(&text);
        let found = mended.changes.first().map(|change| change.severity);
        assert_eq!(found, severity, "{written}");
        match severity {
            Some(_) => {
                assert_eq!(mended.changes[0].value, shown, "{written}");
                assert_eq!(mended.text, "apiVersion: v1\nkind: Pod\nspec:\n  template:\n    metadata: {}\n");
            }
            None => assert_eq!(mended.text, text, "a template's real time is not the server's"),
        }
    }
}

#[test]
fn what_kubectl_get_prints_can_be_applied_again() {
    let mended = mended(
        r#"apiVersion: v1
kind: List
metadata:
  resourceVersion: ""
  selfLink: ""
items:
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    creationTimestamp: "2026-11-28T09:00:00Z"
    deletionGracePeriodSeconds: 30
    deletionTimestamp: "2026-11-28T09:00:00Z"
    generation: 3
    labels: {generation: "3"}
    managedFields:
    - manager: kubectl
    name: db
    ownerReferences: [{uid: kept}]
    resourceVersion: "812"
    uid: 5ee01dd5-6be7-4ee8-a2a7-8d9d6fc5a4bf
  spec:
    template:
      metadata:
        creationTimestamp: null
        labels: {app: db}
    volumeClaimTemplates:
    - metadata: {creationTimestamp: null, name: data}
      status: {phase: Pending}
  status: {replicas: 1}
"#,
    );
    assert_eq!(
        mended.text,
        r#"apiVersion: v1
kind: List
metadata: {}
items:
- apiVersion: apps/v1
  kind: StatefulSet
  metadata:
    labels: {generation: "3"}
    name: db
    ownerReferences: [{uid: kept}]
  spec:
    template:
      metadata:
        labels: {app: db}
    volumeClaimTemplates:
    - metadata: {name: data}
      status: {phase: Pending}
"#
    );
    assert_eq!(mended.changes[2].path, "items[0].status");
    assert_eq!(mended.changes[2].object, "StatefulSet/db");
    let claim = mended.changes.last().unwrap();
    assert_eq!(claim.path, "items[0].spec.volumeClaimTemplates[0].metadata.creationTimestamp");
    assert_eq!(mended.changes.iter().filter(|change| change.severity == Severity::Error).count(), 3);
}

#[test]
fn every_template_of_jobs_and_trainings_is_reached() {
    for (kind, path) in [
        ("Deployment", "spec.template"),
        ("Job", "spec.template"),
        ("CronJob", "spec.jobTemplate"),
        ("CronJob", "spec.jobTemplate.spec.template"),
        ("JobSet", "spec.replicatedJobs[0].template"),
        ("JobSet", "spec.replicatedJobs[0].template.spec.template"),
        ("TrainJob", "spec.podTemplateOverrides[0]"),
        ("ClusterTrainingRuntime", "spec.template.spec.replicatedJobs[0].template.spec.template"),
        ("PyTorchJob", "spec.pytorchReplicaSpecs.Worker.template"),
        ("RayJob", "spec.rayClusterSpec.headGroupSpec.template"),
        ("RayJob", "spec.rayClusterSpec.workerGroupSpecs[1].template"),
        ("RayJob", "spec.submitterPodTemplate"),
    ] {
        let mut value = r#"{"metadata":{"creationTimestamp":null,"name":"t"}}"#.to_owned();
        for part in path.split('.').rev() {
            value = match part
                .strip_suffix("[0]")
                .map(|key| (key, ""))
                .or(part.strip_suffix("[1]").map(|key| (key, "{},")))
            {
                Some((key, before)) => format!(r#"{{"{key}":[{before}{value}]}}"#),
                None => format!(r#"{{"{part}":{value}}}"#),
            };
        }
        let text = format!(r#"{{"apiVersion":"x/v1","kind":"{kind}",{}"#, &value[1..]);
        let mended = mended(&text);
        assert_eq!(paths(&mended), [format!("{kind} {path}.metadata.creationTimestamp")]);
        assert_eq!(mended.text, text.replace(r#""creationTimestamp":null,"#, ""));
    }
}

#[test]
fn unchanged_documents_come_out_byte_for_byte_beside_changed_ones() {
    let first = "# A licence.\r\n%YAML 1.2\r\n---   # here\r\nkind:   ConfigMap\r\napiVersion: v1\r\ndata: {a:   'b'} # why\r\n";
    let last = "---\napiVersion: v1\nkind:  Secret\nmetadata: {name: s}   # no newline at the end";
    let bad = "--- {apiVersion: v1, kind: Pod, metadata: {creationTimestamp: null, name: p}}\n# After it.\n";
    let mended = mended(&format!("{first}{bad}{last}"));
    let good = "---\n{apiVersion: v1, kind: Pod, metadata: {name: p}}\n# After it.\n";
    assert_eq!(mended.text, format!("{first}{good}{last}"));
    assert_eq!(mended.changes[0].document, 2);
    for text in
        ["", "\n", "# Only a comment.\n", "---\n---\n", "a: 1\n...\n", "\u{feff}kind: x\n", "plain", "[1, 2]", "{}"]
    {
        assert_eq!(sanitize(text).unwrap(), Sanitized { text: text.to_owned(), changes: Vec::new() }, "{text:?}");
    }
}

#[test]
fn comments_around_a_changed_document_and_its_line_ends_stay() {
    let text = "# Source: chart/pod.yaml\r\napiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  creationTimestamp: null # lost\r\n  name: p\r\ndata: |\r\n  a\r\n  b\r\n\r\n# The end.\r\n...\r\n---\r\na: 1\r\n";
    let good = "# Source: chart/pod.yaml\r\napiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: p\r\ndata: |\r\n  a\r\n  b\r\n...\r\n---\r\na: 1\r\n";
    assert_eq!(mended(text).text, good);
}

#[test]
fn values_keep_their_text_and_strings_their_quotes() {
    let body = r#"spec:
  octal: 0644
  yes: yes
  float: 1e3
  hex: 0x1F
  minutes: 12:30
  date: 2026-11-28
  nothing: ~
  empty: null
  texts: ["null", "yes", "1e3", "0x1F", "12:30", "0644", '~', "", "-", "2026-11-28"]
  quoted: 'it''s'
  "on": "null"
  binary: !!binary aGk=
  text: !!str 12
  local: !mine {a: 1}
  command: "tab\tand \"quotes\" \u00e9 \U0001F600"
  script: |
    #!/bin/sh
      echo "$HOME"

    exit 0
  kept: |+
    two lines

  folded: >-
    one
    line
  trailing: "space \nat the end "
  ? [complex, key]
  : value
"#;
    let text = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  uid: x\n{body}");
    let mended = mended(&text);
    assert_eq!(said(&mended.text), said(&text.replace("  uid: x\n", "")), "{}", mended.text);
    for kept in ["octal: 0644\n", "yes: yes\n", "float: 1e3\n", "hex: 0x1F\n", "minutes: 12:30\n", "\"on\": \"null\"\n"]
    {
        assert!(mended.text.contains(kept), "{kept} is not in {}", mended.text);
    }
    assert!(
        mended.text.contains(r#"texts: ["null", "yes", "1e3", "0x1F", "12:30", "0644", '~', "", "-", "2026-11-28"]"#)
    );
    assert!(mended.text.contains("script: |\n    #!/bin/sh\n      echo \"$HOME\"\n\n    exit 0\n"), "{}", mended.text);
}

#[test]
fn aliases_and_merges_are_followed() {
    let mended = mended(
        r"apiVersion: apps/v1
kind: Deployment
metadata: &m
  creationTimestamp: null
  labels: &l {app: web}
spec:
  template:
    metadata:
      <<: *m
      name: web
  selector: *l
",
    );
    assert_eq!(
        mended.text,
        r"apiVersion: apps/v1
kind: Deployment
metadata:
  labels: {app: web}
spec:
  template:
    metadata:
      <<:
        labels: {app: web}
      name: web
  selector: {app: web}
"
    );
    assert_eq!(mended.changes.len(), 2);
}

#[test]
fn json_stays_json_with_its_order() {
    let text = "{\n  \"kind\": \"Pod\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {\n    \"uid\": \"x\",\n    \"name\": \"\\ud83d\\ude00\"\n  },\n  \"spec\": [1.5, -3, 18446744073709551615, true, null, \"null\", {}]\n}\n{\"a\":  1}\n";
    let mended = mended(text);
    let good = "{\n  \"kind\": \"Pod\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {\n    \"name\": \"😀\"\n  },\n  \"spec\": [\n    1.5,\n    -3,\n    18446744073709551615,\n    true,\n    null,\n    \"null\",\n    {}\n  ]\n}\n{\"a\":  1}\n";
    assert_eq!(mended.text, good);
}

#[test]
fn what_is_no_kubernetes_object_stays() {
    for text in [
        "metadata:\n  creationTimestamp: null\nstatus: ok\n",
        "kind: x\nstatus: ok\n",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  metadata: {creationTimestamp: null}\n",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  pod.yaml: |\n    metadata:\n      creationTimestamp: null\n",
    ] {
        assert_eq!(mended(text).text, text);
    }
}

#[test]
fn hostile_and_broken_texts_meet_bounds_and_say_where() {
    let mut laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(sanitize(&laughs), Err(ManifestError::TooMany));
    assert_eq!(sanitize(&format!("a: {}", "[".repeat(100_000))), Err(ManifestError::TooDeep));
    assert_eq!(sanitize(&format!("{{\"a\": {}", "[".repeat(100_000))), Err(ManifestError::TooDeep));
    let block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(sanitize(&block), Err(ManifestError::TooDeep));
    let mut nested = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        nested.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(sanitize(&nested), Err(ManifestError::TooDeep));
    assert_eq!(sanitize(&"#".repeat(millstream_manifests::MAX_BYTES + 1)), Err(ManifestError::TooLarge));
    assert!(matches!(sanitize("a: &a [*a]\n"), Err(ManifestError::Cycle { line: 1 } | ManifestError::Syntax { .. })));
    let template = sanitize("kind: Pod\nmetadata:\n  {{- include \"labels\" . }}\n").unwrap_err();
    assert!(template.to_string().contains("rendered first"), "{template}");
    assert!(template.to_string().starts_with("line 3"), "{template}");
}

/// What a text says: its scalars with their texts, whether each is plain, its tags, and what is nested in what.
fn said(text: &str) -> Vec<String> {
    let events = Parser::new_from_str(text).map(|next| match next.unwrap().0 {
        Event::Scalar(text, style, _, tag) => {
            let tag = tag.map(|tag| tag.to_string()).unwrap_or_default();
            format!("{tag} {text:?} {}", style == ScalarStyle::Plain)
        }
        Event::SequenceStart(_, _, tag) => format!("[ {}", tag.map(|tag| tag.to_string()).unwrap_or_default()),
        Event::MappingStart(_, _, tag) => format!("{{ {}", tag.map(|tag| tag.to_string()).unwrap_or_default()),
        Event::SequenceEnd => "]".to_owned(),
        Event::MappingEnd => "}".to_owned(),
        _ => String::new(),
    });
    events.filter(|said| !said.is_empty()).collect()
}
