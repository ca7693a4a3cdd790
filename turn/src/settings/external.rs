//! The addresses by which others know this relay's: named by the operator, or learned from a STUN server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use causeway_turn_core::{ExternalIp, ExternalIpError, ExternalIps};
use serde::{Deserialize, Serialize};

use super::Problems;

/// More often than this would be a burden to somebody else's server.
const MIN_EVERY_SECONDS: u32 = 10;

/// The `turn.external` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExternalSettings {
    /// Addresses that others reach this relay at, where a NAT stands in front of it: `EXTERNAL` for all addresses of
    /// its family that the relay listens on, or `EXTERNAL/LOCAL` for one of them. Default: none, because most relays
    /// have the address that others know.
    pub ips: Vec<ExternalEntry>,
    /// A STUN server, as `host:port`, that is asked for the external address of each address that `ips` does not name.
    /// Default: empty, nobody is asked.
    pub discover: String,
    /// Seconds between two questions to that server. Default: 300, a guess: a provider changes addresses once a day.
    pub discover_every_seconds: u32,
}

impl Default for ExternalSettings {
    fn default() -> Self {
        Self { ips: Vec::new(), discover: String::new(), discover_every_seconds: 300 }
    }
}

/// Why the settings do not fit the addresses that the relay listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// The local half of an entry.
    #[error("external.ips: the relay does not listen on {0}; name a local address that it listens on")]
    NotListening(IpAddr),
    /// The entries exclude each other.
    #[error("external.ips: {0}")]
    Unusable(#[from] ExternalIpError),
}

/// `EXTERNAL` or `EXTERNAL/LOCAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalEntry {
    external: IpAddr,
    local: Option<IpAddr>,
}

/// Why something is no [`ExternalEntry`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither an IP address nor two as EXTERNAL/LOCAL; write for example 203.0.113.7 or 203.0.113.7/10.0.0.5"
)]
pub struct ExternalEntryError(String);

impl FromStr for ExternalEntry {
    type Err = ExternalEntryError;

    fn from_str(text: &str) -> Result<Self, ExternalEntryError> {
        let ip = |part: &str| part.trim().parse().map_err(|_not_an_ip| ExternalEntryError(text.to_owned()));
        match text.split_once('/') {
            Some((external, local)) => Ok(Self { external: ip(external)?, local: Some(ip(local)?) }),
            None => Ok(Self { external: ip(text)?, local: None }),
        }
    }
}

impl TryFrom<String> for ExternalEntry {
    type Error = ExternalEntryError;

    fn try_from(text: String) -> Result<Self, ExternalEntryError> {
        text.parse()
    }
}

impl From<ExternalEntry> for String {
    fn from(entry: ExternalEntry) -> Self {
        entry.to_string()
    }
}

impl fmt::Display for ExternalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(local) => write!(f, "{}/{local}", self.external),
            None => write!(f, "{}", self.external),
        }
    }
}

