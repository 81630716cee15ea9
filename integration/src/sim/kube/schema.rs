//! Which lists are merged by key, which as sets and which are replaced as a whole: what server-side apply and
//! strategic merge patches need to know of a kind (`x-kubernetes-list-type`, `x-kubernetes-map-type` and
//! `x-kubernetes-patch-strategy` of the published OpenAPI document).

/// The form of a value.
#[derive(Debug)]
pub(super) enum Schema {
    /// A scalar, or a list or map that is replaced as a whole.
    Leaf,
    /// A map from names to values, merged by name.
    Map(&'static Schema),
    /// An object with these members that aren't leaves.
    Struct(&'static [(&'static str, Schema)]),
    /// A list of objects, merged by these members (with the value of one that is absent); `strategic`: the one member
    /// that strategic merge patches go by.
    ListMap {
        keys: &'static [(&'static str, Option<&'static str>)],
        strategic: Option<&'static str>,
        item: &'static Schema,
    },
    /// A list of scalars without order.
    Set,
}

static LEAF: Schema = Schema::Leaf;
static OBJECT: Schema = Schema::Struct(&[]);

const CONDITIONS: Schema = Schema::ListMap { keys: &[("type", None)], strategic: Some("type"), item: &OBJECT };

const METADATA: Schema = Schema::Struct(&[
    ("annotations", Schema::Map(&LEAF)),
    ("labels", Schema::Map(&LEAF)),
    ("finalizers", Schema::Set),
    ("ownerReferences", Schema::ListMap { keys: &[("uid", None)], strategic: Some("uid"), item: &LEAF }),
]);

pub(super) static SERVICE: Schema = Schema::Struct(&[
    ("metadata", METADATA),
    (
        "spec",
        Schema::Struct(&[
            (
                "ports",
                Schema::ListMap {
                    keys: &[("port", None), ("protocol", Some("TCP"))],
                    strategic: Some("port"),
                    item: &OBJECT,
                },
            ),
            ("sessionAffinityConfig", Schema::Struct(&[("clientIP", Schema::Struct(&[]))])),
        ]),
    ),
    ("status", Schema::Struct(&[("conditions", CONDITIONS), ("loadBalancer", Schema::Struct(&[]))])),
]);

pub(super) static NODE: Schema = Schema::Struct(&[
    ("metadata", METADATA),
    ("spec", Schema::Struct(&[("podCIDRs", Schema::Set)])),
    (
        "status",
        Schema::Struct(&[
            ("conditions", CONDITIONS),
            ("addresses", Schema::ListMap { keys: &[("type", None)], strategic: Some("type"), item: &OBJECT }),
            ("capacity", Schema::Map(&LEAF)),
            ("allocatable", Schema::Map(&LEAF)),
            ("nodeInfo", Schema::Struct(&[])),
            ("daemonEndpoints", Schema::Struct(&[("kubeletEndpoint", Schema::Struct(&[]))])),
        ]),
    ),
]);

pub(super) static NAMESPACE: Schema = Schema::Struct(&[
    ("metadata", METADATA),
    ("spec", Schema::Struct(&[])),
    ("status", Schema::Struct(&[("conditions", CONDITIONS)])),
]);

pub(super) static CONFIG_MAP: Schema =
    Schema::Struct(&[("metadata", METADATA), ("data", Schema::Map(&LEAF)), ("binaryData", Schema::Map(&LEAF))]);

/// Metadata and members that are replaced as a whole.
pub(super) static PLAIN: Schema = Schema::Struct(&[("metadata", METADATA), ("spec", Schema::Struct(&[]))]);

pub(super) static EVENT: Schema = Schema::Struct(&[
    ("metadata", METADATA),
    ("source", Schema::Struct(&[])),
    ("series", Schema::Struct(&[])),
    ("involvedObject", Schema::Leaf),
]);

impl Schema {
    /// The schema of a member.
    pub fn member(&'static self, name: &str) -> &'static Schema {
        match self {
            Schema::Struct(members) => members.iter().find(|(of, _)| *of == name).map_or(&LEAF, |(_, schema)| schema),
            Schema::Map(of) => of,
            _ => &LEAF,
        }
    }

    /// Whether a member of this name is declared rather than free.
    pub fn declares_members(&self) -> bool {
        matches!(self, Schema::Struct(_))
    }
}
