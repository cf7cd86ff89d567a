mod confirm;
mod request;
