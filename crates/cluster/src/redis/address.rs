//! Where Redis is: one server, one that Sentinels name, or a Redis Cluster.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

/// Where Redis is, and how to log in. Neither `Debug` nor `Display` shows passwords.
#[derive(Clone)]
pub struct RedisUrl(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Single(Box<ConnectionInfo>),
    Sentinel { sentinels: Vec<ConnectionAddr>, service: String, redis: RedisConnectionInfo, tls: bool },
    Cluster(Vec<ConnectionInfo>),
}

/// The text is no address of a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// Not one of ours.
    #[error(
        "wants redis://host:6379, redis+sentinel://host:26379,host:26379/service or redis+cluster://host:6379,host:6379 \
         (rediss… for TLS; name:password@ before the first host)"
    )]
    Scheme,
    /// A host or the part after it cannot be read.
    #[error(
        "names no host that can be read; hosts are separated by commas, and a port follows after a colon"
    )]
    Host,
    /// Sentinels are asked by the name of what they watch.
    #[error(
        "needs the name of the service that the Sentinels watch, as in redis+sentinel://host:26379/mymaster"
    )]
    Service,
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisUrlError::Scheme)?;
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if base != "redis" && base != "rediss" {
            return Err(RedisUrlError::Scheme);
        }
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (format!("{login}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let one = |host: &str, database: &str| connection(&format!("{base}://{login}{host}/{database}"));
        match kind {
            "" => Ok(Self(Kind::Single(Box::new(one(hosts, path)?)))),
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(RedisUrlError::Service);
                }
                let infos = hosts.split(',').map(|host| one(&with_port(host, 26379), database));
                let infos = infos.collect::<Result<Vec<_>, _>>()?;
                let redis = infos.first().ok_or(RedisUrlError::Host)?.redis_settings().clone();
                // Sentinels themselves are asked without TLS: whoever hides Redis behind TLS names it here, not them.
                let plain = |info: &ConnectionInfo| match info.addr() {
                    ConnectionAddr::TcpTls { host, port, .. } => ConnectionAddr::Tcp(host.clone(), *port),
                    other => other.clone(),
                };
                let sentinels = infos.iter().map(plain).collect();
                Ok(Self(Kind::Sentinel {
                    sentinels,
                    service: service.to_owned(),
                    redis,
                    tls: base == "rediss",
                }))
            }
            "cluster" => {
                let infos = hosts.split(',').map(|host| one(host, "")).collect::<Result<Vec<_>, _>>()?;
                Ok(Self(Kind::Cluster(infos)))
            }
            _ => Err(RedisUrlError::Scheme),
        }
    }
}

fn with_port(host: &str, port: u16) -> String {
    // The colons of an IPv6 address stand in brackets.
    let has_port = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

fn connection(url: &str) -> Result<ConnectionInfo, RedisUrlError> {
    // The library's own message may quote the URL.
    let info = url.into_connection_info().map_err(|_may_show_the_password| RedisUrlError::Host)?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings))
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: &mut dyn Iterator<Item = &ConnectionAddr>| {
            addresses.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match &self.0 {
            Kind::Single(info) => write!(f, "Redis at {}", info.addr()),
            Kind::Sentinel { sentinels, service, .. } => {
                write!(f, "Redis {service} of the Sentinels at {}", list(&mut sentinels.iter()))
            }
            Kind::Cluster(infos) => {
                write!(f, "Redis Cluster at {}", list(&mut infos.iter().map(ConnectionInfo::addr)))
            }
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_without_its_password() {
        for (text, shown) in [
            ("redis://127.0.0.1", "Redis at 127.0.0.1:6379"),
            ("redis://ada:swordfish@redis.example:6380/2", "Redis at redis.example:6380"),
            ("rediss://:swordfish@redis.example", "Redis at redis.example:6379"),
            (
                "redis+sentinel://ada:swordfish@a.example,b.example:26380/rooms/1",
                "Redis rooms of the Sentinels at a.example:26379, b.example:26380",
            ),
            ("redis+cluster://:swordfish@a.example,[::1]:7001", "Redis Cluster at a.example:6379, ::1:7001"),
        ] {
            let url: RedisUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("swordfish"));
        }
    }

    #[test]
    fn what_is_no_address_is_told_in_a_sentence_without_its_password() {
        for (text, error) in [
            ("127.0.0.1:6379", RedisUrlError::Scheme),
            ("http://127.0.0.1", RedisUrlError::Scheme),
            ("redis+magic://127.0.0.1", RedisUrlError::Scheme),
            ("redis://:swordfish@", RedisUrlError::Host),
            ("redis://:swordfish@host:port", RedisUrlError::Host),
            ("redis+sentinel://host:26379", RedisUrlError::Service),
            ("redis+cluster://a,,b", RedisUrlError::Host),
        ] {
            let found = text.parse::<RedisUrl>().unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("swordfish"));
        }
    }
}
