//! S3: what somebody else has in a group of ours stays.

use crate::town::{Town, US, history};
use integration::sim::aws::state::{RuleKey, Source};
use integration::sim::event::Actor;

/// A group of ours on the first node, in which a person has had a rule for so many seconds, and nobody anything else.
async fn shared(town: &mut Town, seconds: u64) -> (String, String) {
    let instance = town.world.instance("n1").unwrap();
    let group = town.world.aws.create_group(US, &town.world.vpc, "external-ips/sim/shared", &[]).unwrap();
    town.world.aws.attach_group(US, &instance, &group).unwrap();
    let rule = RuleKey { protocol: "tcp".to_owned(), from: 0, to: 0, source: Source::Group(group.clone()) };
    town.world.aws.add_rule(Actor::Person, &group, rule, "mine").unwrap();
    town.pass(seconds).await;
    (instance, group)
}

#[test]
fn a_group_in_which_somebody_else_has_a_rule_may_not_be_taken_off_nor_deleted() {
    history(async |town| {
        let (instance, group) = shared(town, 60).await;
        town.world.aws.detach_group(US, &instance, &group).unwrap();
        assert_eq!(town.world.checker.violations().len(), 1);
        town.world.aws.delete_group(US, &group).unwrap();
        assert_eq!(town.world.checker.violations().len(), 2);
        assert!(town.breaks("S3"));
    });
}

#[test]
fn a_rule_that_is_too_young_to_be_known_excuses_that() {
    history(async |town| {
        let (instance, group) = shared(town, 1).await;
        town.world.aws.detach_group(US, &instance, &group).unwrap();
        town.world.aws.delete_group(US, &group).unwrap();
        assert!(!town.breaks("S3"), "{:?}", town.world.checker.violations());
    });
}

#[test]
fn a_rule_of_somebody_else_may_never_be_revoked() {
    history(async |town| {
        let (_, group) = shared(town, 1).await;
        let rule = RuleKey { protocol: "tcp".to_owned(), from: 0, to: 0, source: Source::Group(group.clone()) };
        town.world.aws.remove_rule(US, &group, &rule).unwrap();
        assert!(town.breaks("S3"));
    });
}

#[test]
fn what_somebody_does_to_one_group_of_an_interface_excuses_the_loss_of_no_other() {
    history(async |town| {
        let instance = town.world.instance("n1").unwrap();
        let aws = &town.world.aws;
        let [old, new] =
            ["old", "new"].map(|name| aws.create_group(Actor::Person, &town.world.vpc, name, &[]).unwrap());
        aws.attach_group(Actor::Person, &instance, &old).unwrap();
        town.pass(60).await;
        let aws = &town.world.aws;
        aws.attach_group(Actor::Person, &instance, &new).unwrap();
        // That one came after the read that we wrote from.
        aws.detach_group(US, &instance, &new).unwrap();
        assert!(!town.breaks("S3"), "{:?}", town.world.checker.violations());
        aws.detach_group(US, &instance, &old).unwrap();
        assert!(town.breaks("S3"));
    });
}

#[test]
fn a_group_goes_only_where_it_was_made_for() {
    history(async |town| {
        let [one, other] = ["n1", "n2"].map(|node| town.world.instance(node).unwrap());
        let aws = &town.world.aws;
        let name = format!("external-ips/sim/{one}/2");
        let group = aws.create_group(US, &town.world.vpc, &name, &[]).unwrap();
        aws.attach_group(US, &one, &group).unwrap();
        assert!(!town.breaks("S3"), "{:?}", town.world.checker.violations());
        aws.attach_group(US, &other, &group).unwrap();
        assert!(town.breaks("S3"));
    });
}
