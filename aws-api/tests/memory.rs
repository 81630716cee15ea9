//! What a body takes of memory, measured: a peak that grows no faster than the body, whatever it is made of. One test
//! of one thread, since the allocator counts the whole process.
#![allow(clippy::unwrap_used)]

use aws_api::protocol::errors;
use aws_api::{Operation, Service, ec2, route53};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes of memory for each byte of a body: lists may take 8, and half of that again while one grows; a text 3.
const PER_BYTE: usize = 12;
/// Bytes of memory that any body may take.
const BYTES: usize = 128 * 1024;

/// The bytes that `work` has in use at its peak, beyond those that were in use before.
fn peak(work: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}

fn instances(content: &str) -> String {
    format!("<DescribeInstancesResponse><reservationSet>{content}</reservationSet></DescribeInstancesResponse>")
}

#[test]
fn memory_grows_no_faster_than_the_body() {
    const MEGABYTE: usize = 1024 * 1024;
    let fill = |what: &str| what.repeat(MEGABYTE / what.len());
    let one_each = "<item><instancesSet><item/></instancesSet></item>";
    // As dense as lists get before they count as too many.
    let dense = |filler: usize| format!("<item><reservationId>{}</reservationId></item>", "x".repeat(filler));
    let text = |content: String| instances(&format!("<item><ownerId>{content}</ownerId></item>"));
    let mut bodies = vec![
        ("nothing but entries", instances(&fill("<item/>"))),
        ("a list within each entry", instances(&fill(one_each))),
        ("one text", text(fill("x"))),
        ("a text in pieces", text(fill("x&amp;<!-- -->"))),
        ("a text of CDATA", text(fill("<![CDATA[\r\n]]>"))),
        ("a text of line ends", text(fill("\r\n"))),
        ("elements that nobody knows", instances(&fill("<a b='c'>d</a>"))),
        ("names", instances(&format!("<{0}></{0}>", "a".repeat(MEGABYTE / 2)))),
        ("attributes", instances(&format!("<a{}/>", fill(" b='c'")))),
        ("elements within elements", fill("<a>")),
        ("blanks", fill(" ")),
        ("no XML", fill("no")),
    ];
    for filler in (0..200).step_by(20) {
        bodies.push(("entries with a text", instances(&fill(&dense(filler)))));
    }
    for (what, body) in bodies {
        let bytes = peak(|| drop(ec2::DescribeInstances::decode(body.as_bytes())));
        assert!(bytes <= body.len() * PER_BYTE + BYTES, "{what}: {bytes} bytes for a body of {}", body.len());
    }
    let record = "<ResourceRecordSet><Name>a</Name><Type>A</Type><ResourceRecords><ResourceRecord><Value>1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>";
    let records = format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets>{}</ResourceRecordSets><IsTruncated>false</IsTruncated></ListResourceRecordSetsResponse>",
        fill(record)
    );
    let bytes = peak(|| drop(route53::ListResourceRecordSets::decode(records.as_bytes()).unwrap()));
    assert!(bytes <= records.len() * PER_BYTE, "{bytes} bytes for records of {}", records.len());
    for (what, content) in [
        ("messages", fill("<Message>a</Message>")),
        ("different messages", (0..100_000).map(|number| format!("<Message>{number}</Message>")).collect()),
        ("one message", format!("<Message>{}</Message>", fill("x&gt;"))),
        ("errors within errors", fill("<Error>")),
    ] {
        let body = format!("<ErrorResponse><Error><Code>A</Code>{content}");
        let bytes = peak(|| drop(errors::parse(Service::Route53, body.as_bytes()).unwrap()));
        assert!(bytes <= body.len() * 3 + BYTES, "{what}: {bytes} bytes for an error of {}", body.len());
    }
}