impl ExternalSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let all = self.ips.iter().filter(|entry| entry.local.is_none() && family(&entry.external));
            if all.count() > 1 {
                problems.add(
                    "external.ips",
                    "name one address of a family, or say which local address each stands for: EXTERNAL/LOCAL",
                );
            }
        }
        let as_they_are = self.ips.iter().map(|entry| ExternalIp {
            external: entry.external,
            local: entry.local.unwrap_or(entry.external),
        });
        if let Err(error) = ExternalIps::new(as_they_are) {
            problems.add("external.ips", error.to_string());
        }
        if !self.discover.is_empty()
            && self.discover.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err())
        {
            problems.add("external.discover", "write it as host:port, for example stun.example.org:3478");
        }
        if self.discover_every_seconds < MIN_EVERY_SECONDS {
            problems.add("external.discover_every_seconds", format!("use at least {MIN_EVERY_SECONDS}"));
        }
    }

    /// The STUN server to ask, if there is one.
    pub(crate) fn server(&self) -> Option<&str> {
        (!self.discover.is_empty()).then_some(self.discover.as_str())
    }

    /// Those of the addresses that have no name of their own in here.
    pub(crate) fn unnamed(&self, locals: &[IpAddr]) -> Vec<IpAddr> {
        locals.iter().copied().filter(|local| self.named(*local).is_none()).collect()
    }

    /// What others call the relay's addresses: as named, else as learned.
    ///
    /// # Errors
    /// A local address is none that the relay listens on, or an external one cannot stand for it.
    pub(crate) fn resolve(
        &self,
        locals: &[IpAddr],
        learned: &[ExternalIp],
    ) -> Result<ExternalIps, ExternalError> {
        let named_locals = self.ips.iter().filter_map(|entry| entry.local);
        if let Some(stranger) = named_locals.into_iter().find(|local| !locals.contains(local)) {
            return Err(ExternalError::NotListening(stranger));
        }
        let pairs = locals.iter().filter_map(|local| {
            let learned = || learned.iter().find(|ip| ip.local == *local).map(|ip| ip.external);
            let external = self.named(*local).or_else(learned)?;
            Some(ExternalIp { local: *local, external })
        });
        Ok(ExternalIps::new(pairs)?)
    }

    /// The addresses in groups that share an external one, now or as soon as it is learned.
    pub(crate) fn groups(&self, locals: &[IpAddr]) -> Vec<Vec<IpAddr>> {
        let shared = |a: IpAddr, b: IpAddr| match (self.named(a), self.named(b)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.server().is_some() && a.is_ipv4() == b.is_ipv4(),
            (Some(external), None) | (None, Some(external)) => {
                // A learned address may turn out to be one that is named for another.
                self.server().is_some() && external.is_ipv4() == a.is_ipv4()
            }
        };
        let mut groups: Vec<Vec<IpAddr>> = Vec::new();
        for local in locals {
            match groups
                .iter_mut()
                .find(|group| group.iter().any(|other| *other == *local || shared(*other, *local)))
            {
                Some(group) => group.push(*local),
                None => groups.push(vec![*local]),
            }
        }
        groups
    }

    /// The external address that is written down for a local one.
    fn named(&self, local: IpAddr) -> Option<IpAddr> {
        let own = self.ips.iter().find(|entry| entry.local == Some(local));
        let family = || {
            self.ips.iter().find(|entry| entry.local.is_none() && entry.external.is_ipv4() == local.is_ipv4())
        };
        own.or_else(family).map(|entry| entry.external)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_stands_for_all_of_its_family_but_those_with_one_of_their_own() {
        let settings = settings(&["51.0.0.1", "51.0.0.2/10.0.0.6"]);
        let locals = ips(&["10.0.0.5", "10.0.0.6", "fd00::5"]);
        let resolved = settings.resolve(&locals, &[]).unwrap();
        let pairs: Vec<_> = resolved.iter().map(|ip| format!("{}/{}", ip.external, ip.local)).collect();
        assert_eq!(pairs, ["51.0.0.1/10.0.0.5", "51.0.0.2/10.0.0.6"]);
        assert_eq!(settings.unnamed(&locals), ips(&["fd00::5"]));
    }

    #[test]
    fn what_was_learned_fills_what_was_not_named() {
        let locals = ips(&["10.0.0.5", "10.0.0.6"]);
        let learned = ["10.0.0.5", "10.0.0.6"]
            .map(|local| ExternalIp { local: local.parse().unwrap(), external: "51.0.0.9".parse().unwrap() });
        let resolved = settings(&["51.0.0.2/10.0.0.6"]).resolve(&locals, &learned).unwrap();
        let pairs: Vec<_> = resolved.iter().map(|ip| format!("{}/{}", ip.external, ip.local)).collect();
        assert_eq!(pairs, ["51.0.0.9/10.0.0.5", "51.0.0.2/10.0.0.6"]);
    }

    #[test]
    fn a_local_address_that_nobody_listens_on_is_an_error() {
        let error = settings(&["51.0.0.2/10.0.0.9"]).resolve(&ips(&["10.0.0.5"]), &[]);
        assert_eq!(error, Err(ExternalError::NotListening("10.0.0.9".parse().unwrap())));
    }

    #[test]
    fn addresses_that_share_an_external_one_share_their_ports() {
        let locals = ips(&["10.0.0.5", "10.0.0.6", "10.0.0.7", "fd00::5"]);
        let shared =
            |settings: ExternalSettings| settings.groups(&locals).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(shared(settings(&[])), [1, 1, 1, 1]);
        assert_eq!(shared(settings(&["51.0.0.1"])), [3, 1]);
        assert_eq!(shared(settings(&["51.0.0.1/10.0.0.5", "51.0.0.1/10.0.0.7"])), [2, 1, 1]);
        let learning = ExternalSettings { discover: "stun:3478".to_owned(), ..ExternalSettings::default() };
        assert_eq!(shared(learning), [3, 1]);
    }

    #[test]
    fn an_entry_is_read_and_written_alike() {
        for text in ["51.0.0.1", "2001:db8::1", "51.0.0.1/10.0.0.5", "2001:db8::1/fd00::1"] {
            assert_eq!(text.parse::<ExternalEntry>().unwrap().to_string(), text);
        }
        for text in ["", "host", "51.0.0.1/", "/10.0.0.5", "51.0.0.1/10.0.0.5/24", "51.0.0.1:3478"] {
            assert!(text.parse::<ExternalEntry>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        check(&settings(&["51.0.0.1", "51.0.0.2"]), &["external.ips"]);
        check(&settings(&["51.0.0.1/fd00::1"]), &["external.ips"]);
        check(&settings(&["0.0.0.0"]), &["external.ips"]);
        let discover = |discover: &str| ExternalSettings { discover: discover.to_owned(), ..settings(&[]) };
        check(&discover("stun.example.org"), &["external.discover"]);
        check(&discover("stun.example.org:3478"), &[]);
        check(&discover("[2001:db8::1]:3478"), &[]);
        let often = ExternalSettings { discover_every_seconds: 1, ..settings(&[]) };
        check(&often, &["external.discover_every_seconds"]);
    }

    #[track_caller]
    fn check(settings: &ExternalSettings, expected: &[&str]) {
        let mut problems = Problems(Vec::new());
        settings.check(&mut problems);
        let keys: Vec<_> = problems.0.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, expected);
    }

    fn settings(entries: &[&str]) -> ExternalSettings {
        let ips = entries.iter().map(|entry| entry.parse().unwrap()).collect();
        ExternalSettings { ips, ..ExternalSettings::default() }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|ip| ip.parse().unwrap()).collect()
    }
}
