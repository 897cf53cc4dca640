//! The layers merged key by key, with the layer that won for every value.
//!
//! The one module that knows figment: each layer becomes a provider, figment merges them and tags every value with
//! the provider it came from, and the tag leads back to the layer and so to the line or variable.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::de::DeserializeOwned;

use super::layer::{Key, Layer};
use super::loaded::EffectiveValue;
use super::source::Spot;

/// Every layer, the least important first, and what they make together.
pub(super) struct Merged<'a> {
    layers: &'a [Layer],
    figment: Figment,
    root: Value,
}

struct LayerProvider<'a> {
    index: usize,
    layer: &'a Layer,
}

impl Provider for LayerProvider<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from(self.layer.label.clone(), self.index.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let values = Value::serialize(&self.layer.values)?;
        Ok(Profile::Default.collect(values.into_dict().unwrap_or_default()))
    }
}

impl<'a> Merged<'a> {
    /// Merges the layers; a later one wins.
    pub(super) fn new(layers: &'a [Layer]) -> Self {
        let mut figment = Figment::new();
        for (index, layer) in layers.iter().enumerate() {
            figment = figment.merge(LayerProvider { index, layer });
        }
        let root = figment.find_value("").unwrap_or_else(|_| Value::from(Dict::new()));
        Self { layers, figment, root }
    }

    /// The values in the shape of `T`.
    ///
    /// # Errors
    /// The text of the mismatch. The registry has checked every value, so there is none unless it and `T` disagree.
    pub(super) fn extract<T: DeserializeOwned>(&self) -> Result<T, String> {
        self.root.deserialize().map_err(|error| error.to_string())
    }

    /// Where the value of the key stands, or the table around it.
    pub(super) fn spot(&self, key: &Key) -> Spot {
        self.winner(key).and_then(|index| self.layers.get(index)?.spot(key)).cloned().unwrap_or(Spot::BuiltIn)
    }

    /// Every value with its place, by its dotted key.
    pub(super) fn values(&self) -> BTreeMap<String, EffectiveValue> {
        let mut values = BTreeMap::new();
        let mut tables: Vec<(Key, &Value)> = vec![(Key::default(), &self.root)];
        while let Some((key, value)) = tables.pop() {
            if let Some(dict) = value.as_dict() {
                tables.extend(dict.iter().map(|(name, value)| (key.child(name), value)));
                continue;
            }
            let spot = self.spot(&key);
            let value = serde_json::to_value(value).unwrap_or_default();
            values.insert(key.to_string(), EffectiveValue { key, value, spot });
        }
        values
    }

    /// The number that the key has, if its value is one.
    pub(super) fn number(&self, key: &Key) -> Option<u64> {
        let number = self.find(key)?.to_u128()?;
        u64::try_from(number).ok()
    }

    /// The text that the key has, if its value is one.
    pub(super) fn text(&self, key: &Key) -> Option<&str> {
        self.find(key)?.as_str()
    }

    /// The texts of the list that the key has.
    pub(super) fn texts(&self, key: &Key) -> Vec<&str> {
        let items = self.find(key).and_then(Value::as_array).unwrap_or_default();
        items.iter().filter_map(Value::as_str).collect()
    }

    /// True when the key has a value or a table.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &Key) -> Option<&Value> {
        key.0.iter().try_fold(&self.root, |value, part| value.as_dict()?.get(part))
    }

    /// True when a layer above the built-in one has set the value.
    pub(super) fn is_set(&self, key: &Key) -> bool {
        !matches!(self.spot(key), Spot::BuiltIn)
    }

    /// Where the first layer that mentions the key has it.
    pub(super) fn first_spot(&self, key: &Key) -> Option<&'a Spot> {
        self.layers.iter().find_map(|layer| layer.spots.get(key))
    }

    /// True when a value of the key was refused in some layer, or a table around it.
    pub(super) fn was_refused(&self, key: &Key) -> bool {
        key.outwards().any(|key| self.layers.iter().any(|layer| layer.refused.contains(key)))
    }

    /// The layer that gave the value of the key, by position.
    fn winner(&self, key: &Key) -> Option<usize> {
        let mut value = &self.root;
        for part in &key.0 {
            let Some(dict) = value.as_dict() else { break };
            value = dict.get(part)?;
        }
        match self.figment.get_metadata(value.tag())?.source.as_ref()? {
            figment::Source::Custom(index) => index.parse().ok(),
            _ => None,
        }
    }
}
