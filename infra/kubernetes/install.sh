#!/usr/bin/env bash
# Installs what trains into the cluster that kubectl points at: Kueue, Kubeflow Trainer, and Millstream's own objects.
# KubeRay comes with the cluster (GKE's Ray operator add-on). Saying it again changes nothing.
#
#   terraform -chdir=infra/environments/prod output -json | infra/kubernetes/install.sh
#
# Needs kubectl, curl, jq and millstream (or MILLSTREAM=path/to/millstream), which mends what others' manifests hold and an
# API server refuses.
set -euo pipefail

KUEUE=v0.19.2
TRAINER=v2.3.0

here=$(cd "$(dirname "$0")" && pwd)
outputs=$(cat)
value() { jq -er "$1" <<<"$outputs"; }

training_email=$(value .training_account.value)
train_model_email=$(value .cluster.value.train_model.email)
train_model_unique_id=$(value .cluster.value.train_model.unique_id)

apply() { "${MILLSTREAM:-millstream}" manifests sanitize | kubectl apply --server-side "$@" -f -; }

curl -fsSL "https://github.com/kubernetes-sigs/kueue/releases/download/$KUEUE/manifests.yaml" | apply
kubectl kustomize "https://github.com/kubeflow/trainer.git/manifests/overlays/manager?ref=$TRAINER" | apply
kubectl -n kueue-system wait --for=condition=Available deployment --all --timeout=10m
kubectl -n kubeflow-system wait --for=condition=Available deployment --all --timeout=10m

# Namespaces first: the others live in them.
for file in namespaces rbac network-policy quota queues runtimes; do
  sed -e "s/TRAIN_MODEL_EMAIL/$train_model_email/" \
    -e "s/TRAIN_MODEL_UNIQUE_ID/\"$train_model_unique_id\"/" \
    -e "s/TRAINING_EMAIL/$training_email/" \
    "$here/$file.yaml" | apply --force-conflicts
done
