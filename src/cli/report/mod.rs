//! stand-in
pub(crate) mod json {
    pub(crate) fn render(r: &super::RunReport, _p: bool) -> String {
        format!("{:?}\n", r.ledger.is_balanced())
    }
}
pub(crate) mod text {
    pub(crate) fn render(r: &super::RunReport) -> String {
        format!("{r:#?}\n")
    }
}
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct EventCounts {
    pub(crate) read: u64,
    pub(crate) invalid: u64,
    pub(crate) matched: u64,
}
#[derive(Debug)]
pub(crate) struct FailureNote {
    pub(crate) hook: String,
    pub(crate) kind: hookpool::OutcomeKind,
    pub(crate) count: u64,
    pub(crate) reason: String,
    pub(crate) output_tail: String,
}
#[derive(Debug)]
pub(crate) struct RunReport {
    pub(crate) events: EventCounts,
    pub(crate) ledger: hookpool::Ledger,
    pub(crate) elapsed: std::time::Duration,
    pub(crate) failures: Vec<FailureNote>,
}
pub(crate) fn printable(s: &str) -> String {
    s.to_owned()
}
