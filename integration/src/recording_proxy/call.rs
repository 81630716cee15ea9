//! Which AWS call a request is: service, operation and parameters, as IAM and the tests name them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use quick_xml::Reader;
use quick_xml::events::Event;

/// What a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) access_key: Option<String>,
}

/// Reads a request of the query protocol (EC2, STS) or of Route 53.
pub(super) fn read(parts: &Parts, body: &Bytes) -> Read {
    let (access_key, scope) = credential(parts);
    let text = String::from_utf8_lossy(body);
    let mut parameters: BTreeMap<String, String> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    if parts.uri.path().starts_with("/2013-04-01/") {
        let operation = route53_operation(parts, &mut parameters);
        changes(&text, &mut parameters);
        return Read { service: "route53".to_owned(), operation, parameters, access_key };
    }
    parameters.extend(form_urlencoded::parse(text.as_bytes()).into_owned());
    let operation = parameters.get("Action").cloned().unwrap_or_else(|| format!("{} {}", parts.method, parts.uri));
    // A call without a signature can only be one of STS: it trades a token for credentials.
    Read { service: scope.unwrap_or_else(|| "sts".to_owned()), operation, parameters, access_key }
}

/// The access key and the service in the signature's scope: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn credential(parts: &Parts) -> (Option<String>, Option<String>) {
    let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((_, rest)) = header.split_once("Credential=") else { return (None, None) };
    let mut scope = rest.split(',').next().unwrap_or_default().split('/');
    (scope.next().map(str::to_owned), scope.nth(2).map(str::to_owned))
}

fn route53_operation(parts: &Parts, parameters: &mut BTreeMap<String, String>) -> String {
    let path: Vec<&str> = parts.uri.path().split('/').filter(|part| !part.is_empty()).skip(1).collect();
    let (name, id) = match (parts.method.as_str(), path.as_slice()) {
        ("GET", ["hostedzone"]) => ("ListHostedZones", None),
        ("GET", ["hostedzonesbyname"]) => ("ListHostedZonesByName", None),
        ("GET", ["hostedzone", id]) => ("GetHostedZone", Some(id)),
        ("GET", ["hostedzone", id, "rrset"]) => ("ListResourceRecordSets", Some(id)),
        ("POST", ["hostedzone", id, "rrset"]) => ("ChangeResourceRecordSets", Some(id)),
        ("GET", ["change", id]) => ("GetChange", Some(id)),
        (method, _) => return format!("{method} {}", parts.uri.path()),
    };
    if let Some(id) = id {
        parameters.insert("Id".to_owned(), (*id).to_owned());
    }
    name.to_owned()
}

/// Adds the changes of a batch as `Change.1.Action`, `Change.1.Name`, `Change.1.Type`, `Change.1.TTL`,
/// `Change.1.Value.1`, counted from 1 as EC2 counts.
fn changes(text: &str, parameters: &mut BTreeMap<String, String>) {
    let mut reader = Reader::from_str(text);
    let (mut change, mut value, mut element) = (0, 0, String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                element = start.local_name().as_ref().to_owned();
                match element.as_str() {
                    "Change" => (change, value) = (change + 1, 0),
                    "Value" => value += 1,
                    _ => {}
                }
            }
            Ok(Event::Text(text)) => {
                let key = match element.as_str() {
                    "Action" | "Name" | "Type" | "TTL" => format!("Change.{change}.{element}"),
                    "Value" => format!("Change.{change}.Value.{value}"),
                    _ => continue,
                };
                parameters.entry(key).or_default().push_str(&text);
            }
            Ok(Event::GeneralRef(name)) => {
                let character = match name.as_ref() {
                    "quot" => "\"",
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "apos" => "'",
                    _ => continue,
                };
                let key = match element.as_str() {
                    "Value" => format!("Change.{change}.Value.{value}"),
                    _ => format!("Change.{change}.{element}"),
                };
                parameters.entry(key).or_default().push_str(character);
            }
            Ok(Event::End(_)) => element.clear(),
            Ok(Event::Eof) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, service: &str) -> Parts {
        http::Request::builder()
            .method(method)
            .uri(uri)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=x"),
            )
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn a_call_of_the_query_protocol_is_named_by_its_action_and_its_signature() {
        let call =
            read(&parts("POST", "/", "ec2"), &Bytes::from_static(b"Action=DescribeInstances&Filter.1.Name=a%20b"));
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("ec2", "DescribeInstances"));
        assert_eq!(call.parameters["Filter.1.Name"], "a b");
        assert_eq!(call.access_key.as_deref(), Some("KEY"));
    }

    #[test]
    fn a_change_batch_is_read_change_by_change() {
        let body = Bytes::from_static(
            b"<ChangeResourceRecordSetsRequest><ChangeBatch><Changes>\
              <Change><Action>DELETE</Action><ResourceRecordSet><Name>a.</Name><Type>A</Type><TTL>60</TTL>\
              <ResourceRecords><ResourceRecord><Value>1.2.3.4</Value></ResourceRecord>\
              <ResourceRecord><Value>1.2.3.5</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change>\
              <Change><Action>CREATE</Action><ResourceRecordSet><Name>b.</Name><Type>TXT</Type>\
              <ResourceRecords><ResourceRecord><Value>&quot;x&quot;</Value></ResourceRecord></ResourceRecords>\
              </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>",
        );
        let call = read(&parts("POST", "/2013-04-01/hostedzone/Z1/rrset/", "route53"), &body);
        assert_eq!(call.operation, "ChangeResourceRecordSets");
        let expected = [
            ("Change.1.Action", "DELETE"),
            ("Change.1.Name", "a."),
            ("Change.1.TTL", "60"),
            ("Change.1.Type", "A"),
            ("Change.1.Value.1", "1.2.3.4"),
            ("Change.1.Value.2", "1.2.3.5"),
            ("Change.2.Action", "CREATE"),
            ("Change.2.Name", "b."),
            ("Change.2.Type", "TXT"),
            ("Change.2.Value.1", "\"x\""),
            ("Id", "Z1"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(call.parameters, BTreeMap::from(expected));
    }

    #[test]
    fn a_call_without_a_signature_is_one_of_sts() {
        let parts = http::Request::post("/").body(()).unwrap().into_parts().0;
        let call = read(&parts, &Bytes::from_static(b"Action=AssumeRoleWithWebIdentity"));
        assert_eq!((call.service.as_str(), call.operation.as_str()), ("sts", "AssumeRoleWithWebIdentity"));
        assert_eq!(call.access_key, None);
    }
}
