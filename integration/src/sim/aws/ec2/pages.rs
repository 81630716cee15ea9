//! Pages of Describe calls. A token says after which id to go on, when it was given, and for which request; it says so
//! to this server only.

use std::time::Duration;

use super::super::answer::{Result, refuse};
use super::super::form::Form;
use super::super::world::{Caller, World};

/// Which part of a listing is asked for.
pub(super) struct Page {
    after: Option<String>,
    size: usize,
    request: u64,
}

const MOST: usize = 1000;

/// A sum of what the request asks for: a token is good for the same request only.
fn sum(form: &Form) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in form.names().filter(|name| *name != "NextToken") {
        for byte in name.bytes().chain(*b"=").chain(form.get(name).unwrap_or_default().bytes()).chain(*b"&") {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

impl Page {
    /// `ids`: the request names things, which doesn't go with pages.
    pub fn read(world: &World, caller: &Caller, form: &Form, ids: &str) -> Result<Page> {
        let most = form.number("MaxResults", 5, MOST)?;
        if most.is_some() && form.has(ids) {
            return refuse(
                "InvalidParameterCombination",
                format!("The parameter {ids} cannot be used with the parameter maxResults"),
            );
        }
        let request = sum(form);
        let after = match form.get("NextToken").filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => match known(token, request, caller.now, world.options.token_life) {
                Some(after) if !caller.spoil.page_expired => Some(after),
                _ => return refuse("InvalidNextToken", "The token is invalid or has expired"),
            },
        };
        let size = most.unwrap_or(MOST).min(world.options.page.unwrap_or(MOST));
        Ok(Page { after, size, request })
    }

    /// The entries of the page, of all that there are in the order of their ids, and the token of the next one.
    pub fn cut<T>(&self, world: &World, caller: &Caller, mut all: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        if let Some(after) = &self.after {
            all.retain(|(id, _)| id > after);
        }
        if caller.spoil.empty {
            return (Vec::new(), None);
        }
        if caller.spoil.omits && !all.is_empty() {
            all.remove(world.random.below(all.len()));
        }
        // A page whose follower is refused, or is the same again, ends early, so that there is one.
        let split = (caller.spoil.page_expired || caller.spoil.page_repeats) && all.len() > 1;
        let size = if split { self.size.min(all.len() / 2) } else { self.size };
        let more = all.len() > size;
        all.truncate(size);
        let token = all.last().filter(|_| more).map(|(id, _)| {
            let given = if caller.spoil.page_expired { "over".to_owned() } else { caller.now.as_millis().to_string() };
            let after = if caller.spoil.page_repeats { self.after.as_deref().unwrap_or_default() } else { id };
            format!("{:016x}.{given}.{after}", self.request)
        });
        (all.into_iter().map(|(_, thing)| thing).collect(), token)
    }
}

/// After which id a token goes on.
fn known(token: &str, request: u64, now: Duration, life: Duration) -> Option<String> {
    let mut parts = token.splitn(3, '.');
    let (of, given, after) = (parts.next()?, parts.next()?, parts.next()?);
    let given = Duration::from_millis(given.parse().ok()?);
    (of == format!("{request:016x}") && now <= given + life).then(|| after.to_owned())
}
