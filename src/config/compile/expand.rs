//! `${config_dir}` and `${env:NAME}` in the values of hooks.
//!
//! Expansion is textual and happens once, when the configuration is loaded. `$${` stands for a literal `${`. What it
//! puts in may be any bytes that a path or variable can hold, so the result is no `String`.

use std::ffi::OsString;
use std::path::Path;

use super::super::env::Environment;
use super::super::problem::shown;

/// Who reads the expanded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The shell: `${NAME}` is its own and is left to it.
    Shell,
    /// Anything else: an unknown `${…}` is a mistake.
    Plain,
}

/// The variables that `${env:NAME}` names in the text.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${env:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// What the names stand for.
pub(super) struct Scope<'a> {
    pub(super) environment: &'a Environment,
    pub(super) config_dir: &'a Path,
}

impl Scope<'_> {
    /// The text with every known name replaced, and what came from the environment.
    ///
    /// # Errors
    /// The name that stands for nothing, as a message.
    pub(super) fn expand(&self, text: &str, reader: Reader) -> Result<(OsString, Vec<OsString>), String> {
        let mut expanded = OsString::new();
        let mut used = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                expanded.push(before);
                expanded.push("${");
                rest = after;
                continue;
            }
            expanded.push(before);
            let name = after.split_once('}').map(|(name, _)| name);
            let value = match name {
                Some("config_dir") => self.config_dir.as_os_str(),
                Some(name) if name.starts_with("env:") => {
                    let variable = name.strip_prefix("env:").unwrap_or_default();
                    let value = self.environment.get(std::ffi::OsStr::new(variable));
                    let value =
                        value.ok_or_else(|| format!("the variable `{}` is not set", shown(variable)))?;
                    used.push(value.clone());
                    value
                }
                _ if reader == Reader::Shell => {
                    expanded.push("${");
                    rest = after;
                    continue;
                }
                Some(name) => return Err(format!("`${{{}}}` stands for nothing", shown(name))),
                None => return Err("a `${` has no `}`".into()),
            };
            expanded.push(value);
            rest = after.split_once('}').map_or("", |(_, rest)| rest);
        }
        expanded.push(rest);
        Ok((expanded, used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, reader: Reader) -> Result<String, String> {
        let environment =
            Environment::from([("USER".into(), "ada".into()), ("X".into(), "${env:USER}".into())]);
        let scope = Scope { environment: &environment, config_dir: Path::new("/etc/my hooks") };
        scope.expand(text, reader).map(|(text, _)| text.into_string().unwrap())
    }

    #[test]
    fn names_are_replaced_once() {
        for (text, result) in [
            ("plain", "plain"),
            ("${config_dir}/x.py", "/etc/my hooks/x.py"),
            ("<${env:USER}${env:USER}>", "<adaada>"),
            ("${env:X}", "${env:USER}"),
            ("$${config_dir} $$ $", "${config_dir} $$ $"),
            ("", ""),
        ] {
            assert_eq!(expand(text, Reader::Plain).unwrap(), result, "{text}");
            assert_eq!(expand(text, Reader::Shell).unwrap(), result, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_the_shells_or_a_mistake() {
        for text in ["${HOME}", "a ${x:-y} b", "${", "${config_dir", "${}"] {
            assert_eq!(expand(text, Reader::Shell).unwrap(), text);
            assert!(expand(text, Reader::Plain).is_err(), "{text}");
        }
        for reader in [Reader::Shell, Reader::Plain] {
            assert_eq!(expand("${env:NONE}", reader).unwrap_err(), "the variable `NONE` is not set");
            assert!(expand("${env:}", reader).is_err());
            assert!(expand("${env:env:USER}", reader).is_err());
        }
    }
}
