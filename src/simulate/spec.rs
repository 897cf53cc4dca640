//! A load as its users write it: a small TOML file, with every mistake found at once and told at its place.
//!
//! Invariant: a load is read whole or not at all. Whether its hooks exist is for the configuration to say.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draw::RunTime;
use super::load::{Arrivals, Load, StreamLoad, Target};
use crate::class::PriorityClass;
use crate::config::{
    ConfigError, Origin, Problems, Severity, SourceText, Spot, cannot_read, described, nearest,
    parse_duration, parse_file, read_source, shown,
};
use crate::recording;

const TOP: &[&str] = &["jobs", "duration", "overhead", "hook", "class"];
const STREAM: &[&str] = &["arrivals", "class", "sessions", "run_time", "per_event", "failures", "bytes"];
const ARRIVALS: &[&str] = &["poisson", "every", "burst"];
const RUN_TIME: &[&str] = &["exponential", "median", "p99", "from", "to"];

/// Longest time of any setting.
const LONGEST: Duration = Duration::from_hours(30 * 24);

type Value<'a> = Spanned<DeValue<'a>>;

pub(super) fn read(path: &Path) -> Result<Load, ConfigError> {
    let mut problems = Problems::default();
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) => {
            cannot_read(path, &error, &mut problems);
            return finish(None, problems);
        }
    };
    // No TOML begins with a brace. What cannot be read says so when it is.
    if file.fill_buf().is_ok_and(|begin| begin.first() == Some(&b'{')) {
        let recording = recording::read(path, file, &mut problems);
        problems.finish()?;
        let recording = recording.expect("a recording that could not be read has left a problem");
        return Ok(Load::recorded(recording, path));
    }
    let source = read_source(file, path, Path::new(""), &mut problems);
    finish(source, problems)
}

pub(super) fn parse(name: PathBuf, text: &str) -> Result<Load, ConfigError> {
    let source = Arc::new(SourceText::new(name, PathBuf::new(), text.to_owned()));
    finish(Some(source), Problems::default())
}

fn finish(source: Option<Arc<SourceText>>, mut problems: Problems) -> Result<Load, ConfigError> {
    let load = source.and_then(|source| {
        let table = parse_file(&source, &mut problems)?;
        Some(Reader { source: &source, problems: &mut problems }.load(table.get_ref()))
    });
    problems.finish()?;
    Ok(load.expect("a load that could not be read has left a problem"))
}

