//! How things end: the words of the ledger, and the record of one job.

mod answer;
mod kinds;
mod record;

pub use self::answer::{Answer, Json};
pub use self::kinds::{OutcomeKind, Refusal, Skip};
pub(crate) use self::record::Ending;
pub use self::record::{Attempt, JobId, Outcome, ProcessReport};
