output "account" {
  description = "The account builds run as, as `projects/P/serviceAccounts/E`: what `gcloud builds submit --service-account` takes."
  value       = google_service_account.build.name
}

output "member" {
  description = "The account as IAM names it."
  value       = google_service_account.build.member
}

output "signing_key" {
  description = "The key that signs images, as cosign names it."
  value       = "gcpkms://${google_kms_crypto_key.signing.id}/cryptoKeyVersions/1"
}

output "source_bucket" {
  description = "Where `gcloud builds submit` puts sources."
  value       = module.source.name
}
