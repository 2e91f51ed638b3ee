variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number: Pub/Sub's service agent is named by it."
  type        = string
}

variable "name" {
  description = "The subscription's name."
  type        = string
}

variable "topic" {
  description = "The topic, as `projects/P/topics/T`."
  type        = string
}

variable "filter" {
  description = "Which messages, in Pub/Sub's filter language; empty for all. Pub/Sub replaces the subscription to change it."
  type        = string
  default     = ""
}

variable "endpoint" {
  description = "The URL that is pushed to."
  type        = string
}

variable "audience" {
  description = "What the push's token says it is for; the receiver checks it."
  type        = string
}

variable "invoker" {
  description = "The service account whose token a push carries."
  type        = string
}

variable "dead_letter_topic" {
  description = "Where a message goes that could not be delivered, as `projects/P/topics/T`."
  type        = string
}

variable "max_delivery_attempts" {
  description = "Deliveries before a message is a dead letter: 5 to 100. With the back-off, 20 take more than two hours."
  type        = number
  default     = 20
}

variable "ack_deadline_seconds" {
  description = "Seconds one delivery may take: 10 to 600."
  type        = number
  default     = 120
}

variable "ordered" {
  description = "Whether messages of one ordering key are delivered in the order they were published."
  type        = bool
  default     = false
}

variable "labels" {
  description = "Labels of the subscription."
  type        = map(string)
  default     = {}
}
