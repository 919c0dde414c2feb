//! Classes of requests, and how many of each a caller may send.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// A kind of request that is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What changes nothing.
    Read,
    /// What changes something.
    Write,
    /// What could be used to guess a password, or to send somebody mail.
    SignIn,
    /// What brings a file, or makes work as large as one.
    Upload,
    /// What another system tells us, signed.
    Webhook,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::SignIn, Self::Upload, Self::Webhook];

    /// The name, in settings, headers and the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::SignIn => "sign_in",
            Self::Upload => "upload",
            Self::Webhook => "webhook",
        }
    }

    /// The quota unless `LIMITS` says otherwise.
    const fn quota(self) -> Quota {
        let requests = match self {
            Self::Read => 600,
            Self::Write => 120,
            Self::SignIn => 30,
            Self::Upload => 60,
            Self::Webhook => 6_000,
        };
        Quota { requests, window_s: 60 }
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no class of requests; there are {all}")
        })
    }
}

/// So many requests in so many seconds, written `600/60`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    requests: u32,
    window_s: u32,
}

impl Quota {
    /// So many requests, one at least, in so many seconds.
    pub(crate) const fn of(requests: u32, window_s: u32) -> Self {
        Self { requests, window_s }
    }

    /// How many requests.
    pub const fn requests(self) -> u32 {
        self.requests
    }

    /// In which time.
    pub const fn window(self) -> Duration {
        Duration::from_secs(self.window_s as u64)
    }

    /// What one request costs, in microseconds.
    pub(crate) fn cost(self) -> u64 {
        (u64::from(self.window_s) * 1_000_000 / u64::from(self.requests.max(1))).max(1)
    }

    /// What all of them cost: the window, but for what was lost by dividing.
    pub(crate) fn whole(self) -> u64 {
        self.cost() * u64::from(self.requests)
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(requests, window)| Some((requests.parse().ok()?, window.parse().ok()?)));
        match parts {
            Some((requests @ 1..=1_000_000, window_s @ 1..=86_400)) => Ok(Self { requests, window_s }),
            _ => Err(format!(
                "`{text}` is no quota; write requests/seconds such as 600/60, up to 1000000 requests in up to 86400 seconds"
            )),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.window_s)
    }
}

/// The quota of each class; parses from what differs from the defaults: `read=600/60 sign_in=10/60`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    changed: BTreeMap<Class, Quota>,
}

impl Limits {
    /// The quota of a class.
    pub fn of(&self, class: Class) -> Quota {
        self.changed.get(&class).copied().unwrap_or(class.quota())
    }
}

impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split([' ', ',']).filter(|part| !part.is_empty());
        let change = |part: &str| match part.split_once('=') {
            Some((class, quota)) => Ok((class.parse()?, quota.parse()?)),
            None => Err(format!("`{part}` is no limit; write it as read=600/60")),
        };
        parts.map(change).collect::<Result<_, _>>().map(|changed| Self { changed })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn limits_change_the_defaults_class_by_class() {
        let limits: Limits = "sign_in=3/600, read=1000/1".parse().unwrap();
        for (class, quota) in [
            (Class::Read, "1000/1"),
            (Class::Write, "120/60"),
            (Class::SignIn, "3/600"),
            (Class::Upload, "60/60"),
            (Class::Webhook, "6000/60"),
        ] {
            assert_eq!(limits.of(class).to_string(), quota, "{}", class.as_str());
        }
        assert_eq!("".parse(), Ok(Limits::default()));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for wrong in ["read", "read=", "read=0/60", "read=5/0", "read=-1/60", "read=5", "walk=5/60", "read=9999999/60"]
        {
            assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_quota_is_exact_although_its_cost_is_rounded() {
        for (text, cost, whole) in [
            ("600/60", 100_000, 60_000_000),
            ("7/60", 8_571_428, 59_999_996),
            ("700000/60", 85, 59_500_000),
            ("1000000/1", 1, 1_000_000),
        ] {
            let quota: Quota = text.parse().unwrap();
            assert_eq!((quota.cost(), quota.whole()), (cost, whole), "{text}");
        }
    }
}
