//! Rounds: each measures one server from its start to its end, and servers take turns.
//!
//! Every round starts a new process. So none stands idle on the core that another is measured on, none carries what an
//! earlier load left in it, and a chance placement of its memory does not last for the whole run. The first round of each
//! is not counted.

use crate::failure::Failure;
use crate::table::{Line, Load, Rounds, Row};

/// A program that servers run.
pub trait Program {
    /// What tables call it.
    fn name(&self) -> &'static str;

    /// Whether it is installed.
    ///
    /// # Errors
    /// It is not, and what to do about that.
    fn find(&self) -> Result<(), Failure>;
}

/// Measures one row with ours and with those others of its goals that are wanted and there.
///
/// # Errors
/// Ours cannot be measured. Another that cannot only leaves its goals open.
pub(crate) fn measure<L: Load, P: Program>(
    row: &Row<L>,
    ours: P,
    program_of: impl Fn(L::Other) -> P,
    wanted: &[L::Other],
    one: impl Fn(&P) -> Result<L::Round, Failure>,
) -> Result<Line<L>, Failure> {
    let mut missing = Vec::new();
    let mut programs = vec![ours];
    for other in row.others() {
        let program = program_of(other);
        if !wanted.contains(&other) {
            missing.push((other, format!("add `--compare {}`", program.name().replace('.', ""))));
        } else if let Err(failure) = program.find() {
            missing.push((other, failure.to_string()));
        } else {
            programs.push(program);
        }
    }
    match alternate(&programs, row.rounds, &one) {
        Ok(rounds) => Ok(Line::of(row, rounds, &missing)),
        Err(failure) if programs.len() == 1 => Err(failure),
        // If it is ours that fails, it fails alone, too.
        Err(failure) => {
            programs.truncate(1);
            missing.extend(row.others().map(|other| (other, failure.to_string())));
            Ok(Line::of(row, alternate(&programs, row.rounds, &one)?, &missing))
        }
    }
}

/// Measures each program `count` times and once before, in turns.
fn alternate<P: Program, R>(
    programs: &[P],
    count: usize,
    one: impl Fn(&P) -> Result<R, Failure>,
) -> Result<Rounds<R>, Failure> {
    let mut rounds: Rounds<R> = programs.iter().map(|program| (program.name(), Vec::new())).collect();
    for number in 0..=count {
        for (program, (_, rounds)) in programs.iter().zip(&mut rounds) {
            let round = one(program)?;
            if number > 0 {
                rounds.push(round);
            }
        }
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    impl Program for &'static str {
        fn name(&self) -> &'static str {
            self
        }

        fn find(&self) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[test]
    fn servers_take_turns_and_the_first_round_of_each_does_not_count() {
        let turns = Cell::new(0);
        let rounds = alternate(&["ours", "other"], 2, |_| Ok(turns.replace(turns.get() + 1))).unwrap();
        assert_eq!(rounds, [("ours", vec![2, 4]), ("other", vec![3, 5])]);
    }
}
