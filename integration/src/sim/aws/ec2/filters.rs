//! Filters of Describe calls.

use std::collections::BTreeMap;

use super::super::answer::{Result, refuse};
use super::super::form::Form;
use super::super::policy::glob;

/// A filter takes this many values; all filters of a call together, too.
const MOST_VALUES: usize = 200;

pub(super) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub fn read(form: &Form) -> Result<Filters> {
        let mut filters = Vec::new();
        let mut values = 0;
        for number in form.numbers("Filter") {
            let name = form.need(&format!("Filter.{number}.Name"))?.to_owned();
            let list = form.list(&format!("Filter.{number}.Value"));
            if list.is_empty() {
                return refuse("InvalidParameterValue", format!("The filter '{name}' has no value"));
            }
            values += list.len();
            filters.push((name, list.into_iter().map(str::to_owned).collect()));
        }
        if values > MOST_VALUES {
            return refuse(
                "FilterLimitExceeded",
                format!("The maximum number of filter values specified on a single call is {MOST_VALUES}"),
            );
        }
        Ok(Filters(filters))
    }

    /// Whether a thing passes all of them. `of` gives what a filter looks at; `None`: there is no such filter.
    pub fn pass(&self, tags: &BTreeMap<String, String>, of: impl Fn(&str) -> Option<Vec<String>>) -> Result<bool> {
        for (name, values) in &self.0 {
            let looked_at = if name == "tag-key" {
                tags.keys().cloned().collect()
            } else if name == "tag-value" {
                tags.values().cloned().collect()
            } else if let Some(key) = name.strip_prefix("tag:") {
                tags.get(key).cloned().into_iter().collect()
            } else {
                match of(name) {
                    Some(looked_at) => looked_at,
                    None => return refuse("InvalidParameterValue", format!("The filter '{name}' is invalid")),
                }
            };
            if !values.iter().any(|pattern| looked_at.iter().any(|text| glob(pattern, text))) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Finds unknown names even when there is nothing to look at.
    pub fn check(&self, known: &[&str]) -> Result<()> {
        let generic = |name: &str| name == "tag-key" || name == "tag-value" || name.starts_with("tag:");
        match self.0.iter().find(|(name, _)| !generic(name) && !known.contains(&name.as_str())) {
            Some((name, _)) => refuse("InvalidParameterValue", format!("The filter '{name}' is invalid")),
            None => Ok(()),
        }
    }
}
