//! The configuration as text, made from the registry that reads configurations, so that it says what the program does.

mod effective;
mod example;
mod schema;

pub use example::example;
pub use schema::schema;
