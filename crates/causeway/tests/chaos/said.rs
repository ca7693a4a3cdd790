//! What members say to one another: each thing names its speaker, whom it is for and its number, so that whoever hears it
//! knows what is missing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A stay in a room: the peer id that a join gave. Whoever joins again stays anew.
pub type Stay = Arc<str>;

/// Whom something is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    All,
    One(Stay),
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub by: Stay,
    pub to: To,
    /// Counted from 1 among what this stay says to the same.
    pub number: u64,
    /// Counted from 1 among everything that this stay says.
    pub order: u64,
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(peer) => f.write_str(peer),
        }
    }
}

/// The text that travels: `by to number order`.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, to, number, order } = self;
        write!(f, "{by} {to} {number} {order}")
    }
}

/// What somebody heard is nothing that a member says.
#[derive(Debug, PartialEq, Eq)]
pub struct NobodySaysThat;

impl FromStr for Said {
    type Err = NobodySaysThat;

    fn from_str(text: &str) -> Result<Self, NobodySaysThat> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(NobodySaysThat);
        let number = |text: &str| text.parse::<u64>().map_err(|_no_number| NobodySaysThat);
        let by = word()?.into();
        let to = match word()? {
            "all" => To::All,
            peer => To::One(peer.into()),
        };
        Ok(Self { by, to, number: number(word()?)?, order: number(word()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_survives_its_way() {
        for to in [To::All, To::One("bob".into())] {
            let said = Said { by: "alice".into(), to, number: 3, order: 17 };
            assert_eq!(said.to_string().parse(), Ok(said));
        }
        assert_eq!("alice all three 4".parse::<Said>(), Err(NobodySaysThat));
    }
}
