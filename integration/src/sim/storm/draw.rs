//! Draws a history from its seed.

use std::time::Duration;

use crate::sim::event::Seam;
use crate::sim::world::Vigil;
use crate::sim::{Random, aws};

use super::catalogue::Kinds;
use super::happening::{Foreign, Happening, Stored, What, Wish};
use super::{History, Weather};

/// Ports that Services draw from: few, so that they get into each other's way.
const PORTS: [u16; 6] = [5000, 5001, 5002, 6000, 6001, 22];
const RANGES: [&str; 4] = ["198.51.100.0/24", "198.51.100.0/24,203.0.113.7/32", "2001:db8::/32", "0.0.0.0/0"];
const SELECTORS: [&str; 5] = ["pool=odd", "pool=even", "", "pool=none", "pool in ("];

/// How big a history is.
struct Size {
    nodes: u32,
    services: u8,
    /// Most of what happens once it has begun.
    most: usize,
}

impl Size {
    /// Most are small: what can go wrong at all mostly goes wrong among few, and a big one takes as long as a hundred of
    /// them. So a machine spends half of its time on the smallest, and the other half on all others.
    fn draw(random: &Random) -> Size {
        let some = |least: usize, more: usize| least + random.below(more);
        match some(0, 1000) {
            0..=1 => Size { nodes: some(10, 21) as u32, services: some(20, 41) as u8, most: 300 },
            2..=13 => Size { nodes: some(4, 6) as u32, services: some(6, 10) as u8, most: 120 },
            14..=119 => Size { nodes: some(1, 4) as u32, services: some(1, 5) as u8, most: 40 },
            _ => Size { nodes: some(1, 3) as u32, services: some(1, 3) as u8, most: 10 },
        }
    }
}

pub(super) fn history(seed: u64) -> History {
    let random = Random::new(seed).fork("history");
    let size = Size::draw(&random);
    let aside = random.fork("aside");
    if aside.below(200) == 0 {
        return accident(seed, &aside);
    }
    let draw = Draw { random: random.clone(), services: size.services };
    let mut history = History::begin(seed, &random, &size);
    let mut happenings = vec![draw.begins(0)];
    happenings.extend((1..size.services).filter(|_| random.percent(60)).map(|service| draw.begins(service)));
    // Most histories begin with a world at rest: what is withdrawn from it is what hurts.
    let first_write = if history.given_up { 0 } else { history.lease };
    let rest = if random.percent(70) { first_write + 6 + random.below(30) as u64 } else { 0 };
    happenings.push(Happening { after: Duration::from_secs(rest), what: What::Calm });
    let stormy = random.percent(75);
    let late = random.percent(20);
    let trouble = Draw { random: random.fork("trouble"), services: size.services };
    for _ in 0..4 + random.below(size.most) {
        let after = draw.pause();
        let what = if stormy && random.percent(18) { draw.fault(late) } else { draw.change() };
        if stormy && what.starts_a_process() && trouble.random.percent(35) {
            happenings.push(Happening { after: trouble.pause(), what: trouble.at_a_start() });
        }
        happenings.push(Happening { after, what });
    }
    let kinds = random.fork("records");
    for happening in &mut happenings {
        if let What::ForeignRecord(_, kind) = &mut happening.what {
            let all = [Foreign::Address, Foreign::Address, Foreign::Cname, Foreign::Alias];
            *kind = kinds.pick(&all).copied().unwrap_or(*kind);
        }
    }
    let at_home = random.fork("endpoints");
    if at_home.percent(15) {
        happenings = with_endpoints(happenings, &Draw { random: at_home, services: size.services });
    }
    let garbled = random.fork("garbled");
    if garbled.percent(6) {
        happenings = with_garbled(happenings, &Draw { random: garbled, services: size.services });
    }
    let others = random.fork("interfaces");
    if others.percent(8) {
        history.aws.ec2_lag = Duration::from_secs(5 + others.below(40) as u64);
        history.aws.lag_percent = 30 + others.below(40) as u32;
        happenings = with_others_groups(happenings, &Draw { random: others, services: size.services });
    }
    history.happenings = happenings.into_iter().map(Some).collect();
    history
}

