//! Which sockets still hold datagrams.
//!
//! mio reports readiness once, when it begins (edge-triggered). A socket whose turn ends before it is drained
//! stays listed here, so no readiness is lost.

use std::collections::VecDeque;

/// Sockets to read, by their index, each at most once, in the order they became ready.
#[derive(Default)]
pub(crate) struct ReadyList {
    order: VecDeque<usize>,
    listed: Vec<bool>,
}

impl ReadyList {
    /// `socket` has something to read, as far as is known.
    pub(crate) fn push(&mut self, socket: usize) {
        if self.listed.len() <= socket {
            self.listed.resize(socket + 1, false);
        }
        if let Some(listed) = self.listed.get_mut(socket)
            && !std::mem::replace(listed, true)
        {
            self.order.push_back(socket);
        }
    }

    /// The next socket. Whoever takes it drains it or pushes it again.
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let socket = self.order.pop_front()?;
        if let Some(listed) = self.listed.get_mut(socket) {
            *listed = false;
        }
        Some(socket)
    }

    /// Nothing is left to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_listed_once_however_often_it_is_reported() {
        let mut ready = ReadyList::default();
        ready.push(7);
        ready.push(7);
        assert_eq!(ready.pop(), Some(7));
        assert_eq!(ready.pop(), None);
        assert!(ready.is_empty());
    }

    #[test]
    fn a_socket_that_is_not_drained_goes_behind_the_others() {
        let mut ready = ReadyList::default();
        ready.push(1);
        ready.push(2);
        let first = ready.pop().unwrap();
        ready.push(first);
        assert_eq!(ready.pop(), Some(2));
        assert_eq!(ready.pop(), Some(1));
    }
}
