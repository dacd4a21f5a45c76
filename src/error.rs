//! What can go wrong: one table ([`Status`]) and the error that carries a row of it.
#![forbid(unsafe_code)]

mod table;

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::fmt;

use crate::key_use::KeyUse;
pub use table::Status;

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A status and a message for people. The message never holds key material or context values.
#[derive(Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    message: Cow<'static, str>,
    /// That a change was made all the same, and on what, as far as that is known.
    made: Option<Option<KeyUse>>,
}

impl Error {
    /// The status with the table's own text.
    pub const fn new(status: Status) -> Self {
        Error {
            status,
            message: Cow::Borrowed(status.text()),
            made: None,
        }
    }

    /// The status with a fixed message that says more.
    pub const fn constant(status: Status, message: &'static str) -> Self {
        Error {
            status,
            message: Cow::Borrowed(message),
            made: None,
        }
    }

    /// The status with a message that says more.
    pub fn with(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Error {
            status,
            message: message.into(),
            made: None,
        }
    }

    /// What went wrong only after a change was made: whoever tries again makes it twice.
    pub fn after_the_change(self, but: &str) -> Self {
        Error {
            message: after_the_change(but, &self.message).into(),
            made: Some(None),
            ..self
        }
    }

    /// With the CMK and version that the change made or was made on.
    pub fn made_on(self, used: Option<KeyUse>) -> Self {
        Error {
            made: self.made.map(|known| known.or(used)),
            ..self
        }
    }

    /// A parameter of the API outside its range; `why` may be empty.
    pub fn invalid_parameter(name: &str, why: &str) -> Self {
        let separator = if why.is_empty() { "" } else { " " };
        Self::with(
            Status::InvalidParameter,
            format!("The specified parameter \"{name}\" is not valid.{separator}{why}"),
        )
    }

    /// A required parameter of the API that is NULL, empty or absent.
    pub fn missing_parameter(name: &str) -> Self {
        Self::with(
            Status::MissingParameter,
            format!("The parameter \"{name}\" is needed but not provided."),
        )
    }

    /// An option whose value cannot be used.
    pub fn invalid_option(name: &str, why: impl fmt::Display) -> Self {
        Self::with(
            Status::InvalidOption,
            format!("The option \"{name}\" is not valid: {why}."),
        )
    }

    /// A pointer or length that cannot be used.
    pub fn invalid_argument(why: &'static str) -> Self {
        Self::with(Status::InvalidArgument, why)
    }

    /// Which row of the table.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether a change was made all the same.
    pub fn is_after_the_change(&self) -> bool {
        self.made.is_some()
    }

    /// The CMK and version that such a change made or was made on.
    pub fn made(&self) -> Option<KeyUse> {
        self.made.flatten()
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// How every error begins that came up only after a change was made.
pub fn after_the_change(but: &str, why: &str) -> String {
    format!("The change was made, but {but}. {why}")
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "KMS_ERR_{}: {}",
            self.status.name(),
            self.message
        )
    }
}

impl std::error::Error for Error {}

impl From<TryReserveError> for Error {
    fn from(_: TryReserveError) -> Self {
        Error::new(Status::NoMemory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_rise_and_names_and_texts_differ() {
        let numbers: Vec<i32> = Status::ALL.iter().map(|s| s.number()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(numbers[0] > 0);
        let names: BTreeSet<_> = Status::ALL.iter().map(|s| s.name()).collect();
        let texts: BTreeSet<_> = Status::ALL.iter().map(|s| s.text()).collect();
        assert_eq!(names.len(), Status::ALL.len());
        assert_eq!(texts.len(), Status::ALL.len());
    }

    #[test]
    fn every_row_is_complete() {
        for status in Status::ALL {
            assert!(!status.code().is_empty());
            assert!((400..=599).contains(&status.http()), "{status:?}");
            assert_eq!(
                status.c_name().to_str().unwrap(),
                format!("KMS_ERR_{}", status.name())
            );
            assert_eq!(status.c_text().to_str().unwrap(), status.text());
            assert_eq!(Status::from_number(status.number()), Some(*status));
        }
        assert_eq!(Status::from_number(0), None);
    }
}