/// The same where most Services are served only where they have endpoints, and these come and go.
fn with_endpoints(happenings: Vec<Happening>, draw: &Draw) -> Vec<Happening> {
    let random = &draw.random;
    // On most nodes: else nothing is served.
    let places = || (random.below(256) | random.below(256)) as u8;
    let mut all = Vec::new();
    for mut happening in happenings {
        if let What::Create(_, wish) | What::Recreate(_, wish) = &mut happening.what
            && random.percent(75)
        {
            wish.local = Some(places());
        }
        all.push(happening);
        if random.percent(25) {
            let what = match random.below(10) {
                0 => What::Local(draw.service(), random.percent(50)),
                _ => What::Endpoints(draw.service(), places()),
            };
            all.push(Happening { after: draw.pause(), what });
        }
        if random.percent(8) {
            all.extend(draw.garbled(Stored::Slice(draw.service(), draw.below(2))));
        }
    }
    all
}

/// The same where Services and Nodes can't be decoded for a while.
fn with_garbled(happenings: Vec<Happening>, draw: &Draw) -> Vec<Happening> {
    let mut all = Vec::new();
    for happening in happenings {
        all.push(happening);
        if draw.random.percent(8) {
            let what = match draw.random.below(3) {
                0 => Stored::Node(draw.node()),
                _ => Stored::Service(draw.service()),
            };
            all.extend(draw.garbled(what));
        }
    }
    all
}

/// The same where other controllers put groups on the interfaces that are written to, and reads of them lag.
fn with_others_groups(happenings: Vec<Happening>, draw: &Draw) -> Vec<Happening> {
    let random = &draw.random;
    let mut all = Vec::new();
    for happening in happenings {
        let writes = matches!(
            happening.what,
            What::Create(..) | What::Recreate(..) | What::Ports(..) | What::DetachByHand(_) | What::GroupByHand(_)
        );
        all.push(happening);
        if writes && random.percent(50) {
            let after = Duration::from_millis(random.below(8000) as u64);
            all.push(Happening { after, what: What::ForeignGroup(draw.node()) });
        }
    }
    all
}

/// Many Services are served well, and most of them go at once.
fn accident(seed: u64, random: &Random) -> History {
    let size = Size { nodes: 1 + random.below(4) as u32, services: 8 + random.below(7) as u8, most: 12 };
    let draw = Draw { random: random.clone(), services: size.services };
    let mut happenings: Vec<Happening> = (0..size.services).map(|service| draw.serves(service)).collect();
    let mut later = |seconds: usize, what| {
        happenings.push(Happening { after: Duration::from_secs(random.below(seconds) as u64), what });
    };
    later(150, What::Calm);
    later(60, random.pick(&[What::DeleteMany, What::LoseAnnotations]).cloned().unwrap_or(What::Calm));
    let troubled = random.percent(50);
    for _ in 0..random.below(size.most) {
        let what = if troubled && random.percent(18) { draw.fault(false) } else { draw.change() };
        later(30, what);
    }
    let happenings = happenings.into_iter().map(Some).collect();
    History { happenings, ..History::begin(seed, random, &size) }
}

impl History {
    /// One in which nothing happens yet.
    fn begin(seed: u64, random: &Random, size: &Size) -> History {
        History {
            seed,
            nodes: size.nodes,
            services: size.services,
            replicas: 1 + random.below(3).min(random.below(3)),
            // A short one is renewed often, which takes most of the time of its histories.
            lease: *random.pick(&[15, 30, 30, 60, 60, 60, 60, 60, 60, 60]).unwrap_or(&60),
            aws: account(random, seed),
            happenings: Vec::new(),
            given_up: random.percent(80),
            full_sync: *random.pick(&[20, 20, 20, 40]).unwrap_or(&20),
            vigil: match random.below(100) {
                0..=2 => Vigil::Long,
                3..=39 => Vigil::Usual,
                _ => Vigil::Short,
            },
            all_go: random.percent(12),
        }
    }
}

fn account(random: &Random, seed: u64) -> aws::Options {
    let some = |percent, seconds: u64| match random.percent(percent) {
        true => Duration::from_secs(1 + random.below(seconds as usize) as u64),
        false => Duration::ZERO,
    };
    let mut options = aws::Options {
        seed,
        travel: Duration::from_millis(10 + random.below(200) as u64),
        propagation: Duration::from_secs(1 + random.below(30) as u64),
        ec2_lag: some(30, 60),
        route53_lag: some(20, 20),
        lag_percent: 10 + random.below(60) as u32,
        patchy: random.percent(50),
        release_time: some(30, 60),
        zone_busy: some(15, 3),
        listed_batch_errors: random.percent(50),
        steady_lag: random.fork("steady").percent(40),
        page: random.percent(30).then(|| 5 + random.below(5)),
        partial_authorize: random.percent(10),
        interface_limit_in_words: random.percent(50),
        ..aws::Options::default()
    };
    if random.percent(10) {
        options.limits.groups_per_interface = 2 + random.below(3);
    }
    options
}

