output "subscription" {
  description = "The push subscription's name; null where Eventarc owns it."
  value       = one(module.subscription[*].name)
}

output "dead_letter_subscription" {
  description = "The pull subscription that keeps dead letters; null where Eventarc owns the topic."
  value       = one(module.topic[*].dead_letter_subscription)
}
