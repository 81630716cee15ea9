//! The scenarios, each run against both.

use integration::Result;

use super::ground::Ground;
use super::{ec2, known, records, rules, sts};

/// Runs the scenario `$name` of `$module`, against whose `expected` both are held.
macro_rules! scenarios {
    ($($name:ident = $module:ident :: $run:ident, $expected:ident;)*) => {
        $(
            mod $name {
                use super::*;

                #[tokio::test(start_paused = true)]
                async fn simulator() {
                    let mut ground = Ground::simulated();
                    $module::$run(&mut ground).await;
                    assert_eq!(ground.transcript(), $module::$expected, "what AWS is documented to answer");
                }

                #[tokio::test]
                async fn moto() -> Result<()> {
                    let mut ground = Ground::moto().await?;
                    $module::$run(&mut ground).await;
                    let expected = known::as_moto(stringify!($name), $module::$expected);
                    assert_eq!(ground.transcript(), expected, "what AWS is documented to answer, but for known.rs");
                    Ok(())
                }
            }
        )*

        #[test]
        fn every_known_point_belongs_to_a_scenario() {
            let scenarios = [$((stringify!($name), $module::$expected)),*];
            for point in known::POINTS {
                let expected = scenarios.iter().find(|(name, _)| *name == point.scenario);
                let (_, expected) = expected.unwrap_or_else(|| panic!("no scenario {}", point.scenario));
                let line = format!("{}: {}\n", point.step, point.aws);
                assert!(expected.contains(&line), "{} doesn't expect {line}", point.scenario);
                assert_ne!(point.aws, point.moto, "{}", point.step);
            }
        }
    };
}

scenarios! {
    groups = ec2::groups, GROUPS;
    attachments = ec2::attachments, ATTACHMENTS;
    instances = ec2::instances, INSTANCES;
    asking_first = ec2::asking_first, ASKING_FIRST;
    opening = rules::opening, OPENING;
    closing = rules::closing, CLOSING;
    swapping = records::swapping, SWAPPING;
    bad_records = records::bad, BAD;
    sizes = records::sizes, SIZES;
    listing = records::listing, LISTING;
    identity = sts::identity, IDENTITY;
}
