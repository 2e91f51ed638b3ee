variable "project" {
  description = "The project's id. One project holds one environment."
  type        = string
}

variable "environment" {
  description = "`dev` or `prod`."
  type        = string

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "An environment is \"dev\" or \"prod\"."
  }
}

variable "region" {
  description = "Where functions, messages and schedules are."
  type        = string
}

variable "data_location" {
  description = "Where buckets and datasets are: a region, `EU` or `US`; null for `region`. It cannot be changed later."
  type        = string
  default     = null
}

variable "bucket_prefix" {
  description = "What the buckets' names begin with; null for the project's id."
  type        = string
  default     = null
}

variable "image" {
  description = "The image that holds `millstream`, by digest; null before the first one is built, and then there are no functions yet."
  type        = string
  default     = null

  validation {
    condition     = var.image == null ? true : can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest, as `NAME@sha256:..`: a tag can come to mean another image."
  }
}

variable "serving_image" {
  description = "The image of `serve-model`, by digest; models are served on Vertex AI where it is named, and kept as files where not."
  type        = string
  default     = null

  validation {
    condition     = var.serving_image == null ? true : can(regex("@sha256:[0-9a-f]{64}$", var.serving_image))
    error_message = "Name the image by its digest, as `NAME@sha256:..`: a tag can come to mean another image."
  }
}

variable "protected" {
  description = "Whether data, services and the cluster are kept from `terraform destroy`."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of everything that takes labels."
  type        = map(string)
  default     = {}
}

variable "kms_key" {
  description = "A Cloud KMS key in `data_location` that encrypts everything; null for Google's own."
  type        = string
  default     = null
}

variable "keep_messages_in_region" {
  description = "Whether Pub/Sub may store messages in `region` only."
  type        = bool
  default     = true
}

# Data.

variable "delete_after_days" {
  description = "Days after which objects are deleted, by bucket: `{ landing = 365 }`. Never the ledger's: it is what is known."
  type        = map(number)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.delete_after_days), ["landing", "lake", "models"])) == 0
    error_message = "Objects can be deleted by age in landing, lake and models."
  }
}

variable "soft_delete_days" {
  description = "Days a deleted object can be restored: 0, or 7 to 90."
  type        = number
  default     = 7
}

variable "table_expiration_days" {
  description = "Days a table lives unless it says otherwise, by dataset: `{ staging = 60 }`."
  type        = map(number)
  default     = {}
}

variable "partition_expiration_days" {
  description = "Days a partition lives unless its table says otherwise, by dataset."
  type        = map(number)
  default     = {}
}

# Events.

variable "uploads_by" {
  description = "How plan-run hears of uploads: `notification` or `eventarc`."
  type        = string
  default     = "notification"
}

variable "plan_run_audiences" {
  description = "Further audiences plan-run accepts. With `eventarc`, its own URI: the output `functions` has it after the first apply."
  type        = list(string)
  default     = []
}

variable "message_topics" {
  description = "Topics whose messages start pipelines, and who publishes: `{ orders = { publishers = [\"serviceAccount:..\"] } }`."
  type        = map(object({ publishers = optional(list(string), []) }))
  default     = {}
}

variable "schedules" {
  description = "Cron expressions in UTC by pipeline, or by pipeline and source: `{ fraud = \"0 10 * * *\", \"shop/customers\" = \"0 * * * *\" }`."
  type        = map(string)
  default     = {}
}

variable "sweep_cron" {
  description = "When plan-run looks at everything that is open."
  type        = string
  default     = "* * * * *"
}

variable "function_env" {
  description = "Further environment variables, by function."
  type        = map(map(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.function_env), keys(jsondecode(file("${path.module}/../../functions.json")).functions))) == 0
    error_message = "function_env names a function that there is not."
  }
}

variable "function_networks" {
  description = "Networks in which functions reach private addresses, by function: `{ extract-source = { network = \"..\", subnetwork = \"..\" } }`."
  type        = map(object({ network = string, subnetwork = string }))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.function_networks), keys(jsondecode(file("${path.module}/../../functions.json")).functions))) == 0
    error_message = "function_networks names a function that there is not."
  }
}

variable "secrets" {
  description = "Secrets, and the functions that may read each: `{ crm = [\"extract-source\"] }`. Values are added by hand."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = length(setsubtract(flatten([for readers in values(var.secrets) : tolist(readers)]), keys(jsondecode(file("${path.module}/../../functions.json")).functions))) == 0
    error_message = "secrets names a function that there is not."
  }
}

# People.

variable "uploaders" {
  description = "Who may put files into the landing bucket: `group:..`, `user:..`, `serviceAccount:..`."
  type        = list(string)
  default     = []
}

variable "analysts" {
  description = "Who may query the production dataset."
  type        = list(string)
  default     = []
}

variable "operators" {
  description = "Who may ask for runs and retries: they publish on the events topic."
  type        = list(string)
  default     = []
}

variable "pipeline_deployers" {
  description = "Who may change the pipeline files: your CI's account."
  type        = list(string)
  default     = []
}

# Watching.

variable "alert_emails" {
  description = "Who is told when an alert fires."
  type        = set(string)
  default     = []
}

variable "alert_limits" {
  description = "What is too much; see modules/monitoring."
  type = object({
    refused_pushes         = optional(number)
    oldest_message_seconds = optional(number)
    server_errors          = optional(number)
    scanned_gib_per_day    = optional(number)
  })
  default = {}
}

variable "alert_guide" {
  description = "Where your people read infra/guides/alerts.md."
  type        = string
  default     = "infra/guides/alerts.md"
}

variable "log_days" {
  description = "Days that warnings, errors and audit logs are kept."
  type        = number
  default     = 180
}

variable "audited_services" {
  description = "Services whose reads and writes of data are logged."
  type        = set(string)
  default     = []
}

variable "budget" {
  description = "What a month may cost before people are told; null for no budget."
  type        = object({ billing_account = string, monthly = number, currency = optional(string, "USD") })
  default     = null
}

# Training.

variable "training_cluster" {
  description = "A GKE cluster for Kubeflow and Ray; see modules/cluster for its pools."
  type = object({
    enabled         = optional(bool, false)
    location        = optional(string)
    release_channel = optional(string, "REGULAR")
    system_pool = optional(object({
      machine_type = optional(string, "e2-standard-2")
      max_nodes    = optional(number, 3)
      zones        = optional(list(string))
    }), {})
    gpu_pools = optional(map(object({
      accelerator   = optional(string, "nvidia-l4")
      count         = optional(number, 1)
      machine_type  = optional(string)
      max_nodes     = optional(number, 2)
      provisioning  = optional(string, "spot")
      max_run_hours = optional(number, 168)
      zones         = optional(list(string))
      disk_gb       = optional(number, 200)
      disk_type     = optional(string, "pd-balanced")
      driver        = optional(string, "DEFAULT")
    })), { l4 = {} })
    tpu_pools = optional(map(object({
      machine_type = string
      topology     = optional(string)
      max_nodes    = optional(number, 1)
      spot         = optional(bool, true)
      zones        = optional(list(string))
    })), {})
  })
  default = {}
}
