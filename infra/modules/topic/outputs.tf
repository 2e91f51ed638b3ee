output "id" {
  description = "The topic, as `projects/P/topics/T`, known once its grants are there."
  value       = google_pubsub_topic.this.id

  depends_on = [google_pubsub_topic_iam_member.access]
}

output "name" {
  description = "The topic's name, known once its grants are there."
  value       = google_pubsub_topic.this.name

  depends_on = [google_pubsub_topic_iam_member.access]
}

output "dead_letter_topic" {
  description = "The topic that takes what could not be delivered, as `projects/P/topics/T`."
  value       = google_pubsub_topic.dead_letters.id

  depends_on = [google_pubsub_topic_iam_member.forward_dead_letters]
}

output "dead_letter_subscription" {
  description = "The pull subscription that keeps dead letters."
  value       = google_pubsub_subscription.dead_letters.name
}
