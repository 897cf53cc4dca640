//! What is counted for the jobs of a pool: the bytes of payloads that wait or run, each counted once however many hooks
//! want it, and jobs that were lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::budget::ByteBudget;
use super::handle::JobShared;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Accounts {
    pub(super) bytes: ByteBudget,
    /// Jobs that were dropped without an outcome.
    pub(super) lost: AtomicU64,
}

/// The job of the same event that keeps the account of its bytes. `None`: the job does so itself.
pub(super) type Owner = Option<Arc<JobShared>>;

/// The jobs that use the bytes of an event, which are counted until the last of them has left.
#[derive(Debug)]
pub(super) struct Users(AtomicU32);

/// Bytes that are counted until this is dropped, or [kept](Charge::keep).
#[derive(Debug)]
pub(super) struct Charge<'a> {
    bytes: u64,
    accounts: &'a Accounts,
    /// Where they are counted already.
    joined: Option<Arc<JobShared>>,
}

impl Accounts {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { bytes: ByteBudget::new(max_bytes), lost: AtomicU64::new(0) }
    }

    /// Counts so many bytes. `None`: there is no room for them now.
    pub(super) fn charge(&self, bytes: u64) -> Option<Charge<'_>> {
        self.bytes.take(bytes).then(|| Charge { bytes, accounts: self, joined: None })
    }
}

impl<'a> Charge<'a> {
    /// For another job of the event of `job`. `None`: no job uses its bytes any more, and they are not counted.
    pub(super) fn with(job: &Arc<JobShared>, accounts: &'a Accounts) -> Option<Self> {
        let owner = job.owner.as_ref().unwrap_or(job);
        owner.users.join().then(|| Self { bytes: 0, accounts, joined: Some(Arc::clone(owner)) })
    }

    /// A job uses them from now on.
    pub(super) fn keep(mut self) -> Owner {
        self.bytes = 0;
        self.joined.take()
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        if let Some(joined) = &self.joined {
            joined.leave(self.accounts);
        } else if self.bytes > 0 {
            self.accounts.bytes.give_back(self.bytes);
        }
    }
}

impl Users {
    pub(super) fn one() -> Self {
        Self(AtomicU32::new(1))
    }

    /// One more. False: the last one has left.
    fn join(&self) -> bool {
        let one_more = |users: u32| (users > 0).then_some(users + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// True: the last one leaves.
    pub(super) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_and_given_back_by_the_last_user() {
        let accounts = Accounts::new(10);
        let charge = accounts.charge(6).unwrap();
        assert!(accounts.charge(5).is_none());
        drop(charge);
        assert!(accounts.charge(10).unwrap().keep().is_none());
        let users = Users::one();
        assert_eq!(accounts.bytes.used(), 10, "kept bytes stay");
        assert!(users.join() && !users.leave() && users.leave());
        assert!(!users.join(), "they have been given back");
    }

    #[test]
    fn of_users_that_come_and_go_at_once_exactly_one_is_the_last() {
        const ROUNDS: u32 = if cfg!(miri) { 20 } else { 2_000 };
        for _ in 0..ROUNDS {
            let accounts = Accounts::new(10);
            assert!(accounts.charge(10).unwrap().keep().is_none());
            let users = Users::one();
            let give_back = || {
                if users.leave() {
                    // More than are in use would go below zero, and beyond every limit.
                    accounts.bytes.give_back(10);
                }
            };
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..50 {
                            if !users.join() {
                                return;
                            }
                            assert_eq!(accounts.bytes.used(), 10, "they are in use");
                            give_back();
                        }
                    });
                }
                scope.spawn(give_back);
            });
            assert_eq!(accounts.bytes.used(), 0);
        }
    }
}
