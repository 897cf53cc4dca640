//! The words of the ledger: how an admitted job ended, why one was refused, why one was skipped.
//!
//! Every list is complete and in the order of reports. A report shows each name, zeros included.

use std::fmt;

macro_rules! names {
    ($(#[$enum_doc:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$doc])* $variant),+
        }

        impl $type {
            /// Every one, in the order of reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The spelling in reports and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Position in `ALL`.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(super) use names;

names! {
    /// How an admitted job ended. Each admitted job has exactly one.
    OutcomeKind {
        /// The handler did its work: exit status 0.
        Succeeded = "succeeded",
        /// The handler ran and said, or showed, that it failed.
        Failed = "failed",
        /// The handler ran longer than its timeout and was stopped.
        TimedOut = "timed_out",
        /// The handler, a Rust closure, panicked.
        Panicked = "panicked",
        /// The handler could not be started.
        NotStarted = "not_started",
        /// It gave up its place in a full queue to a more important job.
        Displaced = "displaced",
        /// It waited longer than `max_wait`.
        Expired = "expired",
        /// It was stopped by a caller, or was running at the end of the shutdown.
        Cancelled = "cancelled",
        /// It had not been started when the shutdown's deadline came.
        Abandoned = "abandoned",
    }
}

impl OutcomeKind {
    /// True when the handler was started: the job has a run time.
    #[must_use]
    pub const fn has_run(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::TimedOut | Self::Panicked)
    }

    /// True for the outcomes that are the handler's own failure.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Panicked | Self::NotStarted)
    }
}

names! {
    /// Why a job was not admitted.
    Refusal {
        /// The queue is full.
        Full = "full",
        /// The job's class has reached its ceiling.
        ClassFull = "class_full",
        /// The payloads that wait have reached `max_bytes`.
        BytesFull = "bytes_full",
        /// The event is larger than `max_event_bytes`.
        TooLarge = "too_large",
        /// The pool takes nothing more: it is shutting down.
        Closed = "closed",
    }
}

impl Refusal {
    /// True when the same job could be admitted later: it was refused for want of room.
    #[must_use]
    pub const fn is_for_room(self) -> bool {
        matches!(self, Self::Full | Self::ClassFull | Self::BytesFull)
    }

    /// What would let such jobs in. `None`: nothing does.
    #[must_use]
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Full => Some(
                "raise `queue.capacity` or `pool.workers`, or drop the least important with `queue.on_full = \"displace\"`",
            ),
            Self::ClassFull => Some("raise the class's `ceiling`, or give it more `seats`"),
            Self::BytesFull => Some("raise `queue.max_bytes` or `pool.workers`"),
            Self::TooLarge => Some("raise `queue.max_event_bytes`, which is at most `queue.max_bytes`"),
            Self::Closed => None,
        }
    }
}

names! {
    /// Why a job was never offered to the queue.
    Skip {
        /// No hook wants the event.
        NoMatch = "no_match",
        /// Every way in which the hook matches is switched off in `[kinds]`.
        KindDisabled = "kind_disabled",
        /// The hook says `enabled = false`.
        HookDisabled = "hook_disabled",
        /// `performance_mode` is on.
        PerformanceMode = "performance_mode",
        /// The hook's circuit breaker is open.
        BreakerOpen = "breaker_open",
        /// The same event was submitted before.
        Duplicate = "duplicate",
        /// The configuration is invalid.
        ConfigError = "config_error",
    }
}
