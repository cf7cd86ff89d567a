//! Why nothing could be measured.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0} cannot be run: {1}")]
    Program(PathBuf, io::Error),
    #[error("{0} failed: {1}")]
    Failed(PathBuf, String),
    #[error("{0} is not as expected: {1}")]
    Unreadable(String, String),
    #[error("the network: {0}")]
    Network(#[from] io::Error),
    #[error("a request failed: {0}")]
    Request(#[from] reqwest::Error),
    #[error("{0} was answered with {1}")]
    Answer(String, String),
    #[error("no answer within {0} seconds: {1}")]
    Late(u64, String),
}

/// Reads a text file.
pub(crate) fn read(file: impl AsRef<Path>) -> Result<String, BenchError> {
    let file = file.as_ref();
    std::fs::read_to_string(file).map_err(|error| BenchError::File(file.to_owned(), error))
}
