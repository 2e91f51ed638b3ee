output "name" {
  description = "The dataset's id, known once its grants are there."
  value       = google_bigquery_dataset.this.dataset_id

  depends_on = [google_bigquery_dataset_iam_member.access]
}
