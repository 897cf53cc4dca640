//! Priority classes: the four named levels of importance, a table with one value for each, and sets of them.
//!
//! A class deliberately has no `Ord`: "greater" could mean the larger number or the more important one. Ask
//! [`PriorityClass::is_more_important_than`] instead. Everything that walks the classes does so from the most
//! important one down.

use std::fmt;
use std::ops::{Index, IndexMut};

/// How important a job is. Named, never numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PriorityClass {
    /// Answers that somebody waits for, and whatever must never wait.
    Critical,
    /// Soon: delegations by default.
    High,
    /// The class of a hook that says nothing.
    Normal,
    /// Whenever there is room: audits, statistics, logs.
    Low,
}

impl PriorityClass {
    /// Number of classes.
    pub const COUNT: usize = 4;

    /// Every class, the most important first.
    pub const ALL: [Self; Self::COUNT] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// Position in [`PriorityClass::ALL`]: 0 is the most important.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The spelling in `hooks.toml`, reports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The class of that name, if there is one.
    ///
    /// ```
    /// use hookpool::PriorityClass;
    /// assert_eq!(PriorityClass::from_name("high"), Some(PriorityClass::High));
    /// assert_eq!(PriorityClass::from_name("urgent"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// True when `self` goes before `other`.
    ///
    /// ```
    /// use hookpool::PriorityClass;
    /// assert!(PriorityClass::Critical.is_more_important_than(PriorityClass::Low));
    /// assert!(!PriorityClass::High.is_more_important_than(PriorityClass::High));
    /// ```
    #[must_use]
    pub const fn is_more_important_than(self, other: Self) -> bool {
        (self as usize) < (other as usize)
    }

    /// The more important of the two.
    #[must_use]
    pub const fn most_important(self, other: Self) -> Self {
        if other.is_more_important_than(self) { other } else { self }
    }
}

impl fmt::Display for PriorityClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One value for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T>([T; PriorityClass::COUNT]);

impl<T> PerClass<T> {
    /// Makes the table by asking for the value of each class, the most important first.
    pub fn from_fn(mut value: impl FnMut(PriorityClass) -> T) -> Self {
        Self(PriorityClass::ALL.map(&mut value))
    }

    /// The classes with their values, the most important first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (PriorityClass, &T)> {
        PriorityClass::ALL.into_iter().zip(&self.0)
    }

    /// The classes with their values to change, the most important first.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (PriorityClass, &mut T)> {
        PriorityClass::ALL.into_iter().zip(&mut self.0)
    }

    /// The values alone, the most important class first.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter()
    }
}

impl<T> Index<PriorityClass> for PerClass<T> {
    type Output = T;

    // The table has one entry for each class, so the index is always inside it.
    fn index(&self, class: PriorityClass) -> &T {
        match (&self.0, class) {
            ([value, ..], PriorityClass::Critical)
            | ([_, value, ..], PriorityClass::High)
            | ([_, _, value, _], PriorityClass::Normal)
            | ([.., value], PriorityClass::Low) => value,
        }
    }
}

impl<T> IndexMut<PriorityClass> for PerClass<T> {
    fn index_mut(&mut self, class: PriorityClass) -> &mut T {
        match (&mut self.0, class) {
            ([value, ..], PriorityClass::Critical)
            | ([_, value, ..], PriorityClass::High)
            | ([_, _, value, _], PriorityClass::Normal)
            | ([.., value], PriorityClass::Low) => value,
        }
    }
}

/// Some of the classes: a bit for each, so that questions about all of them at once cost one instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassSet(u8);

impl ClassSet {
    pub(crate) const ALL: Self = Self((1 << PriorityClass::COUNT) - 1);

    /// Those for which `is_in` says so.
    pub(crate) fn from_fn(mut is_in: impl FnMut(PriorityClass) -> bool) -> Self {
        let bit = |class| if is_in(class) { Self::of(class).0 } else { 0 };
        Self(PriorityClass::ALL.into_iter().map(bit).fold(0, |bits, bit| bits | bit))
    }

    const fn of(class: PriorityClass) -> Self {
        Self(1 << class.index())
    }

    /// A bit for each class, the lowest for the most important.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn contains(self, class: PriorityClass) -> bool {
        self.0 & Self::of(class).0 != 0
    }

    pub(crate) fn set(&mut self, class: PriorityClass, is_in: bool) {
        let bit = Self::of(class).0;
        self.0 = if is_in { self.0 | bit } else { self.0 & !bit };
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are less important than `class`.
    pub(crate) const fn below(self, class: PriorityClass) -> Self {
        let up_to = (Self::of(class).0 << 1) - 1;
        Self(self.0 & !up_to)
    }

    /// The classes, the most important first.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = PriorityClass> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let first = rest.first();
            rest.0 &= rest.0.wrapping_sub(1);
            first
        })
    }

    /// The most important one.
    #[inline]
    pub(crate) fn first(self) -> Option<PriorityClass> {
        PriorityClass::ALL.get(self.0.trailing_zeros() as usize).copied()
    }

    /// The least important one.
    #[inline]
    pub(crate) fn last(self) -> Option<PriorityClass> {
        PriorityClass::ALL.get(u8::BITS.wrapping_sub(self.0.leading_zeros() + 1) as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for class in PriorityClass::ALL {
            assert_eq!(PriorityClass::from_name(class.name()), Some(class));
        }
        assert_eq!(PriorityClass::from_name("High"), None);
    }

    #[test]
    fn table_order_is_importance() {
        let table = PerClass::from_fn(PriorityClass::index);
        assert!(table.values().copied().eq(0..4));
        for (class, index) in table.iter() {
            assert_eq!(table[class], *index);
        }
    }

    #[test]
    fn a_set_has_what_it_is_told() {
        use PriorityClass::{Critical, High, Low, Normal};
        for bits in 0..16 {
            let set = ClassSet::from_fn(|class| bits & 1 << class.index() != 0);
            assert_eq!(set.bits(), bits);
            assert_eq!(set.is_empty(), bits == 0);
            let classes: Vec<_> =
                PriorityClass::ALL.into_iter().filter(|class| set.contains(*class)).collect();
            assert!(set.iter().eq(classes.iter().copied()), "{set:?}");
            assert_eq!((set.first(), set.last()), (classes.first().copied(), classes.last().copied()));
            for class in PriorityClass::ALL {
                assert_eq!(set.contains(class), set.iter().any(|other| other == class));
                let below = set.iter().filter(|other| class.is_more_important_than(*other));
                assert!(set.below(class).iter().eq(below), "{set:?} below {class}");
            }
        }
        let mut set = ClassSet::default();
        set.set(High, true);
        set.set(Low, true);
        let other = ClassSet::from_fn(|class| class != Low);
        assert!(set.and(other).iter().eq([High]));
        assert_eq!(set.or(other), ClassSet::ALL);
        assert!(set.without(other).iter().eq([Low]));
        assert!(other.without(set).iter().eq([Critical, Normal]));
        set.set(High, false);
        assert_eq!(set.first(), Some(Low));
    }
}
