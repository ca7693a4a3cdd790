//! Byte budgets of credentials: all allocations of one credential, on whichever worker, draw on one; it survives them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_protocol::UnixSeconds;
use causeway_protocol::ids::TokenId;
use foldhash::fast::FixedState;

/// What is left of a credential's bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
}

/// The budgets of a process, by the credential's `jti`.
#[derive(Debug)]
pub(super) struct Budgets {
    entries: HashMap<TokenId, Entry, FixedState>,
}

#[derive(Debug)]
struct Entry {
    budget: Arc<Budget>,
    expires: UnixSeconds,
}

/// Why no budget can be drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BudgetRefused {
    /// It is used up.
    Spent,
    /// There are as many as a process remembers.
    Full,
}

impl Budget {
    const fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes) }
    }

    /// Draws on it; `false`: that was more than was left, and nothing is left now. Exact however many workers draw at
    /// once. `Relaxed`: the number says nothing about other memory.
    pub(super) fn spend(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(bytes)))
            .is_ok_and(|left| left >= bytes)
    }

    fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl Budgets {
    pub(super) const fn new(hasher: FixedState) -> Self {
        Self { entries: HashMap::with_hasher(hasher) }
    }

    /// The budget of a credential, for one more allocation. Until the credential expires it stays, so that a new
    /// allocation does not begin a new budget; `limit` bounds how many there are.
    pub(super) fn open(
        &mut self,
        jti: &TokenId,
        bytes: u64,
        expires: UnixSeconds,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Arc<Budget>, BudgetRefused> {
        if let Some(Entry { budget, .. }) = self.entries.get(jti) {
            return if budget.is_spent() { Err(BudgetRefused::Spent) } else { Ok(Arc::clone(budget)) };
        }
        if bytes == 0 {
            return Err(BudgetRefused::Spent);
        }
        if self.entries.len() >= limit {
            self.entries.retain(|_, entry| now < entry.expires || entry.is_drawn_on());
        }
        if self.entries.len() >= limit {
            return Err(BudgetRefused::Full);
        }
        let budget = Arc::new(Budget::new(bytes));
        self.entries.insert(jti.clone(), Entry { budget: Arc::clone(&budget), expires });
        Ok(budget)
    }
}

impl Entry {
    /// An allocation holds it. Budgets are handed out under the lock that this is asked under, so it does not change
    /// from "no" to "yes" meanwhile.
    fn is_drawn_on(&self) -> bool {
        Arc::strong_count(&self.budget) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_budget_outlives_its_allocation_and_not_its_credential() {
        let mut budgets = Budgets::new(FixedState::default());
        let budget = open(&mut budgets, "a", 0).unwrap();
        assert!(budget.spend(100));
        assert!(!budget.spend(1));
        drop(budget);
        assert_eq!(open(&mut budgets, "a", 59).unwrap_err(), BudgetRefused::Spent);
        assert_eq!(open(&mut budgets, "b", 59).unwrap_err(), BudgetRefused::Full);
        assert!(open(&mut budgets, "b", 60).is_ok());
    }

    #[test]
    fn a_budget_that_is_drawn_on_is_not_forgotten() {
        let mut budgets = Budgets::new(FixedState::default());
        let _held = open(&mut budgets, "a", 0).unwrap();
        assert_eq!(open(&mut budgets, "b", 60).unwrap_err(), BudgetRefused::Full);
    }

    #[test]
    fn two_allocations_of_a_credential_share_its_budget() {
        let mut budgets = Budgets::new(FixedState::default());
        let first = open(&mut budgets, "a", 0).unwrap();
        let second = open(&mut budgets, "a", 0).unwrap();
        assert!(first.spend(60));
        assert!(!second.spend(60));
        assert!(!first.spend(1));
    }

    #[test]
    fn a_budget_of_nothing_is_spent_from_the_start() {
        let mut budgets = Budgets::new(FixedState::default());
        let refused = budgets.open(&"a".parse().unwrap(), 0, NOW, 1, NOW).unwrap_err();
        assert_eq!(refused, BudgetRefused::Spent);
    }

    #[test]
    fn workers_that_draw_at_once_get_no_byte_more_than_there_is() {
        let budget = Budget::new(1_000_003);
        let spent: u64 = std::thread::scope(|scope| {
            let worker = || (0..).take_while(|_| budget.spend(7)).count() as u64;
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(spent, 1_000_003 / 7);
    }

    fn open(budgets: &mut Budgets, jti: &str, after: u64) -> Result<Arc<Budget>, BudgetRefused> {
        budgets.open(&jti.parse().unwrap(), 100, NOW.plus(60), 1, NOW.plus(after))
    }
}
