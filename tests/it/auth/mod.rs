//! `/api/v1/auth`

mod access_tokens;
mod login;
mod logout;
mod logout_all;
mod me;
mod password;
mod refresh;
mod register;
mod sessions;
mod verify_email;
