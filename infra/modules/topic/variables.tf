variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number: Pub/Sub's service agent is named by it."
  type        = string
}

variable "name" {
  description = "The topic's name. Its dead letters go to `NAME-dead-letters`."
  type        = string
}

variable "region" {
  description = "The one region that may store messages; null for any that Pub/Sub chooses."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the topics and the subscription."
  type        = map(string)
  default     = {}
}

variable "access" {
  description = "Who may do what, by a name of the grant that stays the same."
  type        = map(object({ role = string, member = string }))
  default     = {}
}

variable "retention" {
  description = "How long published messages can be delivered again, as `86400s`; null for not at all. It is paid for."
  type        = string
  default     = null
}

variable "kms_key" {
  description = "The Cloud KMS key that encrypts messages; null for Google's own."
  type        = string
  default     = null
}
