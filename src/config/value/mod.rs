//! The kinds of value that a setting can have: how each is read from TOML, from the text of a variable, and what is
//! allowed, in one phrase.
//!
//! A value that was read is normalised: durations are nanoseconds, sizes are bytes, a single name in place of a list
//! is a list. So what comes after can rely on its shape and range, whatever layer it came from.
//! Cross-checks between settings are not made here.

pub(super) mod quantity;
pub(super) mod written;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeValue};

pub(super) use self::quantity::Bare;
use self::quantity::{MAX_BYTES, bytes, digits, nanos, nanos_from_number};
use super::nearest::nearest;
use super::problem::quoted;
use crate::class::PriorityClass;
use crate::event::FieldPath;

/// A kind of value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueKind {
    Boolean,
    /// A whole number in a range, both ends included.
    Integer {
        min: u64,
        max: u64,
    },
    /// A whole number in a range, or `"auto"`.
    Workers {
        max: u64,
    },
    /// A number above 0 and up to 1.
    Ratio,
    /// Nanoseconds, up to [`quantity::MAX_NANOS`]; `zero` allows 0, `off` allows `"off"`.
    Duration {
        zero: bool,
        off: bool,
    },
    /// Bytes, from `min` to [`MAX_BYTES`].
    Size {
        min: u64,
    },
    /// One of the names; those of `later` are known, but not to this version.
    Choice {
        names: &'static [&'static str],
        later: &'static [&'static str],
    },
    /// Some of the names.
    Choices(&'static [&'static str]),
    /// The name of a priority class.
    Class,
    /// `"off"`: the other spelling is a table.
    Off,
    /// Text without NUL; `empty` allows none at all.
    Text {
        empty: bool,
    },
    /// A list of texts, not empty.
    TextList,
    /// A string for the shell or a list to execute.
    Command,
    /// A boolean or a list of texts.
    BooleanOrList,
    /// `"hook"`, `"session"` or `"field:PATH"`.
    BatchKey,
    /// A JSON value to compare with: text, number or boolean.
    Scalar,
}

/// Why a value cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not what is allowed.
    Wrong {
        /// What was found, for "must be …, not …".
        found: String,
        hint: Option<String>,
        /// Where in the file, when it is a part of the value.
        at: Option<usize>,
    },
    /// It is right, but nothing in this version can do it. The value, when it is another value that could be used.
    NotSupported { value: Option<String> },
}

type Read = Result<Json, Fault>;

