output "name" {
  description = "The bucket's name, known once its grants are there: what mounts or reads it then may."
  value       = google_storage_bucket.this.name

  depends_on = [google_storage_bucket_iam_member.access]
}
