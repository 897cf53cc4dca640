//! Systems without `prlimit`: nothing is bound and nothing ranked, and the configuration says so.

use super::group::Group;
use super::start_error::StartError;
use crate::hook::ResourceLimits;

pub(super) fn bind(_: Group, _: &ResourceLimits) -> Result<(), StartError> {
    Ok(())
}

pub(super) fn rank(_: Group, _: u8) {}
