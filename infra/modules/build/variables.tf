variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where sources and the signing key are kept."
  type        = string
}

variable "labels" {
  description = "Labels of what is made."
  type        = map(string)
  default     = {}
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts sources; null for Google's own."
  type        = string
  default     = null
}
