//! A [`Precondition`] as the number that Cloud Storage compares with an object's generation.

use millstream_events::names::ObjectPath;
use millstream_ports::{PortError, PortResult, Precondition};

/// The value of `ifGenerationMatch`; 0 stands for "no object".
pub(crate) fn if_generation_match(path: &ObjectPath, when: Precondition) -> PortResult<Option<i64>> {
    match when {
        Precondition::None => Ok(None),
        Precondition::Absent => Ok(Some(0)),
        Precondition::Generation(generation) => match existing(generation) {
            Some(generation) => Ok(Some(generation)),
            None => Err(PortError::conflict(format!("{path} cannot be in generation {generation}"))),
        },
    }
}

/// A generation that an object can have: a given 0 must not turn into "no object" or "the latest one".
pub(crate) fn existing(generation: u64) -> Option<i64> {
    i64::try_from(generation).ok().filter(|generation| *generation > 0)
}

#[cfg(test)]
mod tests {
    use millstream_ports::ErrorKind;

    use super::*;

    #[test]
    fn a_generation_that_no_object_has_is_never_sent() {
        let path = "gs://lake/a".parse().unwrap();
        assert_eq!(if_generation_match(&path, Precondition::None).unwrap(), None);
        assert_eq!(if_generation_match(&path, Precondition::Absent).unwrap(), Some(0));
        assert_eq!(if_generation_match(&path, Precondition::Generation(7)).unwrap(), Some(7));
        for generation in [0, u64::MAX] {
            let error = if_generation_match(&path, Precondition::Generation(generation)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
    }
}
