# What no metric of Google's counts, counted from the logs.
resource "google_logging_metric" "steps_failed" {
  project     = var.project
  name        = "millstream/steps_failed"
  description = "Steps that cannot be done as they stand: each needs a person, or a change."
  filter      = "resource.type=\"cloud_run_revision\" AND severity=ERROR AND jsonPayload.message=\"step failed\""

  label_extractors = {
    function = "EXTRACT(resource.labels.service_name)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "function"
      value_type  = "STRING"
      description = "The function that said so."
    }
  }
}

resource "google_logging_metric" "sweeps" {
  project     = var.project
  name        = "millstream/sweeps"
  description = "Sweeps that were answered."
  filter      = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${var.sweep_job}\" AND jsonPayload.\"@type\"=\"type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished\" AND severity<ERROR"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

# What serve-model answers on Vertex AI: a canary is judged by the mean, version against version. The name has no slash, since
# promote-model asks for it.
resource "google_logging_metric" "prediction_score" {
  project         = var.project
  name            = "millstream_prediction_score"
  description     = "Mean scores of predictions, once a second and replica at most."
  filter          = "resource.type=\"aiplatform.googleapis.com/Endpoint\" AND jsonPayload.message=\"prediction score\""
  value_extractor = "EXTRACT(jsonPayload.score)"

  label_extractors = {
    model   = "EXTRACT(jsonPayload.model)"
    version = "EXTRACT(jsonPayload.version)"
  }

  # Scores of classes lie between 0 and 1. A regression's may lie anywhere: the mean is kept beside the buckets.
  bucket_options {
    linear_buckets {
      num_finite_buckets = 20
      width              = 0.05
      offset             = 0
    }
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "1"

    labels {
      key         = "model"
      value_type  = "STRING"
      description = "The model."
    }

    labels {
      key         = "version"
      value_type  = "STRING"
      description = "Its version."
    }
  }
}

# A new log-based metric is known to Cloud Monitoring some seconds after it is made, and an alert on one that is not known is
# refused.
resource "terraform_data" "metrics_are_known" {
  input = [google_logging_metric.steps_failed.id, google_logging_metric.sweeps.id]

  provisioner "local-exec" {
    command = "sleep 30"
  }
}
