//! Requests of the query protocols (EC2, STS): a form with numbered lists.

use std::collections::BTreeMap;

use super::answer::{Result, refuse};

/// A request's parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub fn parse(body: &[u8]) -> Form {
        Form(form_urlencoded::parse(body).into_owned().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn need(&self, name: &str) -> Result<&str> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => refuse("MissingParameter", format!("The request must contain the parameter {name}")),
        }
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// The numbers that follow `name.`, in order.
    pub fn numbers(&self, name: &str) -> Vec<u32> {
        let prefix = format!("{name}.");
        let names = self.0.range(prefix.clone()..).map(|(name, _)| name);
        let mut numbers: Vec<u32> = names
            .map_while(|name| name.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('.').next()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The values of `name.1`, `name.2`, ...
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.numbers(name).into_iter().filter_map(|number| self.get(&format!("{name}.{number}"))).collect()
    }

    /// A number within bounds.
    pub fn number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => refuse(
                "InvalidParameterValue",
                format!(
                    "Value ( {text} ) for parameter {name} is invalid. Expecting a value between {least} and {most}."
                ),
            ),
        }
    }

    /// Whether there is any parameter `name` or `name.…`.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name) || !self.numbers(name).is_empty()
    }

    /// All names, for the check that there is none that isn't known.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
