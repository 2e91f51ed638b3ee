# With a key of your own, each service reads and writes as its service agent, which must be allowed to use the key before
# anything is made with it. bootstrap.sh makes those agents that a new project has not yet.
locals {
  key_users = var.kms_key == null ? {} : merge(
    {
      artifacts = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
      bigquery  = "serviceAccount:bq-${data.google_project.this.number}@bigquery-encryption.iam.gserviceaccount.com"
      messages  = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
      functions = "serviceAccount:service-${data.google_project.this.number}@serverless-robot-prod.iam.gserviceaccount.com"
      secrets   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
      storage   = "serviceAccount:service-${data.google_project.this.number}@gs-project-accounts.iam.gserviceaccount.com"
    },
    var.training_cluster.enabled ? {
      cluster = "serviceAccount:service-${data.google_project.this.number}@container-engine-robot.iam.gserviceaccount.com"
    } : {},
  )

  # The key's name, known once it may be used.
  kms_key = var.kms_key == null ? null : terraform_data.kms_key.output
}

resource "google_kms_crypto_key_iam_member" "users" {
  for_each = local.key_users

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

resource "terraform_data" "kms_key" {
  input = var.kms_key

  depends_on = [google_kms_crypto_key_iam_member.users]
}
