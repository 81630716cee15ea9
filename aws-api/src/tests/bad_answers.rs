//! Answers that aren't what they should be are typed errors.

use bytes::Bytes;

use super::kit::*;
use crate::{Class, ec2, route53};

#[tokio::test(start_paused = true)]
async fn a_bad_body_is_an_error_that_quotes_next_to_nothing() {
    let secret = "x".repeat(500);
    for body in [
        String::new(),
        format!("<html><body>{secret}</body></html>"),
        NO_GROUPS.chars().take(40).collect(),
        format!("{{\"message\": \"{secret}\"}}"),
        "\u{0}\u{1}".to_owned(),
    ] {
        let aws = Aws::always(ok(body.clone()));
        let error = client(&aws).send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
        assert_eq!((error.class, error.status, aws.count()), (Class::Transient, Some(200), 3), "{body}");
        assert!(error.message.len() < 250 && !error.message.contains(&secret), "{error}");
        let aws = Aws::always(ok(body));
        let error = client(&aws).send(&ec2::CreateTags::default()).await.unwrap_err();
        assert_eq!((error.class, aws.count()), (Class::UnknownOutcome, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_larger_than_the_limit_is_an_error() {
    let huge = Step::Answer(200, vec![], Bytes::from(vec![b' '; crate::transport::MAX_ANSWER + 1]));
    let aws = Aws::always(huge.clone());
    let error = client(&aws).send(&ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(error.message.contains("too large"), "{error}");
    let error = client(&Aws::script([huge])).send(&ec2::CreateTags::default()).await.unwrap_err();
    assert_eq!(error.class, Class::UnknownOutcome);
}

#[tokio::test(start_paused = true)]
async fn the_page_of_a_proxy_is_not_an_answer_of_aws() {
    let page = with(status(404, "<html>not found</html>"), "x-amzn-requestid", "r-9");
    let error = client(&Aws::script([page])).send(&route53::ListHostedZones::default()).await.unwrap_err();
    assert_eq!((error.class, error.code, error.status), (Class::Invalid, None, Some(404)));
    assert_eq!(error.request_id.as_deref(), Some("r-9"));
    assert_eq!(error.message, "HTTP status 404 and a body that isn't an error of AWS's");
    let redirect = with(status(301, ""), "location", "https://elsewhere.example");
    let error = client(&Aws::script([redirect])).send(&ec2::CreateTags::default()).await.unwrap_err();
    assert_eq!(error.class, Class::Invalid);
}
