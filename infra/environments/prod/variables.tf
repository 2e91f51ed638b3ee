variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where everything is."
  type        = string
}

variable "image" {
  description = "The image that holds `millstream`, by digest; null before the first one is built."
  type        = string
  default     = null
}

variable "serving_image" {
  description = "The image of `serve-model`, by digest; null where models are not served on Vertex AI."
  type        = string
  default     = null
}

variable "alert_emails" {
  description = "Who is told when an alert fires."
  type        = set(string)
}

variable "budget" {
  description = "What a month may cost before people are told; null for no budget."
  type        = object({ billing_account = string, monthly = number, currency = optional(string, "USD") })
  default     = null
}

variable "schedules" {
  description = "Cron expressions in UTC by pipeline, or by pipeline/source."
  type        = map(string)
  default     = {}
}

variable "message_topics" {
  description = "Topics whose messages start pipelines, and who publishes."
  type        = map(object({ publishers = optional(list(string), []) }))
  default     = {}
}

variable "secrets" {
  description = "Secrets, and the functions that may read each."
  type        = map(set(string))
  default     = {}
}

variable "people" {
  description = "Who uploads, queries, asks for runs and deploys pipelines, as IAM names them."
  type = object({
    uploaders          = optional(list(string), [])
    analysts           = optional(list(string), [])
    operators          = optional(list(string), [])
    pipeline_deployers = optional(list(string), [])
  })
  default = {}
}

variable "kms_key" {
  description = "A Cloud KMS key that encrypts everything; null for Google's own."
  type        = string
  default     = null
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

variable "training_cluster" {
  description = "Whether there is a GKE cluster for Kubeflow and Ray, in which zone or region, and with which GPU and TPU pools: see modules/cluster."
  type = object({
    enabled         = optional(bool, false)
    location        = optional(string)
    release_channel = optional(string, "STABLE")
    gpu_pools       = optional(any, { l4 = { provisioning = "spot", max_nodes = 4 } })
    tpu_pools       = optional(any, {})
  })
  default = {}
}

variable "function_networks" {
  description = "Networks in which functions reach private addresses, by function: a database's, for extract-source."
  type        = map(object({ network = string, subnetwork = string }))
  default     = {}
}
