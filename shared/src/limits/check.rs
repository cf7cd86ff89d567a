//! What is asked of an engine, and what it answers.

use std::borrow::Cow;
use std::fmt;

use super::policy::Mode;
use super::window::{Reading, Window};
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// Whose limits are asked for. All windows of one subject are kept together, so that they can be
/// decided together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    User(UserId),
    /// Anything else, as a key that names its kind: an address, or what a caller counts.
    Other(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "USER#{id}"),
            Self::Other(key) => f.write_str(key),
        }
    }
}

/// Under which a window is kept with its subject: short, and another one when the window's length
/// is, so that what was counted by one length is never read by another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WindowId(Cow<'static, str>);

impl WindowId {
    pub const HOUR: Self = Self(Cow::Borrowed("h"));
    pub const DAY: Self = Self(Cow::Borrowed("d"));
    pub const MONTH: Self = Self(Cow::Borrowed("m"));

    /// A limit by its name, over this many seconds.
    pub fn named(name: &str, seconds: u32) -> Self {
        Self(format!("{name}.{seconds}").into())
    }

    /// The window of one of the user's keys that have limits of their own, by the key's slot.
    pub fn of_key(slot: u64, window: Window) -> Self {
        let of_user = match window {
            Window::HOUR => "h",
            Window::DAY => "d",
            _ => "m",
        };
        Self(format!("k{slot}{of_user}").into())
    }

    /// An id as it was stored.
    pub fn stored(id: &str) -> Self {
        Self(id.to_owned().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slot of the key whose window it is; `None` for any other window.
    pub fn slot(&self) -> Option<u64> {
        let slot = self.0.strip_prefix('k')?.strip_suffix(['h', 'd', 'm'])?;
        slot.parse().ok()
    }

    /// The window that is kept under it; `None` for an id that this release does not make.
    pub fn window(&self) -> Option<Window> {
        if let Some((_, seconds)) = self.0.rsplit_once('.') {
            let seconds = seconds.parse().ok().filter(|seconds| *seconds > 0)?;
            return Some(Window::Sliding { seconds });
        }
        match self.0.chars().next_back()? {
            'h' => Some(Window::HOUR),
            'd' => Some(Window::DAY),
            'm' => Some(Window::Month),
            _ => None,
        }
    }
}

/// Where a limit comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Tier,
    Class,
    Override,
    Key,
}

/// One limit that a request must keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// Its name on the wire.
    pub name: Cow<'static, str>,
    pub id: WindowId,
    pub limit: u64,
    pub window: Window,
    /// How much of the limit the request takes.
    pub cost: u64,
    pub source: Source,
    pub mode: Mode,
}

impl Check {
    /// Whether it stands in the way of a request that it reads so.
    pub fn refuses(&self, reading: &Reading) -> bool {
        self.mode == Mode::Enforce && !reading.fits
    }
}

/// What makes the caller's credential valid, as the caller knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Proof {
    /// The user's epoch under which what is known of the user was read or stated.
    pub epoch: u64,
    /// The session that the credential belongs to; a key belongs to none, and the epoch vouches
    /// for it.
    pub session: Option<SessionId>,
}

/// One question: may this subject do this now? If so, it is counted.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub subject: &'a Subject,
    pub proof: Option<Proof>,
    pub checks: &'a [Check],
    pub now: Timestamp,
}

/// The answer. The readings are in the order of the checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Everything was open, and the request is counted everywhere.
    Admitted(Vec<Reading>),
    /// Something was not, and the request is counted nowhere.
    Refused(Vec<Reading>),
    /// What the caller knows of the user is not the newest: read it anew and ask again.
    Outdated,
    /// The session has ended, or the user is inactive or unknown.
    Invalid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_windows_tell_their_slot_and_no_other_window_does() {
        for window in [Window::HOUR, Window::DAY, Window::Month] {
            let id = WindowId::of_key(u64::MAX, window);

            assert_eq!(id.slot(), Some(u64::MAX));
            assert_eq!(id.window(), Some(window));
        }
        for id in [
            "h",
            "d",
            "m",
            "k1.60",
            "k1h.60",
            "kh",
            "kilo.3600",
            "query.60",
        ] {
            assert_eq!(WindowId::stored(id).slot(), None, "{id}");
        }
    }
}
