variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the job runs."
  type        = string
}

variable "name" {
  description = "The job's name."
  type        = string
}

variable "description" {
  description = "What it is for."
  type        = string
}

variable "cron" {
  description = "When, as cron writes it: `0 10 * * *`."
  type        = string
}

variable "time_zone" {
  description = "The time zone of `cron`."
  type        = string
  default     = "Etc/UTC"
}

variable "event_type" {
  description = "The CloudEvents type of what is sent."
  type        = string
}

variable "data" {
  description = "The event's data."
  type        = map(string)
  default     = {}
}

variable "function" {
  description = "The function that is told."
  type        = object({ uri = string, audience = string })
}

variable "invoker" {
  description = "The service account whose token a tick carries."
  type        = string
}

variable "retries" {
  description = "Tries after a failed one: 0 to 5."
  type        = number
  default     = 5
}

variable "attempt_deadline_seconds" {
  description = "Seconds one try may take: 15 to 1800."
  type        = number
  default     = 120
}

variable "paused" {
  description = "Whether no tick is sent."
  type        = bool
  default     = false
}
