//! Listings are whole or an error.

use std::pin::pin;

use futures::{StreamExt, TryStreamExt};

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

#[tokio::test(start_paused = true)]
async fn a_stream_asks_for_a_page_when_it_is_wanted_and_ends_with_the_last_one() {
    let aws = Aws::script([page("a"), page("b"), ok(NO_GROUPS)]);
    let client = client(&aws);
    let mut pages = pin!(client.stream(ec2::DescribeSecurityGroups::default()));
    for number in 1..=3 {
        assert_eq!(aws.count(), number - 1);
        pages.next().await.unwrap().unwrap();
    }
    assert!(pages.next().await.is_none());
    assert!(pages.next().await.is_none());
    assert_eq!(aws.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_last_item_and_fails_whatever_collects() {
    let failing = || [page("a"), ec2_error(400, "InvalidParameterValue")];
    let aws = Aws::script(failing());
    let mut pages = pin!(client(&aws).stream(ec2::DescribeSecurityGroups::default()));
    assert!(pages.next().await.unwrap().is_ok());
    // A token that has expired.
    assert!(pages.next().await.unwrap().unwrap_err().is("InvalidParameterValue"));
    assert!(pages.next().await.is_none());
    assert_eq!(aws.count(), 2);
    let stream = |aws: &Aws| client(aws).stream(ec2::DescribeSecurityGroups::default());
    stream(&Aws::script(failing())).try_collect::<Vec<_>>().await.unwrap_err();
    stream(&Aws::script(failing())).try_fold(0, |sum, _| async move { Ok(sum + 1) }).await.unwrap_err();
    // A listing that goes in circles.
    let aws = Aws::always(page("a"));
    let items: Vec<_> = stream(&aws).collect().await;
    assert!(items.len() == 3 && items[2].is_err() && aws.count() == 2, "{items:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_lost_is_asked_for_again() {
    let aws = Aws::script([page("a"), lost(), ec2_error(503, "RequestLimitExceeded"), ok(NO_GROUPS)]);
    let pages = client(&aws).pages(ec2::DescribeSecurityGroups::default()).await.unwrap();
    assert_eq!(pages.len(), 2);
    assert!(aws.seen()[1..].iter().all(|seen| seen.body.ends_with("&NextToken=a")));
}
