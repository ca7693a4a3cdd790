//! The permissions of one allocation: IPs, each for five minutes.

use std::net::IpAddr;
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::attributes::AddressFamily;

use crate::policy::Reach;

/// RFC 8656 §9: "The Permission Lifetime MUST be 300 seconds."
pub(crate) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);

/// A sorted list: an allocation has few, and a search in one cache line or three beats a hash.
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    entries: Vec<Permission>,
}

#[derive(Clone, Copy, Debug)]
struct Permission {
    ip: IpAddr,
    reach: Reach,
    expires: Moment,
}

/// Whether there is a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permitted {
    Yes(Reach),
    Expired,
    No,
}

impl Permissions {
    /// RFC 8656 §9: a permission compares addresses and ignores ports.
    pub(crate) fn permitted(&self, ip: IpAddr, now: Moment) -> Permitted {
        let found = self.find(ip).ok().and_then(|index| self.entries.get(index));
        match found {
            Some(permission) if now < permission.expires => Permitted::Yes(permission.reach),
            Some(_) => Permitted::Expired,
            None => Permitted::No,
        }
    }

    /// Whether as many permissions as there are of these IPs fit, once what has expired is gone.
    pub(crate) fn has_room(&mut self, ips: impl Iterator<Item = IpAddr>, limit: usize, now: Moment) -> bool {
        let new = ips.filter(|ip| self.find(*ip).is_err()).count();
        if self.entries.len().saturating_add(new) <= limit {
            return true;
        }
        self.entries.retain(|permission| now < permission.expires);
        new <= limit.saturating_sub(self.entries.len())
    }

    /// Installs or refreshes a permission.
    pub(crate) fn install(&mut self, ip: IpAddr, reach: Reach, now: Moment) {
        let permission = Permission { ip, reach, expires: now.plus(PERMISSION_LIFETIME) };
        match self.find(ip) {
            Ok(index) => {
                if let Some(known) = self.entries.get_mut(index) {
                    *known = permission;
                }
            }
            Err(index) => self.entries.insert(index, permission),
        }
    }

    /// RFC 8656 §8.1: with one relayed address of two go the permissions of its family.
    pub(crate) fn forget(&mut self, family: AddressFamily) {
        self.entries.retain(|permission| AddressFamily::of(permission.ip) != family);
    }

    /// Takes back those of the IPs concerned that `judge` no longer allows; the others reach as far as it says.
    pub(crate) fn judge_again(
        &mut self,
        concerned: impl Fn(IpAddr) -> bool,
        judge: impl Fn(IpAddr) -> Option<Reach>,
    ) {
        self.entries.retain_mut(|permission| {
            if !concerned(permission.ip) {
                return true;
            }
            let judged = judge(permission.ip);
            permission.reach = judged.unwrap_or(permission.reach);
            judged.is_some()
        });
    }

    fn find(&self, ip: IpAddr) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&ip, |permission| permission.ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_lasts_five_minutes_unless_it_is_refreshed() {
        let mut permissions = Permissions::default();
        permissions.install(ip(1), Reach::Everything, at(0));
        assert_eq!(permissions.permitted(ip(1), at(299)), Permitted::Yes(Reach::Everything));
        assert_eq!(permissions.permitted(ip(1), at(300)), Permitted::Expired);
        permissions.install(ip(1), Reach::Everything, at(299));
        assert_eq!(permissions.permitted(ip(1), at(598)), Permitted::Yes(Reach::Everything));
        assert_eq!(permissions.permitted(ip(2), at(0)), Permitted::No);
    }

    #[test]
    fn expired_permissions_make_room_for_new_ones() {
        let mut permissions = Permissions::default();
        permissions.install(ip(1), Reach::Everything, at(0));
        permissions.install(ip(2), Reach::Everything, at(100));
        assert!(permissions.has_room([ip(1), ip(2)].into_iter(), 2, at(100)));
        assert!(!permissions.has_room([ip(3)].into_iter(), 2, at(299)));
        assert!(permissions.has_room([ip(3)].into_iter(), 2, at(300)));
        assert!(!permissions.has_room([ip(3), ip(4)].into_iter(), 2, at(300)));
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
