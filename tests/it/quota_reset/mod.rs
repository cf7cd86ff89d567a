//! The function `quota-reset`: what a period comes to is written down once and in full, whoever
//! rolled the month over, however late it is, and wherever it is ended.

mod crashes;
mod ground;
mod invocation;
mod notices;
mod overrides;
mod periods;
mod valkey;
