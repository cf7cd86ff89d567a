//! How large the functions are that `make package` built.

use std::path::Path;

use crate::error::{BenchError, read};

/// One function's archive.
#[derive(Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) function: String,
    /// Of the zip archive, in units of a million bytes.
    pub(crate) megabytes: f64,
}

/// Reads what `make package` printed.
fn read_from(printed: &str) -> Vec<Size> {
    let lines = printed.lines();
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [function, megabytes, "MB", "zipped"] => Some(Size {
                    function: (*function).to_owned(),
                    megabytes: megabytes.parse().ok()?,
                }),
                _ => None,
            }
        })
        .collect()
}

pub(crate) fn read_sizes(file: &Path) -> Result<Vec<Size>, BenchError> {
    let sizes = read_from(&read(file)?);
    if sizes.is_empty() {
        let what = "it tells the size of no function".to_owned();
        Err(BenchError::Unreadable(file.display().to_string(), what))
    } else {
        Ok(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_from_the_line_that_make_package_prints() {
        let printed =
            "Build Succeeded\nAuthFunction                4.25 MB zipped\n0.12 MB zipped\n";

        let expected = Size {
            function: "AuthFunction".to_owned(),
            megabytes: 4.25,
        };
        assert_eq!(read_from(printed), [expected]);
    }
}
