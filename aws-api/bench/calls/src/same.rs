//! Whether both sides do the same: else a comparison means nothing.

use std::sync::Arc;

use crate::ours::Ours;
use crate::sdk::Sdk;
use crate::{Failure, Gate, Idle, bodies};

/// Looks that both send the same form and read the same values. Needs the context of a tokio runtime.
pub fn check() -> Result<(), Failure> {
    let gates = [(); 2].map(|()| Gate::new(bodies::authorized(), true));
    Ours::new(Arc::clone(&gates[0]))?.authorize(&mut Idle)?;
    Sdk::new(Arc::clone(&gates[1])).authorize(&mut Idle)?;
    let [ours, sdk] = gates.map(|gate| fields(&gate));
    let (ours, sdk) = (ours?, sdk?);
    if ours != sdk {
        return Err(format!("the forms differ:\n{ours:#?}\n{sdk:#?}").into());
    }

    let gate = Gate::new(bodies::instances(), false);
    let ours = Ours::new(Arc::clone(&gate))?.instances(&mut Idle)?;
    let ours: Vec<_> = (ours.reservations.into_iter())
        .flat_map(|reservation| reservation.instances)
        .map(|it| {
            let addresses: Vec<_> = (it.network_interfaces.into_iter())
                .flat_map(|interface| interface.private_ip_addresses)
                .map(|address| address.private_ip_address)
                .collect();
            (it.instance_id, it.public_ip_address, it.tags.len(), addresses)
        })
        .collect();
    let sdk = Sdk::new(gate).instances(&mut Idle)?;
    let sdk: Vec<_> = (sdk.reservations.unwrap_or_default().into_iter())
        .flat_map(|reservation| reservation.instances.unwrap_or_default())
        .map(|it| {
            let addresses: Vec<_> = (it.network_interfaces.unwrap_or_default().into_iter())
                .flat_map(|interface| interface.private_ip_addresses.unwrap_or_default())
                .map(|address| address.private_ip_address)
                .collect();
            (it.instance_id, it.public_ip_address, it.tags.unwrap_or_default().len(), addresses)
        })
        .collect();
    if ours != sdk || ours.len() != bodies::INSTANCES {
        return Err("the instances differ".into());
    }

    let gate = Gate::new(bodies::records(), false);
    let ours = Ours::new(Arc::clone(&gate))?.records(&mut Idle)?;
    let ours: Vec<_> = (ours.resource_record_sets.into_iter())
        .map(|it| {
            let values: Vec<_> = it.resource_records.into_iter().map(|record| record.value).collect();
            (it.name, it.r#type.as_str().to_owned(), it.ttl, it.alias_target.map(|alias| alias.dns_name), values)
        })
        .collect();
    let sdk = Sdk::new(gate).records(&mut Idle)?;
    let sdk: Vec<_> = (sdk.resource_record_sets.into_iter())
        .map(|it| {
            let values: Vec<_> =
                it.resource_records.unwrap_or_default().into_iter().map(|record| record.value).collect();
            (it.name, it.r#type.as_str().to_owned(), it.ttl, it.alias_target.map(|alias| alias.dns_name), values)
        })
        .collect();
    if ours != sdk || ours.len() != bodies::RECORDS {
        return Err("the records differ".into());
    }
    Ok(())
}

/// The fields of the form that was sent, in order of their names: the order in the form means nothing.
fn fields(gate: &Gate) -> Result<Vec<String>, Failure> {
    let sent = gate.sent().ok_or("nothing was sent")?;
    let mut fields: Vec<String> = std::str::from_utf8(&sent)?.split('&').map(|it| it.replace('+', "%20")).collect();
    fields.sort();
    Ok(fields)
}
