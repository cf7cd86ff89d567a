//! An error with everything that led to it, for the operator.

use std::error::Error;

/// An error and its sources, outermost first. Each tells its own level only, so that none is said
/// twice.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let levels = std::iter::successors(Some(error), |&error| error.source());
    levels
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the table cannot be read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_level_is_told_once_outermost_first() {
        let error = Outer(std::io::Error::other("connection refused"));

        assert_eq!(
            chain(&error),
            "the table cannot be read: connection refused"
        );
    }
}
