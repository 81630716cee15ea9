//! The contract of the simulated API server: each scenario runs against it and against the real one, and what both
//! answered must be the same. The real one decides.

mod contract_kube {
    pub mod apply;
    pub mod deletes;
    pub mod kit;
    pub mod leases;
    pub mod lists;
    pub mod others;
    pub mod patches;
    pub mod rights;
    pub mod services;
    pub mod watches;
}

use contract_kube::*;

/// One test for each scenario: a function from a server to all that it answered.
macro_rules! contract {
    ($($module:ident::$scenario:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $scenario() -> integration::Result<()> {
            kit::same(stringify!($scenario), async |server| $module::$scenario(server).await).await
        }
    )*};
}

contract! {
    services::services_are_created_with_their_defaults,
    services::bad_services_are_refused,
    services::services_are_replaced,
    services::services_change_their_type,
    services::load_balancer_status_is_for_load_balancers,
    patches::merge_patches,
    patches::strategic_patches,
    patches::json_patches,
    patches::patches_with_versions_and_uids,
    apply::addresses_are_published_and_withdrawn,
    apply::a_list_of_somebody_else_is_a_conflict,
    apply::conditions_belong_to_their_type,
    apply::ports_are_merged_by_port_and_protocol,
    apply::objects_are_created_by_apply,
    apply::applies_that_are_refused,
    apply::a_claim_is_struck_out_of_the_managed_fields,
    lists::pages_and_selectors,
    lists::versions_of_lists,
    watches::watches_tell_what_changes,
    watches::watches_that_are_refused,
    watches::initial_events_and_bookmarks,
    leases::a_lease_is_locked_by_its_version,
    leases::bad_leases_are_refused,
    deletes::deletions_and_their_conditions,
    deletes::finalizers_hold_an_object,
    rights::the_daemon_may_do_what_deploy_grants,
    others::nodes,
    others::events,
    others::other_kinds,
}
