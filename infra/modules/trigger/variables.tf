variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number: service agents are named by it."
  type        = string
}

variable "region" {
  description = "Where the function runs."
  type        = string
}

variable "name" {
  description = "The trigger's name, and its topic's."
  type        = string
}

variable "by" {
  description = "`notification` (Cloud Storage to Pub/Sub) or `eventarc`."
  type        = string
  default     = "notification"

  validation {
    condition     = contains(["notification", "eventarc"], var.by)
    error_message = "A trigger is by \"notification\" or by \"eventarc\"."
  }
}

variable "bucket" {
  description = "The bucket whose finished uploads are told of."
  type        = string
}

variable "bucket_location" {
  description = "The bucket's location."
  type        = string
}

variable "message_region" {
  description = "The one region that may store notifications; null for any that Pub/Sub chooses."
  type        = string
  default     = null
}

variable "function" {
  description = "The function that is told."
  type        = object({ name = string, uri = string, audience = string })
}

variable "invoker" {
  description = "The service account whose token a delivery carries."
  type        = string
}

variable "labels" {
  description = "Labels of what is made."
  type        = map(string)
  default     = {}
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts notifications; null for Google's own."
  type        = string
  default     = null
}
