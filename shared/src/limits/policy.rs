//! The policy: tiers, classes and upstreams, as their owner writes them down.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Enforce,
    Shadow,
}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnOutage {
    Open,
    Local,
    Closed,
}
