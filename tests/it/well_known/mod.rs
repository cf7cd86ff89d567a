//! `/.well-known`

mod jwks;
mod openid_configuration;
mod security_txt;
