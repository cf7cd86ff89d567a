//! `/api/v1/admin/users`: who there is, and what is changed of them.

pub(crate) mod change;
pub(crate) mod list;
pub(crate) mod quota;
pub(crate) mod sessions;
pub(crate) mod show;

use turnpike_shared::admission::Caller;
use turnpike_shared::auth::ChangedBy;

/// Who makes a change, as the audit log names them.
pub(crate) fn changed_by(caller: &Caller) -> ChangedBy {
    ChangedBy {
        user: caller.id(),
        key: caller.key().map(|key| key.id),
    }
}
