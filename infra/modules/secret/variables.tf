variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where the value is kept."
  type        = string
}

variable "name" {
  description = "The secret's name: `crm` for a pipeline's `secret:crm`."
  type        = string
}

variable "readers" {
  description = "Who may read the value, by a name of the grant that stays the same."
  type        = map(string)
  default     = {}
}

variable "labels" {
  description = "Labels of the secret."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the secret."
  type        = bool
  default     = true
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts the value; null for Google's own."
  type        = string
  default     = null
}
