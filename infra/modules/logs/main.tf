# Warnings and errors of the functions, and who touched the data: kept longer than the 30 days of Cloud Logging's own bucket,
# where SQL can be asked of them.
module "dataset" {
  source = "../dataset"

  project                   = var.project
  name                      = var.dataset
  description               = "Warnings, errors and audit logs of Millstream."
  location                  = var.location
  labels                    = var.labels
  partition_expiration_days = var.days
  force_destroy             = var.force_destroy
  kms_key                   = var.kms_key
  access = {
    sink = {
      role   = "roles/bigquery.dataEditor"
      member = google_logging_project_sink.this.writer_identity
    }
  }
}

resource "google_logging_project_sink" "this" {
  project                = var.project
  name                   = "millstream-${var.dataset}"
  description            = "Millstream's warnings, errors and audit logs."
  destination            = "bigquery.googleapis.com/projects/${var.project}/datasets/${var.dataset}"
  unique_writer_identity = true
  filter                 = <<-EOT
    (resource.type="cloud_run_revision" AND resource.labels.service_name=(${join(" OR ", [for name in var.functions : "\"${name}\""])}) AND severity>=WARNING)
    OR (resource.type="cloud_scheduler_job" AND severity>=WARNING)
    OR logName:"cloudaudit.googleapis.com"
  EOT

  bigquery_options {
    use_partitioned_tables = true
  }
}

# Reads and writes of data are logged only where that is asked for.
resource "google_project_iam_audit_config" "data_access" {
  for_each = var.audited_services

  project = var.project
  service = each.value

  audit_log_config {
    log_type = "DATA_WRITE"
  }

  audit_log_config {
    log_type = "DATA_READ"
  }
}
