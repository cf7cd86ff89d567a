//! The policy of the local stack: the built-in one, and the sample library as an upstream.

use std::sync::Arc;

use turnpike_shared::limits::policy::{BUILT_IN_TEXT, Policy, PolicyError};

/// Where the file says that the library is.
const SOMEWHERE: &str = "http://127.0.0.1:3000";

/// The policy of a stack that is reached at `base`.
pub(crate) fn with_library(base: &str) -> Result<Arc<Policy>, PolicyError> {
    let library = include_str!("library.toml").replace(SOMEWHERE, base);
    Policy::parse(&format!("{BUILT_IN_TEXT}\n{library}")).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::super::PATH;
    use super::*;

    #[test]
    fn the_library_is_all_that_the_local_policy_adds() {
        let (local, built_in) = (
            with_library("http://[::1]:4000").unwrap(),
            Policy::built_in(),
        );

        let library = local.upstream("library").unwrap();
        let base_url = library.base_url.to_string();
        assert_eq!(base_url, format!("http://[::1]:4000{PATH}"));
        assert!(library.proxy && library.shared_cache);
        assert_eq!(local.upstreams().count(), 1);
        assert!(local.tiers().eq(built_in.tiers()));
        assert!(local.classes().eq(built_in.classes()));
    }
}
