//! The buckets, and whether BigQuery may read and write them from where it is.

use std::collections::BTreeMap;

use super::{Patient, Report, google::Api};

/// What the buckets say of themselves.
pub(super) struct Found {
    /// Where each bucket is that is there, by its role.
    pub(super) locations: BTreeMap<&'static str, String>,
    /// The project's number, by which Google's own accounts in it are named.
    pub(super) project_number: Option<String>,
}

pub(super) async fn examine(patient: &Patient<'_>, report: &mut Report) -> Found {
    let names = &patient.settings.buckets;
    let mut found = Found { locations: BTreeMap::new(), project_number: None };
    let all =
        [("landing", &names.landing), ("lake", &names.lake), ("ledger", &names.ledger), ("models", &names.models)];
    for (role, name) in all {
        let resource = format!("b/{name}?fields=name,location,projectNumber");
        let answer = patient.google.get(Api::Storage, &resource).await;
        let missing = || {
            let variable = format!("MILLSTREAM_BUCKETS__{}", role.to_uppercase());
            let todo = format!("terraform apply; if it has another name, set buckets.{role} or {variable}");
            (format!("there is no bucket gs://{name}"), todo)
        };
        let Some(bucket) = answer.or_tell(report, "bucket", role, missing) else { continue };
        let location = bucket["location"].as_str().unwrap_or_default().to_owned();
        report.ok("bucket", role, format!("gs://{name}"));
        if patient.google.is_emulated(Api::Storage) {
            // Every bucket of an emulator is in the same invented place.
            report.unchecked("region", format!("bucket {role}"), "an emulator is nowhere");
            continue;
        }
        if found.project_number.is_none() {
            found.project_number = bucket["projectNumber"].as_str().map(str::to_owned);
        }
        let data = &patient.gcp.location;
        if reaches(data, &location) {
            report.ok("region", format!("bucket {role}"), format!("{location}; BigQuery is in {data}"));
        } else {
            let todo =
                "a bucket cannot be moved: set gcp.location to where it is, or make another bucket in data_location";
            let detail = format!("gs://{name} is in {location} and BigQuery in {data}: it cannot load from there");
            report.broken("region", format!("bucket {role}"), detail, todo);
        }
        found.locations.insert(role, location);
    }
    found
}

/// Whether what is in `data`, a region or a multi-region, works with what is in `other`: in the same place, or one in the other.
pub(super) fn reaches(data: &str, other: &str) -> bool {
    let (data, other) = (data.to_uppercase(), other.to_uppercase());
    let within = |wide: &str, region: &str| match wide {
        "US" => region.starts_with("US-"),
        "EU" => region.starts_with("EUROPE-"),
        _ => false,
    };
    // BigQuery in the US reads and writes buckets of every region.
    data == other || data == "US" || within(&data, &other) || within(&other, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_goes_with_itself_and_with_the_multi_region_around_it() {
        for (data, other) in
            [("EU", "EUROPE-WEST4"), ("europe-west4", "EUROPE-WEST4"), ("europe-west4", "EU"), ("US", "ASIA")]
        {
            assert!(reaches(data, other), "{data} {other}");
        }
        for (data, other) in [("EU", "US-EAST1"), ("europe-west4", "EUROPE-WEST1"), ("us-east1", "EU")] {
            assert!(!reaches(data, other), "{data} {other}");
        }
    }
}
