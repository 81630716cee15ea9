//! Reads hosted zones and their record sets from Route 53 and shrinks them to the core's types. Keeps nothing.

use std::collections::BTreeMap;

use aws_api::{Client, route53};

use super::{CloudSettings, ZoneType};
use crate::expose::dns::{Hostname, normal_name};
use crate::expose::{Record, RecordKey, RecordType, Zone, ZoneId};

/// Reads the list of zones and keeps those that pass the filters.
pub(super) async fn zones(client: &Client, settings: &CloudSettings) -> Result<BTreeMap<ZoneId, Zone>, aws_api::Error> {
    let pages = client.pages(route53::ListHostedZones::default()).await?;
    let listed = pages.into_iter().flat_map(|page| page.hosted_zones);
    let passed = listed.filter_map(|listed| zone(&listed, settings));
    Ok(passed.map(|zone| (zone.id.clone(), zone)).collect())
}

/// The zone, if it passes the filters. One whose name is no hostname can't hold any.
fn zone(listed: &route53::HostedZone, settings: &CloudSettings) -> Option<Zone> {
    let id = bare_id(&listed.id);
    let name = normal_name(&listed.name);
    let private = listed.config.as_ref().and_then(|config| config.private_zone).unwrap_or(false);
    let type_passes = match settings.zone_type {
        ZoneType::Public => !private,
        ZoneType::Private => private,
        ZoneType::Any => true,
    };
    let id_passes = settings.zone_ids.is_empty() || settings.zone_ids.iter().any(|wanted| bare_id(wanted) == id);
    // A zone holds names under a domain when it lies under the domain, or the domain under it.
    let under =
        |lower: &str, upper: &str| lower.strip_suffix(upper).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let mut domains = settings.domains.iter().map(|domain| domain.as_str());
    let domain_passes = settings.domains.is_empty() || domains.any(|d| under(&name, d) || under(d, &name));
    if !(type_passes && id_passes && domain_passes) {
        return None;
    }
    Some(Zone { id: ZoneId(id.to_owned()), name: Hostname::domain(&name).ok()? })
}

/// An id without `/hostedzone/`.
fn bare_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Reads all record sets of a zone.
pub(super) async fn records(client: &Client, zone: &ZoneId) -> Result<BTreeMap<RecordKey, Record>, aws_api::Error> {
    let request = route53::ListResourceRecordSets { hosted_zone_id: zone.0.clone(), ..Default::default() };
    let pages = client.pages(request).await?;
    Ok(pages.into_iter().flat_map(|page| page.resource_record_sets).map(record).collect())
}

pub(super) fn record(listed: route53::ResourceRecordSet) -> (RecordKey, Record) {
    let kind = match listed.r#type {
        route53::RRType::A => RecordType::A,
        route53::RRType::Txt => RecordType::Txt,
        other => RecordType::Other(other.as_str().to_owned()),
    };
    // The values of other types are never looked at: a large zone stays small in memory.
    let values = match kind {
        RecordType::A | RecordType::Txt => listed.resource_records.into_iter().map(|record| record.value).collect(),
        RecordType::Other(_) => Default::default(),
    };
    let key = RecordKey { name: normal_name(&listed.name), kind, set: listed.set_identifier.unwrap_or_default() };
    (key, Record { ttl: listed.ttl.and_then(|ttl| u32::try_from(ttl).ok()), values })
}
