# What Cloud Build needs to build, scan, sign and push images: an account, a key, a place for sources.
resource "google_service_account" "build" {
  project      = var.project
  account_id   = "millstream-build"
  display_name = "Builds, scans, signs and pushes Millstream's images"
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/ondemandscanning.admin"])

  project = var.project
  role    = each.value
  member  = google_service_account.build.member
}

module "source" {
  source = "../bucket"

  project           = var.project
  name              = "${var.project}-build"
  location          = var.region
  labels            = var.labels
  force_destroy     = true # Sources only: they are in git.
  soft_delete_days  = 0
  delete_after_days = { sources = { days = 7 } }
  kms_key           = var.kms_key
  access = {
    build = {
      role   = "roles/storage.objectViewer"
      member = google_service_account.build.member
    }
  }
}

resource "google_kms_key_ring" "images" {
  project  = var.project
  name     = "millstream-images"
  location = var.region
}

resource "google_kms_crypto_key" "signing" {
  #checkov:skip=CKV_GCP_43:Cloud KMS does not rotate an asymmetric key by itself; the guide says how to make its next version
  name     = "signing"
  key_ring = google_kms_key_ring.images.id
  purpose  = "ASYMMETRIC_SIGN"
  labels   = var.labels

  version_template {
    algorithm        = "EC_SIGN_P256_SHA256"
    protection_level = "SOFTWARE"
  }

  lifecycle {
    prevent_destroy = true # Without the key no image that it signed can be verified again.
  }
}

resource "google_kms_crypto_key_iam_member" "build_signs" {
  crypto_key_id = google_kms_crypto_key.signing.id
  role          = "roles/cloudkms.signerVerifier"
  member        = google_service_account.build.member
}
