//! Whether goals are reached, and how a whole run ends.

use serde::Serialize;

/// Whether a goal is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Holds,
    /// It is not.
    Misses,
    /// There is no goal.
    Shown,
    /// It cannot be said, and why.
    NotMeasured(String),
}

impl Verdict {
    /// Of something that has to be.
    #[must_use]
    pub const fn held(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Misses }
    }

    /// Of a value that may be at most so large; `None`: it is only shown.
    #[must_use]
    pub fn of(value: f64, at_most: Option<f64>) -> Self {
        match at_most {
            Some(at_most) => Self::held(value <= at_most),
            None => Self::Shown,
        }
    }

    /// As the last column of a table has it.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Holds => "holds".to_owned(),
            Self::Misses => "MISSES".to_owned(),
            Self::Shown => "no goal".to_owned(),
            Self::NotMeasured(why) => format!("not measured: {why}"),
        }
    }
}

/// How the whole run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every goal is reached.
    Holds,
    /// One is not.
    Misses,
    /// None is missed, and one could not be measured.
    NotMeasured,
}

impl Outcome {
    /// Of all verdicts together.
    #[must_use]
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        verdicts.into_iter().fold(Self::Holds, |so_far, verdict| match (so_far, verdict) {
            (_, Verdict::Misses) | (Self::Misses, _) => Self::Misses,
            (_, Verdict::NotMeasured(_)) | (Self::NotMeasured, _) => Self::NotMeasured,
            (Self::Holds, Verdict::Holds | Verdict::Shown) => Self::Holds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_outweighs_what_was_not_measured() {
        let unknown = Verdict::NotMeasured(String::new());
        let of = |verdicts: &[&Verdict]| Outcome::of(verdicts.iter().copied().cloned());
        assert_eq!(of(&[]), Outcome::Holds);
        assert_eq!(of(&[&Verdict::Holds, &Verdict::Shown]), Outcome::Holds);
        assert_eq!(of(&[&Verdict::Holds, &unknown, &Verdict::Holds]), Outcome::NotMeasured);
        assert_eq!(of(&[&unknown, &Verdict::Misses, &unknown]), Outcome::Misses);
    }

    #[test]
    fn what_is_not_a_number_reaches_no_goal() {
        assert_eq!(Verdict::of(f64::NAN, Some(1.0)), Verdict::Misses);
        assert_eq!(Verdict::of(1.0, Some(1.0)), Verdict::Holds);
        assert_eq!(Verdict::of(2.0, None), Verdict::Shown);
    }
}