impl ValueKind {
    /// What is allowed, for "must be …".
    pub(crate) fn allowed(self) -> String {
        match self {
            Self::Boolean => "true or false".into(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Workers { max } => format!("a whole number from 1 to {max}, or \"auto\""),
            Self::Ratio => "a number above 0 and at most 1".into(),
            Self::Duration { zero, off } => format!(
                "a duration such as \"2s\" or \"500ms\", {} and at most 30 days{}",
                if zero { "not negative" } else { "above 0" },
                if off { ", or \"off\"" } else { "" },
            ),
            Self::Size { min } => format!("a size such as \"64MB\" or \"8MiB\", from {min} bytes to 1 TiB"),
            Self::Choice { names, later } => one_of(names.iter().chain(later)),
            Self::Choices(names) => format!("a list of names out of {}", one_of(names)),
            Self::Class => one_of(&PriorityClass::ALL.map(PriorityClass::name)),
            Self::Off => "a table, or \"off\"".into(),
            Self::Text { empty: true } => "text without NUL".into(),
            Self::Text { empty: false } => "text that is not empty, without NUL".into(),
            Self::TextList => "a list of texts, not empty, such as [\"one\", \"two\"]".into(),
            Self::Command => {
                "a string for the shell, or a list of program and arguments, neither empty".into()
            }
            Self::BooleanOrList => "true, false or a list of names".into(),
            Self::BatchKey => "\"hook\", \"session\" or \"field:PATH\"".into(),
            Self::Scalar => "text, a number or a boolean".into(),
        }
    }

    /// Reads a value of a TOML document.
    pub(crate) fn read(self, value: &Spanned<DeValue<'_>>) -> Read {
        match (self, value.get_ref()) {
            (Self::Boolean | Self::BooleanOrList | Self::Scalar, DeValue::Boolean(flag)) => {
                Ok((*flag).into())
            }
            (
                Self::Integer { .. } | Self::Workers { .. } | Self::Size { .. } | Self::Scalar,
                DeValue::Integer(n),
            ) => {
                let number = integer(n).ok_or_else(|| wrong(n.to_string()))?;
                self.number(number)
            }
            (Self::Ratio, DeValue::Integer(n)) => ratio(&n.to_string()),
            (Self::Ratio, DeValue::Float(n)) => ratio(n.as_str()),
            (Self::Duration { .. }, DeValue::Integer(n)) => {
                let nanos = integer(n).and_then(|number| nanos(&number.to_string(), Bare::Seconds));
                self.checked_nanos(nanos, &n.to_string())
            }
            (Self::Duration { .. }, DeValue::Float(n)) => {
                let number = n.as_str().parse().ok();
                self.checked_nanos(
                    number.and_then(|number| nanos_from_number(number, Bare::Seconds)),
                    n.as_str(),
                )
            }
            (Self::Scalar, DeValue::Float(n)) => finite(n.as_str()),
            (Self::Scalar, DeValue::String(text)) => Ok(text.as_ref().into()),
            (
                Self::TextList | Self::Choices(_) | Self::BooleanOrList | Self::Command,
                DeValue::Array(items),
            ) => self.list(items),
            (Self::TextList, DeValue::String(text)) if !text.is_empty() && !text.contains('\0') => {
                Ok(vec![text.as_ref()].into())
            }
            (
                Self::Boolean | Self::TextList | Self::Choices(_) | Self::BooleanOrList,
                DeValue::String(text),
            ) => Err(wrong(format!("the text {}", quoted(text)))),
            (Self::Integer { .. } | Self::Ratio, DeValue::String(text)) => Err(Fault::Wrong {
                found: format!("the text {}", quoted(text)),
                hint: text.trim().parse::<f64>().is_ok().then(|| "write it without quotes".to_owned()),
                at: None,
            }),
            (Self::Scalar, DeValue::Table(_)) => Err(Fault::Wrong {
                found: "a table".into(),
                hint: Some("a path with dots is written in quotes: \"a.b\" = 1".into()),
                at: None,
            }),
            (_, DeValue::String(text)) => self.text(text, Bare::Seconds),
            (_, other) => Err(wrong(described(other))),
        }
    }

    /// Reads the text of a variable or of an option. Lists are written as in TOML.
    pub(crate) fn read_text(self, text: &str, bare: Bare) -> Read {
        let trimmed = text.trim();
        if trimmed.is_empty() && !matches!(self, Self::Text { empty: true }) {
            return Err(wrong("empty".into()));
        }
        match self {
            Self::Boolean => boolean(trimmed).map(Json::Bool).ok_or_else(|| Fault::Wrong {
                found: quoted(text),
                hint: Some("1, yes and on are true; 0, no and off are false".into()),
                at: None,
            }),
            Self::BooleanOrList if boolean(trimmed).is_some() => Ok(boolean(trimmed).into()),
            Self::Integer { .. } => {
                let number = digits(trimmed.strip_prefix('+').unwrap_or(trimmed));
                number.map_or_else(|| Err(wrong(quoted(text))), |number| self.number(i128::from(number)))
            }
            Self::Ratio => ratio(trimmed),
            Self::Scalar => scalar(trimmed),
            Self::TextList | Self::Choices(_) | Self::BooleanOrList => self.read_list(trimmed),
            Self::Command if trimmed.starts_with('[') => self.read_list(trimmed),
            Self::Command | Self::Text { .. } => self.text(text, bare),
            _ => self.text(trimmed, bare),
        }
    }

    /// Reads text in the form that TOML and variables share.
    fn text(self, text: &str, bare: Bare) -> Read {
        match self {
            Self::Duration { off: true, .. } | Self::Off if text == "off" => Ok("off".into()),
            Self::Workers { .. } if text == "auto" => Ok("auto".into()),
            Self::Workers { .. } => {
                let number = digits(text).ok_or_else(|| wrong(found(text)))?;
                self.number(i128::from(number))
            }
            Self::Duration { .. } => self.checked_nanos(nanos(text, bare), &found(text)),
            Self::Size { .. } => {
                let size = bytes(text).ok_or_else(|| wrong(found(text)))?;
                self.number(i128::from(size))
            }
            Self::Choice { names, later } => {
                if later.contains(&text) {
                    return Err(Fault::NotSupported { value: Some(text.to_owned()) });
                }
                choice(text, names)
            }
            Self::Class => choice(text, &PriorityClass::ALL.map(PriorityClass::name)),
            Self::Text { empty } if (empty || !text.is_empty()) && !text.contains('\0') => Ok(text.into()),
            Self::Command if !text.trim().is_empty() && !text.contains('\0') => Ok(text.into()),
            Self::BatchKey
                if matches!(text, "hook" | "session")
                    || text.strip_prefix("field:").is_some_and(|path| path.parse::<FieldPath>().is_ok()) =>
            {
                Ok(text.into())
            }
            _ => Err(wrong(found(text))),
        }
    }

    fn number(self, number: i128) -> Read {
        let (min, max) = match self {
            Self::Integer { min, max } => (min, max),
            Self::Workers { max } => (1, max),
            Self::Size { min } => (min, MAX_BYTES),
            // The numbers of JSON have no limit here but that of the type.
            _ => return i64::try_from(number).map(Json::from).map_err(|_| wrong(number.to_string())),
        };
        u64::try_from(number)
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(Json::from)
            .ok_or_else(|| wrong(number.to_string()))
    }

    fn checked_nanos(self, nanos: Option<u64>, found: &str) -> Read {
        let zero = matches!(self, Self::Duration { zero: true, .. });
        nanos.filter(|nanos| zero || *nanos > 0).map(Json::from).ok_or_else(|| wrong(found.to_owned()))
    }

    fn list(self, items: &DeArray<'_>) -> Read {
        let mut list = Vec::new();
        for item in items {
            let at = Some(item.span().start);
            let DeValue::String(text) = item.get_ref() else {
                return Err(Fault::Wrong {
                    found: format!("a list with {}", described(item.get_ref())),
                    hint: None,
                    at,
                });
            };
            if text.contains('\0') {
                return Err(Fault::Wrong { found: "a list with a NUL in it".into(), hint: None, at });
            }
            if let Self::Choices(names) = self {
                choice(text, names).map_err(|fault| match fault {
                    Fault::Wrong { found, hint, .. } => Fault::Wrong { found, hint, at },
                    Fault::NotSupported { .. } => fault,
                })?;
            }
            list.push(Json::from(text.as_ref()));
        }
        let first_is_empty = list.first().is_some_and(|first| first.as_str().is_some_and(str::is_empty));
        let needs_one = matches!(self, Self::TextList | Self::Command);
        if needs_one && list.is_empty() {
            return Err(wrong("an empty list".into()));
        }
        if matches!(self, Self::Command) && first_is_empty {
            return Err(wrong("a list whose program is empty".into()));
        }
        Ok(list.into())
    }

    /// Reads a list in TOML's form from text.
    fn read_list(self, text: &str) -> Read {
        let not_a_list = || Fault::Wrong {
            found: quoted(text),
            hint: Some("a list is written as in TOML: [\"one\", \"two\"]".into()),
            at: None,
        };
        match DeValue::parse(text) {
            Ok(value) if matches!(value.get_ref(), DeValue::Array(_)) => self.read(&value),
            _ => Err(not_a_list()),
        }
    }
}

fn wrong(found: String) -> Fault {
    Fault::Wrong { found, hint: None, at: None }
}

fn choice(text: &str, names: &[&str]) -> Read {
    if names.contains(&text) {
        return Ok(text.into());
    }
    let hint = nearest(text, names.iter().copied()).map(|name| format!("did you mean {}?", quoted(name)));
    Err(Fault::Wrong { found: found(text), hint, at: None })
}

/// Text that was found, for "not …".
fn found(text: &str) -> String {
    if text.is_empty() { "empty".into() } else { quoted(text) }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn ratio(text: &str) -> Read {
    let number = text.replace('_', "").parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1.0);
    number.map(Json::from).ok_or_else(|| wrong(quoted(text)))
}

fn finite(text: &str) -> Read {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(Json::from).ok_or_else(|| wrong(quoted(text)))
}

/// A scalar as TOML writes it; anything else is text as it stands.
fn scalar(text: &str) -> Read {
    match DeValue::parse(text) {
        Ok(value) => ValueKind::Scalar.read(&value),
        Err(_) => Ok(text.into()),
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value of the wrong type, for "not …".
pub(crate) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", super::problem::shown(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", super::problem::shown(number.as_str())),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

fn one_of<'a>(names: impl IntoIterator<Item = &'a &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| quoted(name)).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests;
