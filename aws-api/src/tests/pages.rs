//! Listings are whole or an error.

use super::kit::*;
use crate::{Class, ec2};

fn page(token: &str) -> Step {
    ok(format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo/><nextToken>{token}</nextToken>\
         </DescribeSecurityGroupsResponse>"
    ))
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read_in_order() {
    let aws = Aws::script([page("a"), page("b"), ok(NO_GROUPS)]);
    let pages = client(&aws).pages(ec2::DescribeSecurityGroups::default()).await.unwrap();
    let tokens: Vec<_> = pages.iter().map(|page| page.next_token.as_deref()).collect();
    assert_eq!(tokens, [Some("a"), Some("b"), None]);
    assert!(aws.seen()[2].body.ends_with("&NextToken=b"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_back_is_an_error() {
    for tokens in [vec!["a", "a"], vec!["a", "b", "a"]] {
        let aws = Aws::script(tokens.iter().map(|token| page(token)));
        let error = client(&aws).pages(ec2::DescribeSecurityGroups::default()).await.unwrap_err();
        assert_eq!((error.class, aws.count()), (Class::Transient, tokens.len()));
        assert!(error.message.contains("came back"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_an_end_is_an_error() {
    let mut number = 0;
    let aws = Aws::answering(move |_| {
        number += 1;
        page(&number.to_string())
    });
    let error = client(&aws).pages(ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert!(error.message.contains("doesn't end"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_page_fails_the_listing() {
    let aws = Aws::script([page("a"), ec2_error(400, "InvalidParameterValue")]);
    let error = client(&aws).pages(ec2::DescribeSecurityGroups::default()).await.unwrap_err();
    assert!(error.is("InvalidParameterValue"));
}
