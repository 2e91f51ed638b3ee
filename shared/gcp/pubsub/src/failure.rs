//! What a failed publish means to the caller.

use std::{error::Error as _, time::Duration};

use google_cloud_gax::error::{Error, rpc::Code};
use google_cloud_pubsub::error::PublishError;
use millstream_gcp_client::kind_of_status;
use millstream_ports::{ErrorKind, PortError};

use crate::topic::Topic;

/// A used-up publish quota is counted by the minute.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// The client's error, with what a person can do about it.
pub(crate) fn failure(topic: &Topic, error: PublishError) -> PortError {
    let kind = match &error {
        PublishError::Rpc(error) => kind(error),
        // An earlier message of the same run failed: that one's error is the one to act on.
        PublishError::OrderingKeyPaused => ErrorKind::Unavailable,
        // The process ends with the events not taken, and their cause is delivered again.
        _ => ErrorKind::Unavailable,
    };
    let Topic { project, id } = topic;
    let message = match kind {
        ErrorKind::NotFound => format!(
            "the topic {id} does not exist in the project {project}: create it with `gcloud pubsub topics create {id} \
             --project {project}`, or name another one in the settings"
        ),
        ErrorKind::Denied => format!(
            "publishing to the topic {id} of the project {project} is not allowed: grant this service account \
             roles/pubsub.publisher on it"
        ),
        ErrorKind::Quota { .. } => format!("the project {project} has used up its quota of publishing to Pub/Sub"),
        ErrorKind::Unavailable => format!("Pub/Sub did not take the events for the topic {id} in time"),
        _ => format!("Pub/Sub refused the events for the topic {id}: {error}"),
    };
    PortError::new(kind, message).caused_by(error)
}

fn kind(error: &Error) -> ErrorKind {
    if let Some(status) = error.status() {
        return match status.code {
            Code::NotFound => ErrorKind::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => ErrorKind::Denied,
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => ErrorKind::Invalid,
            Code::ResourceExhausted => ErrorKind::Quota { retry_after: QUOTA_PAUSE },
            Code::Aborted
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::Unknown => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
    }
    // Where the retries came to their end, the last try's error is the one to look at.
    if let Some(last) = error.source().and_then(|source| source.downcast_ref::<Error>()) {
        return kind(last);
    }
    if let Some(status) = error.http_status_code() {
        return kind_of_status(status);
    }
    let passing = error.is_exhausted() || error.is_timeout() || error.is_io() || error.is_connect();
    if passing || error.is_transport() || error.is_transient_and_before_rpc() {
        return ErrorKind::Unavailable;
    }
    if error.is_authentication() { ErrorKind::Denied } else { ErrorKind::Internal }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use google_cloud_gax::error::rpc::Status;

    use super::*;

    fn of(error: Error) -> PortError {
        let topic = Topic::new("p1", "millstream-events").unwrap();
        failure(&topic, PublishError::Rpc(Arc::new(error)))
    }

    fn refused(code: Code) -> Error {
        Error::service(Status::default().set_code(code).set_message("no"))
    }

    #[test]
    fn each_answer_of_the_service_is_of_the_kind_that_says_what_to_do() {
        for (code, kind) in [
            (Code::NotFound, ErrorKind::NotFound),
            (Code::PermissionDenied, ErrorKind::Denied),
            (Code::Unauthenticated, ErrorKind::Denied),
            (Code::InvalidArgument, ErrorKind::Invalid),
            (Code::ResourceExhausted, ErrorKind::Quota { retry_after: QUOTA_PAUSE }),
            (Code::Unavailable, ErrorKind::Unavailable),
            (Code::Internal, ErrorKind::Unavailable),
            (Code::DataLoss, ErrorKind::Internal),
        ] {
            assert_eq!(of(refused(code)).kind(), kind, "{code:?}");
            assert_eq!(of(Error::exhausted(refused(code))).kind(), kind, "{code:?} at the end of the retries");
        }
    }

    #[test]
    fn what_keeps_the_service_from_answering_passes() {
        for error in
            [Error::io("reset"), Error::timeout("30 s"), Error::exhausted("no time"), Error::connect("refused")]
        {
            assert_eq!(of(error).kind(), ErrorKind::Unavailable);
        }
        assert_eq!(of(Error::http(403, http::HeaderMap::new(), bytes::Bytes::new())).kind(), ErrorKind::Denied);
    }

    #[test]
    fn a_person_is_told_which_topic_and_which_role() {
        let missing = of(refused(Code::NotFound)).to_string();
        assert!(missing.contains("gcloud pubsub topics create millstream-events --project p1"), "{missing}");
        let denied = of(refused(Code::PermissionDenied)).to_string();
        assert!(denied.contains("roles/pubsub.publisher"), "{denied}");
    }
}
