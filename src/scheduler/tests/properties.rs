//! Each promise of the core, on the traces of random scripts.

use proptest::prelude::*;

use crate::scheduler::tests::script::a_story;
use crate::scheduler::tests::world::run;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Admission, victims, picks, batches, expiry, deadlines: the core does what the model says, at every step.
    #[test]
    fn the_core_does_what_the_model_says((setup, script) in a_story()) {
        run(&setup, &script);
    }
}