struct Draw {
    random: Random,
    services: u8,
}

impl Draw {
    fn below(&self, end: usize) -> u8 {
        self.random.below(end) as u8
    }

    fn one<T: Clone>(&self, of: &[T], otherwise: T) -> T {
        self.random.pick(of).cloned().unwrap_or(otherwise)
    }

    fn service(&self) -> u8 {
        self.below(self.services.into())
    }

    fn node(&self) -> u8 {
        self.below(256)
    }

    /// Mostly in quick succession, so that one thing happens before the daemon is done with another.
    fn pause(&self) -> Duration {
        match self.random.below(10) {
            0..=2 => Duration::from_millis(self.random.below(400) as u64),
            3..=6 => Duration::from_millis(400 + self.random.below(5000) as u64),
            7..=8 => Duration::from_secs(5 + self.random.below(10) as u64),
            _ => Duration::from_secs(15 + self.random.below(40) as u64),
        }
    }

    fn ports(&self) -> Vec<(&'static str, u16)> {
        let mut ports = Vec::new();
        for _ in 0..=self.random.below(3).min(self.random.below(3)) {
            let port = (self.one(&["UDP", "TCP"], "UDP"), self.one(&PORTS[..5], 5000));
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        match self.random.below(100) {
            0..=1 => ports.push(("TCP", 22)),
            // A rule each, more than a group holds.
            2 => {
                let first = self.one(&[7000, 7100], 7000);
                ports = (0..62).map(|nth| ("UDP", first + 2 * nth)).collect();
            }
            _ => {}
        }
        ports
    }

    fn hostname(&self, service: u8) -> String {
        let own = format!("h{service}.example.com");
        match self.random.below(20) {
            0..=10 => own,
            11..=13 => format!("h{}.example.com", self.service()),
            14 => format!("*.h{service}.example.com"),
            15 => format!("{own},x{}.example.com", self.below(3)),
            16 => format!("h{service}.sub.example.com"),
            17 => format!("{own},h{service}.sub.example.com"),
            18 => "example.com".to_owned(),
            _ => self.one(&["..", "h!.example.com", "nowhere.example.org", ""], "..").to_owned(),
        }
    }

    fn annotation(&self, service: u8) -> (&'static str, String) {
        match self.random.below(10) {
            0..=2 => ("selector", self.one(&SELECTORS, "").to_owned()),
            3..=5 => ("maxips", self.one(&["1", "1", "2", "2", "3", "0", "many"], "1").to_owned()),
            6 => ("ttl", self.one(&["10", "20s", "60", "soon"], "10").to_owned()),
            7 => ("source-ranges", self.one(&RANGES, "0.0.0.0/0").to_owned()),
            _ => ("hostname", self.hostname(service)),
        }
    }

    fn wish(&self, service: u8) -> Wish {
        let mut annotations = vec![("hostname", self.hostname(service))];
        for _ in 0..self.random.below(3) {
            let (name, value) = self.annotation(service);
            if !annotations.iter().any(|(there, _)| *there == name) {
                annotations.push((name, value));
            }
        }
        Wish { ports: self.ports(), annotations, local: None }
    }

    fn begins(&self, service: u8) -> Happening {
        Happening { after: Duration::ZERO, what: What::Create(service, self.wish(service)) }
    }

    /// A Service that nothing is in the way of.
    fn serves(&self, service: u8) -> Happening {
        let annotations = vec![("hostname", format!("h{service}.example.com"))];
        Happening {
            after: Duration::ZERO,
            what: What::Create(service, Wish { ports: self.ports(), annotations, local: None }),
        }
    }

    fn name(&self) -> String {
        format!("h{}.example.com", self.service())
    }

    fn change(&self) -> What {
        let service = self.service();
        match self.random.below(100) {
            0..=17 => {
                let (name, value) = self.annotation(service);
                let taken_off = self.random.percent(20);
                What::Annotate(service, name, (!taken_off).then_some(value))
            }
            18..=25 => What::Create(service, self.wish(service)),
            26..=31 => What::Delete(service),
            32..=35 => What::Recreate(service, self.wish(service)),
            36..=43 => What::Ports(service, self.ports()),
            44 => What::ExternalIps(service, self.one(&[vec![], vec!["192.0.2.9".to_owned()]], vec![])),
            45 => What::NodesAddress(service, self.node()),
            46 => self.one(&[What::DeleteMany, What::LoseAnnotations], What::DeleteMany),
            47..=50 => What::NodeJoins(1 + self.random.below(2)),
            51..=55 => What::NodeEnds(self.node(), Duration::from_secs(self.random.below(40) as u64)),
            56 => What::NodeDeleted(self.node()),
            57..=60 => What::Reboots(self.node(), Duration::from_secs(1 + self.random.below(40) as u64)),
            61..=65 => What::Ready(self.node(), self.random.percent(60)),
            66..=68 => What::Taint(self.node(), self.random.percent(60)),
            69 => What::Pool(self.node(), self.one(&["odd", "even", "none"], "odd")),
            70 => What::Excluded(self.node(), self.random.percent(60)),
            71 => What::Elastic(self.node()),
            72 => What::Stranger(self.node()),
            73 => What::ForeignGroup(self.node()),
            74 => What::ForeignRule(self.node(), self.one(&[0, 5000, 9999], 9999)),
            75..=76 => What::RuleByHand(self.node(), self.below(8)),
            77 => What::DetachByHand(self.node()),
            78 => What::GroupByHand(self.node()),
            79 => What::RecordByHand(self.name()),
            80 => What::TwinByHand(self.name()),
            81 => What::ForeignRecord(self.name(), Foreign::Address),
            82 => What::OthersName(self.name()),
            83 => What::ZoneBelow(self.random.percent(70)),
            84 => self.one(&[What::ZoneAnew, What::Calm, What::Calm], What::Calm),
            85..=86 => What::Replicas(1 + self.random.below(3)),
            87..=89 => What::Kill,
            90..=91 => What::Terminate,
            92 => What::Freeze(Duration::from_secs(1 + self.random.below(90) as u64)),
            93 => What::CutOff(Duration::from_secs(1 + self.random.below(120) as u64)),
            94..=97 => What::DiesAtWrite(self.random.below(6) as u32, self.random.percent(50)),
            98 => What::ClockOff(self.random.below(7200) as i64 - 3600),
            _ => self.one(&[What::Lease(self.below(3)), What::Calm], What::Calm),
        }
    }

    /// Who has read it before knows what it was; who comes next doesn't.
    fn garbled(&self, what: Stored) -> Vec<Happening> {
        let lasts = Duration::from_secs(20 + self.random.below(130) as u64);
        // Where all has been at rest for long, nothing excuses what is withdrawn.
        let after = match self.random.percent(30) {
            true => Duration::from_secs(250 + self.random.below(200) as u64),
            false => self.pause(),
        };
        let mut all = vec![Happening { after, what: What::Garbled(what, lasts) }];
        if self.random.percent(60) {
            let after = Duration::from_millis(self.random.below(4000) as u64);
            all.push(Happening { after, what: self.one(&[What::Kill, What::Terminate], What::Kill) });
        }
        all
    }

    /// Whoever starts knows nothing but what it reads then: what is wrong with that hurts most.
    fn at_a_start(&self) -> What {
        let lies = Kinds { refusals: false, losses: false, lies: true, late: false };
        What::Weather(Weather {
            kinds: self.one(&[lies, lies, Kinds::PROMPT], lies),
            seam: self.one(&[None, Some(Seam::Kube)], None),
            only: None,
            lease: false,
            percent: self.one(&[30, 60, 100], 60),
            lasts: Duration::from_secs(5 + self.random.below(90) as u64),
        })
    }

    fn fault(&self, late: bool) -> What {
        if self.random.percent(4) {
            return What::AwsClockOff(self.random.below(2400) as i64 - 1200);
        }
        let kinds = match self.random.below(5) {
            0 => Kinds { refusals: true, losses: false, lies: false, late: false },
            1 => Kinds { refusals: false, losses: true, lies: false, late },
            2 => Kinds { refusals: false, losses: false, lies: true, late: false },
            _ => Kinds { late, ..Kinds::ALL },
        };
        What::Weather(Weather {
            kinds,
            seam: self.one(&[None, Some(Seam::Aws), Some(Seam::Kube)], None),
            only: None,
            lease: self.random.percent(30),
            percent: self.one(&[2, 5, 10, 30, 60, 100], 10),
            lasts: Duration::from_secs(1 + self.random.below(60).min(self.random.below(90)) as u64),
        })
    }
}