struct Reader<'a> {
    source: &'a Arc<SourceText>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn load(&mut self, table: &DeTable<'_>) -> Load {
        self.known("", table, TOP);
        let mut load = Load {
            streams: Vec::new(),
            jobs: None,
            duration: None,
            overhead: Duration::ZERO,
            recording: None,
        };
        for (name, _, value) in entries(table) {
            match name {
                "jobs" => load.jobs = self.whole(name, value, 1, 1_000_000_000_000),
                "duration" => load.duration = self.some_time(name, value),
                "overhead" => load.overhead = self.time(name, value).unwrap_or_default(),
                "hook" => {
                    self.streams(name, value, &mut load.streams, |name| Ok(Target::Hook(name.to_owned())));
                }
                "class" => {
                    self.streams(name, value, &mut load.streams, |name| class(name).map(Target::Class));
                }
                _ => {}
            }
        }
        if load.jobs.is_none() && load.duration.is_none() {
            load.jobs = Some(Load::JOBS);
        }
        let has_target = entries(table).iter().any(|(name, ..)| ["hook", "class"].contains(name));
        if load.streams.is_empty() && !has_target {
            let message = "nothing arrives".to_owned();
            let hint = "a table [hook.NAME] or [class.NAME] with `arrivals` makes jobs".to_owned();
            self.error(0, "", message, Some(hint));
        }
        load
    }

    fn streams(
        &mut self,
        group: &str,
        value: &Value<'_>,
        streams: &mut Vec<StreamLoad>,
        target: impl Fn(&str) -> Result<Target, String>,
    ) {
        let Some(table) = self.table(group, value) else { return };
        for (name, at, value) in entries(table) {
            let key = format!("{group}.{}", shown(name));
            match target(name) {
                Err(message) => self.error(at, &key, message, None),
                Ok(target) => {
                    let stream = StreamLoad::new(target, self.origin(at));
                    if let Some(table) = self.table(&key, value) {
                        streams.push(self.stream(&key, at, stream, table));
                    }
                }
            }
        }
    }

    fn stream(&mut self, key: &str, at: usize, mut stream: StreamLoad, table: &DeTable<'_>) -> StreamLoad {
        self.known(key, table, STREAM);
        let mut has_arrivals = false;
        for (name, at, value) in entries(table) {
            let key = format!("{key}.{name}");
            match name {
                "arrivals" => {
                    has_arrivals = true;
                    stream.arrivals = self.all_arrivals(&key, value);
                }
                "class" => stream.class = self.class(&key, value).map(|class| (class, self.origin(at))),
                "sessions" => stream.sessions = self.small(&key, value, 0).unwrap_or_default(),
                "bytes" => stream.bytes = self.small(&key, value, 0).unwrap_or_default(),
                "run_time" => stream.run_time = self.run_time(&key, value).unwrap_or(stream.run_time),
                "per_event" => stream.per_event = self.time(&key, value).unwrap_or_default(),
                "failures" => stream.failures = self.share(&key, value).unwrap_or_default(),
                _ => {}
            }
        }
        let has_unknown = entries(table).iter().any(|(name, ..)| !STREAM.contains(name));
        if !has_arrivals && !has_unknown {
            let hint = "write arrivals = { poisson = \"20/s\" }, { every = \"50ms\" } or { burst = 20, every = \"1s\" }";
            self.error(at, key, format!("`{key}` has no `arrivals`"), Some(hint.to_owned()));
        }
        stream
    }

    /// One table, or a list of them.
    fn all_arrivals(&mut self, key: &str, value: &Value<'_>) -> Vec<Arrivals> {
        match value.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                let message = format!("`{key}` must be a table or a list of tables, not an empty list");
                self.error(value.span().start, key, message, None);
                Vec::new()
            }
            DeValue::Array(items) => items.iter().filter_map(|item| self.arrivals(key, item)).collect(),
            _ => self.arrivals(key, value).into_iter().collect(),
        }
    }

    fn arrivals(&mut self, key: &str, value: &Value<'_>) -> Option<Arrivals> {
        let table = self.table(key, value)?;
        self.known(key, table, ARRIVALS);
        let [poisson, every, burst] = ["poisson", "every", "burst"].map(|name| find(table, name));
        match (poisson, every, burst) {
            (Some(rate), None, None) => {
                self.rate(&format!("{key}.poisson"), rate).map(|gap| Arrivals::Poisson { gap })
            }
            (None, Some(every), None) => self.some_time(&format!("{key}.every"), every).map(Arrivals::Every),
            (None, Some(every), Some(size)) => {
                let every = self.some_time(&format!("{key}.every"), every);
                let size = self.small(&format!("{key}.burst"), size, 1);
                every.zip(size).map(|(every, size)| Arrivals::Burst { size, every })
            }
            _ => {
                let message = format!("`{key}` must be one of `poisson`, `every`, or `burst` with `every`");
                self.error(value.span().start, key, message, None);
                None
            }
        }
    }

    fn run_time(&mut self, key: &str, value: &Value<'_>) -> Option<RunTime> {
        let DeValue::Table(table) = value.get_ref() else {
            return self.time(key, value).map(RunTime::fixed);
        };
        self.known(key, table, RUN_TIME);
        let pair = |reader: &mut Self, names: [&str; 2], values: [&Value<'_>; 2]| {
            let [low, high] = [0, 1].map(|at| {
                let (name, value) = (names.get(at)?, values.get(at)?);
                reader.some_time(&format!("{key}.{name}"), value)
            });
            let pair = low.zip(high)?;
            if pair.0 > pair.1 {
                let [low, high] = names;
                let message = format!("`{key}.{high}` must not be below `{low}`");
                reader.error(values[1].span().start, &format!("{key}.{high}"), message, None);
                return None;
            }
            Some(pair)
        };
        let [mean, median, p99, from, to] = [0, 1, 2, 3, 4].map(|at| find(table, RUN_TIME.get(at)?));
        match (mean, median, p99, from, to) {
            (Some(mean), None, None, None, None) => {
                self.some_time(&format!("{key}.exponential"), mean).map(RunTime::exponential)
            }
            (None, Some(median), Some(p99), None, None) => pair(self, ["median", "p99"], [median, p99])
                .map(|(median, p99)| RunTime::log_normal(median, p99)),
            (None, None, None, Some(from), Some(to)) => {
                pair(self, ["from", "to"], [from, to]).map(|(from, to)| RunTime::uniform(from, to))
            }
            _ => {
                let message = format!(
                    "`{key}` must be a time, or a table with `exponential`, `median` and `p99`, or `from` and `to`"
                );
                self.error(value.span().start, key, message, None);
                None
            }
        }
    }

    fn known(&mut self, key: &str, table: &DeTable<'_>, names: &[&'static str]) {
        for (name, at, _) in entries(table) {
            if !names.contains(&name) {
                let full = if key.is_empty() { shown(name) } else { format!("{key}.{}", shown(name)) };
                let hint = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", names.join(", ")),
                };
                self.error(at, &full, format!("unknown key `{full}`"), Some(hint));
            }
        }
    }

    fn table<'v, 'd>(&mut self, key: &str, value: &'v Value<'d>) -> Option<&'v DeTable<'d>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.wrong(key, value, "a table");
        None
    }

    /// A time; a bare number is seconds.
    fn time(&mut self, key: &str, value: &Value<'_>) -> Option<Duration> {
        let time = match value.get_ref() {
            DeValue::String(text) => parse_duration(text).ok(),
            other => number(other).and_then(|number| Duration::try_from_secs_f64(number).ok()),
        };
        let time = time.filter(|time| *time <= LONGEST);
        if time.is_none() {
            self.wrong(key, value, "a time such as \"2s\" or \"500ms\", at most 30 days");
        }
        time
    }

    /// A time that is not zero.
    fn some_time(&mut self, key: &str, value: &Value<'_>) -> Option<Duration> {
        let time = self.time(key, value)?;
        if time.is_zero() {
            self.wrong(key, value, "a time above zero");
        }
        Some(time).filter(|time| !time.is_zero())
    }

    /// Mean distance, in nanoseconds, of what comes at a rate.
    fn rate(&mut self, key: &str, value: &Value<'_>) -> Option<f64> {
        let gap = match value.get_ref() {
            DeValue::String(text) => gap(text),
            _ => None,
        };
        if gap.is_none() {
            self.wrong(key, value, "a rate such as \"20/s\", \"5/m\" or \"0.5/s\"");
        }
        gap
    }

    fn whole(&mut self, key: &str, value: &Value<'_>, least: u64, most: u64) -> Option<u64> {
        let found = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', "").parse().ok(),
            _ => None,
        };
        let found = found.filter(|found| (least..=most).contains(found));
        if found.is_none() {
            self.wrong(key, value, &format!("a whole number from {least} to {most}"));
        }
        found
    }

    fn small(&mut self, key: &str, value: &Value<'_>, least: u64) -> Option<u32> {
        self.whole(key, value, least, 1_000_000_000).and_then(|number| u32::try_from(number).ok())
    }

    fn share(&mut self, key: &str, value: &Value<'_>) -> Option<f64> {
        let share = number(value.get_ref()).filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.wrong(key, value, "a number from 0 to 1");
        }
        share
    }

    fn class(&mut self, key: &str, value: &Value<'_>) -> Option<PriorityClass> {
        let found = match value.get_ref() {
            DeValue::String(text) => PriorityClass::from_name(text),
            _ => None,
        };
        if found.is_none() {
            self.wrong(key, value, "critical, high, normal or low");
        }
        found
    }

    fn wrong(&mut self, key: &str, value: &Value<'_>, allowed: &str) {
        let message = format!("`{key}` must be {allowed}, not {}", described(value.get_ref()));
        self.error(value.span().start, key, message, None);
    }

    fn error(&mut self, at: usize, key: &str, message: String, hint: Option<String>) {
        self.problems.push(self.origin(at), key, Severity::Error, message, hint);
    }

    fn origin(&self, at: usize) -> Origin {
        Spot::File(Arc::clone(self.source), at).origin()
    }
}

/// The entries of a table in the order of the text: name, place of the name, value.
fn entries<'t, 'd>(table: &'t DeTable<'d>) -> Vec<(&'t str, usize, &'t Value<'d>)> {
    let mut entries: Vec<_> =
        table.iter().map(|(name, value)| (&**name.get_ref(), name.span().start, value)).collect();
    entries.sort_by_key(|(_, at, _)| *at);
    entries
}

fn find<'t, 'd>(table: &'t DeTable<'d>, name: &str) -> Option<&'t Value<'d>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}

fn class(name: &str) -> Result<PriorityClass, String> {
    PriorityClass::from_name(name)
        .ok_or_else(|| format!("`{}` is no class: critical, high, normal or low", shown(name)))
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    text.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
}

/// Nanoseconds between two of `20/s`, `5/m` or `1.5/h`.
fn gap(text: &str) -> Option<f64> {
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let count: f64 = count.trim().parse().ok()?;
    // From one in some days to one in a nanosecond.
    let gap = seconds / count * 1e9;
    (count > 0.0 && (1.0..=2.6e15).contains(&gap)).then_some(gap)
}
