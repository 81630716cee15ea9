//! Prints what each part of each call allocates, a line each: side, call, part, allocations, bytes at most at a time.
//! `compare` reads it. What is alive before (client, answer as it came) isn't counted.

use allocation_counter::AllocationInfo;
use calls::ours::Ours;
use calls::sdk::Sdk;
use calls::{Failure, Gate, Meter, Part, bodies};

struct Counts {
    side: &'static str,
    call: &'static str,
    shown: bool,
}

impl Meter for Counts {
    fn measure<T>(&mut self, part: Part, work: impl FnOnce() -> T) -> T {
        let mut result = None;
        let AllocationInfo { count_total, bytes_max, .. } = allocation_counter::measure(|| result = Some(work()));
        if self.shown {
            println!("{} {} {part:?} {count_total} {bytes_max}", self.side, self.call);
        }
        result.expect("the closure was called")
    }
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    for (call, body) in
        [("authorize", bodies::authorized()), ("instances", bodies::instances()), ("records", bodies::records())]
    {
        let gate = Gate::new(body, false);
        let (ours, sdk) = (Ours::new(gate.clone())?, Sdk::new(gate));
        // Not the first call, which fills caches.
        for shown in [false, false, true] {
            let (mut us, mut them) = (Counts { side: "ours", call, shown }, Counts { side: "sdk", call, shown });
            match call {
                "authorize" => drop((ours.authorize(&mut us)?, sdk.authorize(&mut them)?)),
                "instances" => drop((ours.instances(&mut us)?, sdk.instances(&mut them)?)),
                _ => drop((ours.records(&mut us)?, sdk.records(&mut them)?)),
            }
        }
    }
    Ok(())
}
