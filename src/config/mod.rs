//! What the user wrote, from every layer, made into one checked [`Config`].

mod settings;

pub use settings::{
    ClassSettings, Config, KindPriorities, OnFull, PickMode, PoolSettings, QueueSettings, SchedulerSettings,
    ShutdownSettings,
};
