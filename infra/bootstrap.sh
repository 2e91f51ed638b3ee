#!/usr/bin/env bash
# Makes of an empty project one that Terraform can work in: its first APIs, the bucket of its state and the service agents
# that grants name before Google would make them. Saying it again changes nothing.
#
#   infra/bootstrap.sh PROJECT REGION
set -euo pipefail

project=${1:?the id of the project}
region=${2:?a region, as europe-west1}
state="gs://$project-terraform"

gcloud services enable --project "$project" \
  cloudresourcemanager.googleapis.com serviceusage.googleapis.com iam.googleapis.com storage.googleapis.com \
  pubsub.googleapis.com run.googleapis.com artifactregistry.googleapis.com secretmanager.googleapis.com \
  eventarc.googleapis.com cloudscheduler.googleapis.com aiplatform.googleapis.com

for service in pubsub run artifactregistry secretmanager eventarc aiplatform; do
  gcloud beta services identity create --project "$project" --service "$service.googleapis.com" >/dev/null
done

if ! gcloud storage buckets describe "$state" >/dev/null 2>&1; then
  gcloud storage buckets create "$state" --project "$project" --location "$region" \
    --uniform-bucket-level-access --public-access-prevention
fi
gcloud storage buckets update "$state" --versioning

echo "Next: terraform -chdir=infra/environments/dev init -backend-config=bucket=$project-terraform"
