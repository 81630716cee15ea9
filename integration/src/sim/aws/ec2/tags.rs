//! Tags: in a create call, and by CreateTags.

use std::collections::BTreeMap;

use super::super::answer::{Result, Xml, refuse};
use super::super::form::Form;
use super::super::policy::Facts;
use super::super::world::{Caller, World};

type Tags = BTreeMap<String, String>;

const MOST: usize = 50;

/// `prefix.Tag.N.Key` and `.Value`.
fn read(form: &Form, prefix: &str) -> Result<Tags> {
    let mut tags = Tags::new();
    for number in form.numbers(prefix) {
        let key = form.get(&format!("{prefix}.{number}.Key")).unwrap_or_default();
        let value = form.get(&format!("{prefix}.{number}.Value")).unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 {
            return refuse(
                "InvalidParameterValue",
                format!("Tag key '{key}' exceeds the maximum length of 128 or is empty"),
            );
        }
        if value.chars().count() > 256 {
            return refuse("InvalidParameterValue", "Tag value exceeds the maximum length of 256");
        }
        if key.to_lowercase().starts_with("aws:") {
            return refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use");
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return refuse("InvalidParameterValue", format!("Duplicate tag key '{key}' specified."));
        }
    }
    if tags.len() > MOST {
        return refuse("TagLimitExceeded", format!("More than {MOST} tags"));
    }
    Ok(tags)
}

/// The tags that a create call gives to what it makes, which must be a `resource_type`.
pub(super) fn of_create(form: &Form, resource_type: &str) -> Result<Tags> {
    let mut tags = Tags::new();
    for number in form.numbers("TagSpecification") {
        let named = form.get(&format!("TagSpecification.{number}.ResourceType")).unwrap_or_default();
        if named != resource_type {
            return refuse(
                "InvalidParameterValue",
                format!("'{named}' is not a valid taggable resource type for this operation."),
            );
        }
        tags.extend(read(form, &format!("TagSpecification.{number}.Tag"))?);
    }
    Ok(tags)
}

/// What IAM knows of tags that are given.
pub(super) fn facts(tags: &Tags) -> Facts {
    let mut facts: Facts =
        tags.iter().map(|(key, value)| (format!("aws:RequestTag/{key}"), vec![value.clone()])).collect();
    if !tags.is_empty() {
        facts.insert("aws:TagKeys".to_owned(), tags.keys().cloned().collect());
    }
    facts
}

/// CreateTags, on groups and instances.
pub(super) fn create(world: &mut World, caller: &Caller, form: &Form) -> Result<String> {
    let tags = read(form, "Tag")?;
    let ids: Vec<String> = form.list("ResourceId").into_iter().map(str::to_owned).collect();
    if tags.is_empty() || ids.is_empty() {
        return refuse("MissingParameter", "The request must contain the parameters ResourceId and Tag");
    }
    for id in &ids {
        let mut facts = facts(&tags);
        let resource = if super::is_id(id, "i") {
            let Some(instance) = world.state.instances.get(id) else {
                return refuse("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"));
            };
            check_room(instance.tags.keys().chain(tags.keys()))?;
            facts.extend(instance.tags.iter().map(|(k, v)| (format!("aws:ResourceTag/{k}"), vec![v.clone()])));
            format!("instance/{id}")
        } else {
            let group = super::group(world, caller, id)?;
            check_room(group.tags.keys().chain(tags.keys()))?;
            facts.extend(super::group_facts(group));
            format!("security-group/{id}")
        };
        caller.may("ec2:CreateTags", &world.arn(&resource), &facts)?;
    }
    super::dry_run(form)?;
    for id in &ids {
        if let Some(group) = world.state.groups.edit(id) {
            group.tags.extend(tags.clone());
        } else if let Some(instance) = world.state.instances.edit(id) {
            instance.tags.extend(tags.clone());
        }
    }
    let list: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    world.changed(caller.now, format!("{}: tags {}", ids.join(" "), list.join(", ")));
    Ok("<return>true</return>".to_owned())
}

fn check_room<'a>(keys: impl Iterator<Item = &'a String>) -> Result<()> {
    if keys.collect::<std::collections::BTreeSet<_>>().len() > MOST {
        return refuse("TagLimitExceeded", format!("More than {MOST} tags"));
    }
    Ok(())
}

/// `<tagSet>`.
pub(super) fn write(xml: &mut Xml, tags: &Tags) {
    if tags.is_empty() {
        return;
    }
    xml.within("tagSet", |xml| {
        for (key, value) in tags {
            xml.within("item", |xml| {
                xml.put("key", key);
                xml.put("value", value);
            });
        }
    });
}
