//! How things end: the words of the ledger, the record of one job, and why it waited.

mod answer;
mod kinds;
mod record;
mod wait;

pub use self::answer::{Answer, Json};
pub use self::kinds::{OutcomeKind, Refusal, Skip};
pub(crate) use self::record::Ending;
pub use self::record::{Attempt, JobId, Outcome, ProcessReport};
pub use self::wait::{WaitCause, WaitSplit};
