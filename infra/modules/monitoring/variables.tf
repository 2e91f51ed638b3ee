variable "project" {
  description = "The project's id."
  type        = string
}

variable "functions" {
  description = "The Cloud Run services that are watched."
  type        = list(string)
}

variable "subscriptions" {
  description = "The push subscriptions that are watched."
  type        = list(string)
}

variable "dead_letter_subscriptions" {
  description = "The pull subscriptions that keep dead letters."
  type        = list(string)
}

variable "sweep_job" {
  description = "The Cloud Scheduler job that sweeps."
  type        = string
}

variable "emails" {
  description = "Who is told."
  type        = set(string)
  default     = []
}

variable "limits" {
  description = "What is too much. Refused pushes and server errors are counted over five minutes and a function."
  type = object({
    refused_pushes         = optional(number, 10)
    oldest_message_seconds = optional(number, 900)
    server_errors          = optional(number, 5)
    scanned_gib_per_day    = optional(number, 500)
  })
  default = {}
}

variable "guide" {
  description = "Where the guide to the alerts is read."
  type        = string
  default     = "infra/guides/alerts.md"
}

variable "labels" {
  description = "Labels of the alert policies."
  type        = map(string)
  default     = {}
}
