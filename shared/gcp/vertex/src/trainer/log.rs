//! A job's log, from Cloud Logging: the newest entries first, until there is enough.

use chrono::SecondsFormat;
use millstream_ports::PortResult;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::CustomJob;
use crate::api::{Api, Call, Host};

/// Entries a page, Cloud Logging's most.
const PAGE: u32 = 1_000;

/// The most pages that are read.
const PAGES: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    entries: Vec<Entry>,
    next_page_token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    text_payload: Option<String>,
    json_payload: Value,
}

impl Entry {
    /// Its line. Programs that write JSON have their words in `message`.
    fn line(&self) -> String {
        match (&self.text_payload, self.json_payload.get("message").and_then(Value::as_str)) {
            (Some(text), _) => text.trim_end_matches('\n').to_owned(),
            (None, Some(message)) => message.trim_end_matches('\n').to_owned(),
            (None, None) if self.json_payload.is_null() => String::new(),
            (None, None) => self.json_payload.to_string(),
        }
    }
}

/// The last `limit` bytes of what a job has written.
pub(super) async fn tail(api: &Api, job: &str, found: &CustomJob, limit: usize) -> PortResult<String> {
    let doing = format!("read the log of the custom job {job}");
    let mut filter = format!("resource.type=\"ml_job\" AND resource.labels.job_id=\"{}\"", found.id());
    if let Some(created) = found.create_time {
        // Without a time, Cloud Logging looks at the last day only.
        filter.push_str(&format!(" AND timestamp>=\"{}\"", created.to_rfc3339_opts(SecondsFormat::Secs, true)));
    }
    let (mut lines, mut bytes, mut token) = (Vec::new(), 0, String::new());
    for _ in 0..PAGES {
        let mut body = json!({
            "resourceNames": [format!("projects/{}", api.project())],
            "filter": filter,
            "orderBy": "timestamp desc",
            "pageSize": PAGE,
        });
        if !token.is_empty() {
            body["pageToken"] = json!(token);
        }
        let page: Page = api.call(&doing, Call::post("entries:list", body).to(Host::Logging)).await?;
        for line in page.entries.iter().map(Entry::line) {
            bytes += line.len() + 1;
            lines.push(line);
        }
        if bytes > limit || page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    lines.reverse();
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(cut(text, limit))
}

/// The last `limit` bytes, a character more or less than whole left out.
fn cut(text: String, limit: usize) -> String {
    let mut from = text.len().saturating_sub(limit);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_between_characters() {
        assert_eq!(cut("abc".to_owned(), 5), "abc");
        assert_eq!(cut("aé".to_owned(), 2), "é");
        assert_eq!(cut("aé".to_owned(), 1), "");
    }

    #[test]
    fn an_entrys_line_is_its_text_or_its_message() {
        let line = |entry: Value| serde_json::from_value::<Entry>(entry).unwrap().line();
        assert_eq!(line(json!({"textPayload": "started\n"})), "started");
        assert_eq!(line(json!({"jsonPayload": {"message": "epoch 1", "levelname": "INFO"}})), "epoch 1");
        assert_eq!(line(json!({"jsonPayload": {"loss": 0.5}})), "{\"loss\":0.5}");
    }
}
