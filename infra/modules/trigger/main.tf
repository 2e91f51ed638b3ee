locals {
  notification = var.by == "notification"
  eventarc     = var.by == "eventarc"
}

data "google_storage_project_service_account" "this" {
  project = var.project
}

# By notification: Cloud Storage publishes each finished upload on a topic of its own, which is pushed to the function. It
# works for a bucket of any location, and its dead letters are the platform's.
module "topic" {
  source = "../topic"
  count  = local.notification ? 1 : 0

  project        = var.project
  project_number = var.project_number
  name           = var.name
  region         = var.message_region
  labels         = var.labels
  kms_key        = var.kms_key
  access = {
    storage = {
      role   = "roles/pubsub.publisher"
      member = data.google_storage_project_service_account.this.member
    }
  }
}

resource "google_storage_notification" "finalized" {
  count = local.notification ? 1 : 0

  bucket         = var.bucket
  topic          = module.topic[0].id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE"]
}

module "subscription" {
  source = "../push-subscription"
  count  = local.notification ? 1 : 0

  project           = var.project
  project_number    = var.project_number
  name              = "${var.name}-${var.function.name}"
  topic             = module.topic[0].id
  endpoint          = "${var.function.uri}/"
  audience          = var.function.audience
  invoker           = var.invoker
  dead_letter_topic = module.topic[0].dead_letter_topic
  labels            = var.labels
}

# By Eventarc: a CloudEvent in the place of a notification. The trigger has to be where the bucket is, and Eventarc makes and
# owns the topic in between.
resource "google_project_iam_member" "storage_publishes" {
  count = local.eventarc ? 1 : 0

  project = var.project
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.this.member
}

resource "google_project_iam_member" "invoker_receives" {
  count = local.eventarc ? 1 : 0

  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = "serviceAccount:${var.invoker}"
}

resource "google_eventarc_trigger" "finalized" {
  count = local.eventarc ? 1 : 0

  project         = var.project
  name            = var.name
  location        = lower(var.bucket_location)
  service_account = var.invoker
  labels          = var.labels

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }

  matching_criteria {
    attribute = "bucket"
    value     = var.bucket
  }

  destination {
    cloud_run_service {
      service = var.function.name
      region  = var.region
      path    = "/"
    }
  }

  depends_on = [
    google_project_iam_member.storage_publishes,
    google_project_iam_member.invoker_receives,
  ]
}
