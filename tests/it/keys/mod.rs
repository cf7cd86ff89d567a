//! `/api/v1/keys`

mod verify;
