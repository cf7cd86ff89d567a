//! `/api/v1/keys/*`: keys that others were shown.

pub(crate) mod verify;
