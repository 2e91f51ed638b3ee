locals {
  # Cloud Run's other URL of a service, which is known before the service is. Naming it as an audience lets the service be
  # told of its own audience without a cycle.
  audience = "https://${var.name}-${var.project_number}.${var.region}.run.app"

  env = merge(var.env, {
    MILLSTREAM_AUTH__AUDIENCES = jsonencode(concat([local.audience], var.additional_audiences))
    MILLSTREAM_AUTH__ACCOUNTS  = jsonencode(sort(values(var.invokers)))
  })
}

resource "google_cloud_run_v2_service" "this" {
  project  = var.project
  name     = var.name
  location = var.region
  labels   = var.labels

  # Pub/Sub, Eventarc and Cloud Scheduler of the same project count as internal on a run.app URL.
  ingress              = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  invoker_iam_disabled = false
  custom_audiences     = [local.audience]
  deletion_protection  = var.deletion_protection

  scaling {
    min_instance_count = 0
  }

  template {
    service_account                  = var.service_account
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "${var.size.timeout_seconds}s"
    max_instance_request_concurrency = var.size.concurrency
    encryption_key                   = var.kms_key
    labels                           = var.labels

    scaling {
      min_instance_count = 0
      max_instance_count = var.size.max_instances
    }

    # Straight into the network where a database has a private address; everything else goes out as before.
    dynamic "vpc_access" {
      for_each = var.network == null ? [] : [var.network]
      content {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }

    containers {
      image = var.image
      args  = ["serve", var.name]

      resources {
        # Paid for while a request is at work; between requests too where the function goes on then.
        cpu_idle          = !var.size.between_requests
        startup_cpu_boost = true
        limits = {
          cpu    = var.size.cpu
          memory = var.size.memory
        }
      }

      dynamic "env" {
        for_each = local.env
        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 60
        http_get {
          path = "/readyz"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/livez"
        }
      }

      dynamic "volume_mounts" {
        for_each = var.bucket_volumes
        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.path
        }
      }
    }

    dynamic "volumes" {
      for_each = var.bucket_volumes
      content {
        name = volumes.key
        gcs {
          bucket    = volumes.value.bucket
          read_only = true
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length("${var.name}-${var.project_number}") <= 63
      error_message = "The service's name is too long for the URL that is made of it and the project's number."
    }

    # gcloud and the console leave their mark on what they touch.
    ignore_changes = [client, client_version]
  }
}

# Who may call it; nobody else can. Cloud Run checks this, and the function checks the token once more.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project
  location = google_cloud_run_v2_service.this.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${each.value}"
}
