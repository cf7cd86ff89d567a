//! The policy: tiers, classes and upstreams, as their owner writes them down.
