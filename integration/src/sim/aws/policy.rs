//! IAM: whether a policy allows an action on a resource. Knows what policies of this project use, and refuses to load
//! what it doesn't know.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Context as _, Result, fail};

/// What a principal may do.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
struct Statement {
    allow: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    quantifier: Quantifier,
    operator: Operator,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    One,
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    NotEquals,
    Like,
    NotLike,
    Null,
}

/// What is known of a request when it is judged: condition keys and their values.
pub(super) type Facts = BTreeMap<String, Vec<String>>;

impl Policy {
    /// A policy document.
    ///
    /// # Errors
    /// When it isn't one, or uses what isn't known here.
    pub fn parse(text: &str) -> Result<Policy> {
        let document: Value = serde_json::from_str(text).context("a policy")?;
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().map(statement).collect::<Result<_>>()?,
            Some(one @ Value::Object(_)) => vec![statement(one)?],
            _ => return fail("a policy without Statement"),
        };
        Ok(Policy { statements })
    }

    /// The policy that `deploy/` has for nodes with several interfaces, for a cluster of that name.
    ///
    /// # Errors
    /// When the file can't be used.
    pub fn of_deploy(cluster: &str) -> Result<Policy> {
        Policy::parse(
            &include_str!("../../../../deploy/iam/policy-multi-interface.json").replace("CLUSTER_NAME", cluster),
        )
        .context("deploy/iam/policy-multi-interface.json")
    }

    /// The policy that `deploy/` has for nodes with one interface, for a cluster of that name.
    ///
    /// # Errors
    /// When the file can't be used.
    pub fn of_deploy_for_one_interface(cluster: &str) -> Result<Policy> {
        Policy::parse(&include_str!("../../../../deploy/iam/policy.json").replace("CLUSTER_NAME", cluster))
            .context("deploy/iam/policy.json")
    }

    /// Everything is allowed.
    pub fn anything() -> Policy {
        let all = || vec!["*".to_owned()];
        Policy { statements: vec![Statement { allow: true, actions: all(), resources: all(), conditions: Vec::new() }] }
    }

    /// The same, with these actions (wildcards go) denied.
    pub fn without(mut self, actions: &[&str]) -> Policy {
        self.statements.push(Statement {
            allow: false,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: vec!["*".to_owned()],
            conditions: Vec::new(),
        });
        self
    }

    /// The same, with these actions denied on this resource (wildcards go).
    pub fn without_on(mut self, actions: &[&str], resource: &str) -> Policy {
        self.statements.push(Statement {
            allow: false,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: vec![resource.to_owned()],
            conditions: Vec::new(),
        });
        self
    }

    pub(super) fn allows(&self, action: &str, resource: &str, facts: &Facts) -> bool {
        let mut allowed = false;
        for statement in &self.statements {
            if statement.is_about(action, resource, facts) {
                if !statement.allow {
                    return false;
                }
                allowed = true;
            }
        }
        allowed
    }
}

fn statement(value: &Value) -> Result<Statement> {
    let Value::Object(fields) = value else { return fail("a statement of a policy that isn't an object") };
    let mut made = Statement { allow: false, actions: Vec::new(), resources: Vec::new(), conditions: Vec::new() };
    for (name, value) in fields {
        match name.as_str() {
            "Sid" => {}
            "Effect" => {
                made.allow = match value.as_str() {
                    Some("Allow") => true,
                    Some("Deny") => false,
                    _ => return fail(format!("Effect {value} in a policy")),
                }
            }
            "Action" => made.actions = strings(value)?,
            "Resource" => made.resources = strings(value)?,
            "Condition" => {
                let Value::Object(operators) = value else { return fail("Condition isn't an object") };
                for (operator, keys) in operators {
                    let Value::Object(keys) = keys else { return fail(format!("{operator} isn't an object")) };
                    for (key, values) in keys {
                        made.conditions.push(condition(operator, key, strings(values)?)?);
                    }
                }
            }
            other => return fail(format!("{other} in a policy isn't known here")),
        }
    }
    Ok(made)
}

fn condition(operator: &str, key: &str, values: Vec<String>) -> Result<Condition> {
    let (quantifier, rest) = match operator.split_once(':') {
        Some(("ForAllValues", rest)) => (Quantifier::All, rest),
        Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
        _ => (Quantifier::One, operator),
    };
    let (rest, if_exists) = match rest.strip_suffix("IfExists") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let operator = match rest {
        "StringEquals" | "ArnEquals" | "Bool" => Operator::Equals,
        "StringNotEquals" => Operator::NotEquals,
        "StringLike" | "ArnLike" => Operator::Like,
        "StringNotLike" => Operator::NotLike,
        "Null" => Operator::Null,
        other => return fail(format!("the operator {other} in a policy isn't known here")),
    };
    Ok(Condition { quantifier, operator, if_exists, key: key.to_owned(), values })
}

fn strings(value: &Value) -> Result<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => fail(format!("{other} in a policy isn't text")),
    };
    match value {
        Value::Array(items) => items.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

impl Statement {
    fn is_about(&self, action: &str, resource: &str, facts: &Facts) -> bool {
        self.actions.iter().any(|pattern| glob(&pattern.to_lowercase(), &action.to_lowercase()))
            && self.resources.iter().any(|pattern| glob(pattern, resource))
            && self.conditions.iter().all(|condition| condition.holds(facts))
    }
}

impl Condition {
    fn holds(&self, facts: &Facts) -> bool {
        let there = facts.get(&self.key);
        if self.operator == Operator::Null {
            return self.values.iter().any(|value| (value == "true") == there.is_none());
        }
        let Some(there) = there else {
            // A negated operator, and ForAllValues, hold of what isn't there.
            let negated = matches!(self.operator, Operator::NotEquals | Operator::NotLike);
            return self.if_exists || negated || self.quantifier == Quantifier::All;
        };
        let one = |text: &String| match self.operator {
            Operator::Equals => self.values.contains(text),
            Operator::NotEquals => !self.values.contains(text),
            Operator::Like => self.values.iter().any(|pattern| glob(pattern, text)),
            Operator::NotLike => !self.values.iter().any(|pattern| glob(pattern, text)),
            Operator::Null => false,
        };
        match self.quantifier {
            Quantifier::All => there.iter().all(one),
            Quantifier::One | Quantifier::Any => there.iter().any(one),
        }
    }
}

/// Whether `text` is of the form `pattern`: `*` stands for any text, `?` for any letter.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == b'?' || Some(letter) == text.get(t) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|letter| *letter == b'*')
}
