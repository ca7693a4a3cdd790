//! Byte budgets of credentials: all allocations of one credential draw on one, and it survives them.

use std::collections::HashMap;

use causeway_protocol::UnixSeconds;
use causeway_protocol::ids::TokenId;
use foldhash::fast::FixedState;

use crate::slab::Slab;

/// The number of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetNumber(u32);

/// The budgets of one relay, by the credential's `jti`.
#[derive(Debug)]
pub(crate) struct Budgets {
    entries: Slab<Budget>,
    by_jti: HashMap<TokenId, u32, FixedState>,
}

#[derive(Debug)]
struct Budget {
    jti: TokenId,
    left: u64,
    allocations: u32,
    expires: UnixSeconds,
}

/// Why no budget can be drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BudgetRefused {
    /// It is used up.
    Spent,
    /// There are as many as a relay remembers.
    Full,
}

impl Budgets {
    pub(crate) const fn new(hasher: FixedState) -> Self {
        Self { entries: Slab::new(), by_jti: HashMap::with_hasher(hasher) }
    }

    /// Opens the budget of a credential for one more allocation. Until the credential expires it stays, so that a new
    /// allocation does not begin a new budget; `limit` bounds how many there are.
    pub(crate) fn open(
        &mut self,
        jti: &TokenId,
        bytes: u64,
        expires: UnixSeconds,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<BudgetNumber, BudgetRefused> {
        if let Some(number) = self.by_jti.get(jti).copied()
            && let Some(budget) = self.entries.get_mut(number)
        {
            if budget.left == 0 {
                return Err(BudgetRefused::Spent);
            }
            budget.allocations = budget.allocations.saturating_add(1);
            return Ok(BudgetNumber(number));
        }
        if bytes == 0 {
            return Err(BudgetRefused::Spent);
        }
        if self.entries.len() >= limit {
            self.forget_expired(now);
        }
        if self.entries.len() >= limit {
            return Err(BudgetRefused::Full);
        }
        let number = self.entries.insert(Budget { jti: jti.clone(), left: bytes, allocations: 1, expires });
        self.by_jti.insert(jti.clone(), number);
        Ok(BudgetNumber(number))
    }

    /// Draws on a budget; `false`: that was more than was left.
    pub(crate) fn spend(&mut self, BudgetNumber(number): BudgetNumber, bytes: usize) -> bool {
        let Some(budget) = self.entries.get_mut(number) else { return true };
        match budget.left.checked_sub(bytes as u64) {
            Some(left) => {
                budget.left = left;
                true
            }
            None => {
                budget.left = 0;
                false
            }
        }
    }

    /// One allocation fewer draws on it.
    pub(crate) fn close(&mut self, BudgetNumber(number): BudgetNumber) {
        if let Some(budget) = self.entries.get_mut(number) {
            budget.allocations = budget.allocations.saturating_sub(1);
        }
    }

    fn forget_expired(&mut self, now: UnixSeconds) {
        let expired: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, budget)| budget.allocations == 0 && budget.expires <= now)
            .map(|(number, _)| number)
            .collect();
        for number in expired {
            if let Some(budget) = self.entries.remove(number) {
                self.by_jti.remove(&budget.jti);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_budget_outlives_its_allocation_and_not_its_credential() {
        let mut budgets = Budgets::new(FixedState::default());
        let number = open(&mut budgets, "a", 0).unwrap();
        assert!(budgets.spend(number, 100));
        assert!(!budgets.spend(number, 1));
        budgets.close(number);
        assert_eq!(open(&mut budgets, "a", 59), Err(BudgetRefused::Spent));
        assert_eq!(open(&mut budgets, "b", 59), Err(BudgetRefused::Full));
        assert!(open(&mut budgets, "b", 60).is_ok());
    }

    #[test]
    fn two_allocations_of_a_credential_share_its_budget() {
        let mut budgets = Budgets::new(FixedState::default());
        let first = open(&mut budgets, "a", 0).unwrap();
        let second = open(&mut budgets, "a", 0).unwrap();
        assert!(budgets.spend(first, 60));
        assert!(!budgets.spend(second, 60));
        assert!(!budgets.spend(first, 1));
    }

    #[test]
    fn a_budget_of_nothing_is_spent_from_the_start() {
        let mut budgets = Budgets::new(FixedState::default());
        assert_eq!(budgets.open(&"a".parse().unwrap(), 0, NOW, 1, NOW), Err(BudgetRefused::Spent));
    }

    fn open(budgets: &mut Budgets, jti: &str, after: u64) -> Result<BudgetNumber, BudgetRefused> {
        budgets.open(&jti.parse().unwrap(), 100, NOW.plus(60), 1, NOW.plus(after))
    }
}
