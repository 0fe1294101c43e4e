//! Memory that is shared out before it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that may be held at once, for studies and for bodies on their way.
#[derive(Debug, Clone)]
pub(crate) struct ByteBudget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    used: AtomicU64,
    limit: u64,
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes more do not fit the {limit} that the server may hold")]
pub(crate) struct BudgetSpent {
    pub(crate) asked: u64,
    pub(crate) limit: u64,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    inner: Arc<Inner>,
    bytes: u64,
}

impl ByteBudget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { inner: Arc::new(Inner { used: AtomicU64::new(0), limit }) }
    }

    /// An empty share.
    pub(crate) fn share(&self) -> Share {
        Share { inner: Arc::clone(&self.inner), bytes: 0 }
    }

    pub(crate) fn used(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> u64 {
        self.share().left()
    }
}

impl Share {
    /// Takes more.
    pub(crate) fn grow(&mut self, more: u64) -> Result<(), BudgetSpent> {
        let limit = self.inner.limit;
        let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= limit);
        self.inner
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|_| BudgetSpent { asked: more, limit })?;
        self.bytes += more;
        Ok(())
    }

    /// What can still be taken, by this or another share.
    pub(crate) fn left(&self) -> u64 {
        self.inner.limit.saturating_sub(self.inner.used.load(Ordering::Relaxed))
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let back = self.bytes.saturating_sub(bytes);
        self.bytes -= back;
        self.inner.used.fetch_sub(back, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = ByteBudget::new(10);
        let mut one = budget.share();
        one.grow(6).unwrap();
        let mut two = budget.share();
        assert_eq!(two.grow(5), Err(BudgetSpent { asked: 5, limit: 10 }));
        assert_eq!(two.grow(u64::MAX).unwrap_err().asked, u64::MAX);
        two.grow(4).unwrap();
        assert_eq!(budget.left(), 0);
        one.shrink_to(2);
        assert_eq!(budget.used(), 6);
        drop(one);
        drop(two);
        assert_eq!(budget.used(), 0);
    }
}
