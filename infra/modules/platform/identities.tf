# Who is who. Each function runs as an account of its own, with the roles it declares and no other.
resource "google_service_account" "function" {
  for_each = local.functions

  project      = module.services.project
  account_id   = "millstream-${each.key}"
  display_name = "Millstream's function ${each.key}"
}

# Whose token a push of Pub/Sub or Eventarc carries. It may call the functions and nothing else.
resource "google_service_account" "push" {
  project      = module.services.project
  account_id   = "millstream-push"
  display_name = "Delivers events to Millstream's functions"
}

# Whose token a tick of Cloud Scheduler carries. It may call plan-run and nothing else.
resource "google_service_account" "scheduler" {
  project      = module.services.project
  account_id   = "millstream-scheduler"
  display_name = "Ticks of Millstream's schedules"
}

# What a training program is, on Vertex AI and in the cluster alike. User code runs as it: it reads and writes models, where
# its training data lies too.
resource "google_service_account" "training" {
  project      = module.services.project
  account_id   = "millstream-training"
  display_name = "Millstream's training programs"
}

resource "google_service_account_iam_member" "access" {
  for_each = local.access["account:training"]

  service_account_id = google_service_account.training.name
  role               = each.value.role
  member             = each.value.member
}

resource "google_project_iam_member" "access" {
  for_each = local.access["project"]

  project = module.services.project
  role    = each.value.role
  member  = each.value.member
}
