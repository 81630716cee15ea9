//! Where each service is reached in each partition of AWS. The facts are those of botocore's `partitions.json` and
//! endpoint rule sets, generated from `model/partitions.json`.

pub use crate::generated::partitions::Partition;
use crate::operation::Service;

/// What is known of a partition.
pub(crate) struct Facts {
    /// What a region's name begins with; a word and a number follow, with a dash before each.
    pub(crate) prefixes: &'static [&'static str],
    /// The regions that are known, and the names that stand for the whole partition (`aws-global`).
    pub(crate) regions: &'static [&'static str],
    pub(crate) ec2: Hosts,
    pub(crate) route53: Hosts,
    pub(crate) sts: Hosts,
}

/// Where a service is reached: host names with `{region}` in them where each region has its own; `None` where there
/// is none.
pub(crate) struct Hosts {
    /// What to sign for, where it isn't the region.
    pub(crate) signing_region: Option<&'static str>,
    pub(crate) host: Option<&'static str>,
    pub(crate) fips: Option<&'static str>,
    pub(crate) dual_stack: Option<&'static str>,
    pub(crate) fips_dual_stack: Option<&'static str>,
    pub(crate) global: Option<Global>,
}

/// STS's host that once served all regions, with neither FIPS nor IPv6.
pub(crate) struct Global {
    pub(crate) host: &'static str,
    pub(crate) signing_region: &'static str,
    /// The names that it serves in any case.
    pub(crate) always: &'static [&'static str],
    /// The regions that it serves when that is asked for.
    pub(crate) legacy: &'static [&'static str],
}

/// Which of the variants of an endpoint is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variant {
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub(crate) fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub(crate) dual_stack: bool,
    /// `AWS_STS_REGIONAL_ENDPOINTS=legacy`: STS's one host for the regions that once had no other. Of no meaning
    /// with `fips` or `dual_stack`: there each region has its own.
    pub(crate) legacy_sts: bool,
}

impl Partition {
    /// The partition of a region. Regions that aren't known go by how their names begin, as in AWS's own SDKs; with a
    /// beginning that isn't known, too, they are taken for the commercial partition's.
    ///
    /// # Errors
    /// When `region` can't be the name of a region.
    pub fn of_region(region: &str) -> Result<Partition, String> {
        if let Some(known) = Partition::ALL.iter().find(|it| it.facts().regions.contains(&region)) {
            return Ok(*known);
        }
        // The name becomes part of a host name.
        let dashes = region.matches('-').count();
        let well_formed = region.len() <= 32
            && (2..=4).contains(&dashes)
            && !region.contains("--")
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && region.starts_with(|c: char| c.is_ascii_lowercase())
            && region.ends_with(|c: char| c.is_ascii_digit());
        if let Some(plain) = region.strip_prefix("fips-") {
            return Err(format!(
                "{region:?} is not the name of an AWS region: use {plain}, and AWS_USE_FIPS_ENDPOINT=true"
            ));
        }
        if !well_formed {
            return Err(format!("{region:?} is not the name of an AWS region (such as eu-west-1)"));
        }
        let fits = |it: &&Partition| it.facts().prefixes.iter().any(|prefix| is_region_after(prefix, region));
        Ok(Partition::ALL.iter().find(fits).copied().unwrap_or(Partition::Aws))
    }

    /// The region that requests to `service` are signed for. Route 53 has one for each partition.
    pub(crate) fn signing_region(self, service: Service, region: &str, variant: Variant) -> String {
        let hosts = self.hosts(service);
        match hosts.global(region, variant) {
            Some(global) => global.signing_region.to_owned(),
            None => hosts.signing_region.unwrap_or(region).to_owned(),
        }
    }

    /// The host of `service`.
    ///
    /// # Errors
    /// Where the variant isn't offered.
    pub(crate) fn host(self, service: Service, region: &str, variant: Variant) -> Result<String, String> {
        let host = self.hosts(service).host(region, variant);
        host.map_err(|why| format!("{service} has no endpoint {why} in the partition {self}"))
    }

    fn hosts(self, service: Service) -> &'static Hosts {
        let facts = self.facts();
        match service {
            Service::Ec2 => &facts.ec2,
            Service::Route53 => &facts.route53,
            Service::Sts => &facts.sts,
        }
    }
}

impl Hosts {
    fn global(&self, region: &str, variant: Variant) -> Option<&Global> {
        let asked = |global: &&Global| {
            global.always.contains(&region) || (variant.legacy_sts && global.legacy.contains(&region))
        };
        self.global.as_ref().filter(|_| !variant.fips && !variant.dual_stack).filter(asked)
    }

    fn host(&self, region: &str, variant: Variant) -> Result<String, &'static str> {
        if let Some(global) = self.global(region, variant) {
            return Ok(global.host.to_owned());
        }
        let (template, what) = match (variant.fips, variant.dual_stack) {
            (false, false) => (self.host, "at all"),
            (true, false) => (self.fips, "with AWS_USE_FIPS_ENDPOINT"),
            (false, true) => (self.dual_stack, "with AWS_USE_DUALSTACK_ENDPOINT"),
            (true, true) => {
                (self.fips_dual_stack, "with AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT together")
            }
        };
        Ok(template.ok_or(what)?.replace("{region}", region))
    }
}

/// Whether `region` is `prefix`, a word and a number.
fn is_region_after(prefix: &str, region: &str) -> bool {
    let rest = region.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    rest.and_then(|rest| rest.split_once('-')).is_some_and(|(word, number)| {
        !word.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_that_is_not_offered_is_named() {
        let hosts = Hosts {
            signing_region: None,
            host: Some("x.{region}.test"),
            fips: None,
            dual_stack: Some("x.{region}.v6.test"),
            fips_dual_stack: None,
            global: None,
        };
        let host = |fips, dual_stack| hosts.host("r-1", Variant { fips, dual_stack, legacy_sts: true });
        assert_eq!(host(false, false), Ok("x.r-1.test".to_owned()));
        assert_eq!(host(false, true), Ok("x.r-1.v6.test".to_owned()));
        assert_eq!(host(true, false), Err("with AWS_USE_FIPS_ENDPOINT"));
        assert!(host(true, true).is_err_and(|why| why.contains("together")));
    }

    #[test]
    fn a_known_region_is_found_by_its_beginning_as_well() {
        for partition in Partition::ALL {
            let facts = partition.facts();
            for region in facts.regions.iter().filter(|region| !region.ends_with("-global")) {
                let by_beginning: Vec<_> = Partition::ALL
                    .iter()
                    .filter(|it| it.facts().prefixes.iter().any(|prefix| is_region_after(prefix, region)))
                    .collect();
                assert_eq!(by_beginning, [partition], "{region}");
                assert_eq!(Partition::of_region(region), Ok(*partition));
            }
        }
    }
}
