//! What a network costs encrypted, layer by layer: exact counts, known before
//! there is a key or an image.

use serde_json::{Value, json};

use crate::{
    encrypted::{layout::Packing, plan::Method},
    paillier::Counts,
    protocol::two_party_dnn::{Server, StageWork},
    report::{Align, Table, count, size},
};

use crate::cli::error::{CliResult, Explain};

/// The layers' work for so many images under a key of so many bits.
pub(super) struct Work {
    packing: Packing,
    images: usize,
    key_bits: u32,
    stages: Vec<(String, StageWork)>,
    /// For every stage the methods compared, for one group of ciphertexts.
    methods: Vec<Vec<(Method, Counts)>>,
}

/// One image packed for latency, and as many as fill every ciphertext packed
/// for throughput.
pub(super) fn of(server: Server, key_bits: u32) -> CliResult<Vec<Work>> {
    let names = server.profile().stages.iter().map(|s| s.name.clone());
    let names: Vec<String> = names.collect();
    let work = |packing, images| -> CliResult<Work> {
        let stages = server.work(key_bits, images, packing).explain()?;
        Ok(Work {
            packing,
            images,
            key_bits,
            stages: names.iter().cloned().zip(stages).collect(),
            methods: server.methods(key_bits, images, packing).explain()?,
        })
    };
    let room = server.room(key_bits).explain()?;
    Ok(vec![
        work(Packing::Latency, 1)?,
        work(Packing::Throughput, room)?,
    ])
}

/// The figures of a stage, or of all.
#[derive(Default)]
struct Figures {
    up: u64,
    down: u64,
    products: u64,
    squarings: u64,
    inversions: u64,
}

impl Figures {
    fn of(work: &StageWork) -> Figures {
        Figures {
            up: work.traffic.inputs as u64,
            down: work.traffic.outputs as u64,
            products: work.counts.products,
            squarings: work.counts.squarings,
            inversions: work.counts.inversions,
        }
    }

    fn add(&mut self, other: &Figures) {
        self.up += other.up;
        self.down += other.down;
        self.products += other.products;
        self.squarings += other.squarings;
        self.inversions += other.inversions;
    }
}

impl Work {
    fn total(&self) -> Figures {
        let mut total = Figures::default();
        for (_, stage) in &self.stages {
            total.add(&Figures::of(stage));
        }
        total
    }

    /// Bytes of so many ciphertexts.
    fn bytes(&self, ciphertexts: u64) -> u64 {
        ciphertexts * u64::from(self.key_bits.div_ceil(8)) * 2
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let figures = |of: &Figures| {
            json!({
                "ciphertexts_up": of.up,
                "ciphertexts_down": of.down,
                "ciphertext_bytes_up": self.bytes(of.up),
                "ciphertext_bytes_down": self.bytes(of.down),
                "products": of.products,
                "squarings": of.squarings,
                "inversions": of.inversions,
            })
        };
        let method = |(method, counts): &(Method, Counts)| {
            json!({
                "method": method.to_string(),
                "products": counts.products,
                "squarings": counts.squarings,
                "inversions": counts.inversions,
            })
        };
        let stage = |((name, work), methods): (&(String, StageWork), &Vec<_>)| {
            let mut value = json!({
                "stage": name,
                "method": work.method.to_string(),
                "slots": work.slots,
            });
            let members = figures(&Figures::of(work));
            for (name, member) in members.as_object().into_iter().flatten() {
                value[name] = member.clone();
            }
            value["methods_for_one_group"] = methods.iter().map(method).collect();
            value
        };
        let stages = self.stages.iter().zip(&self.methods);
        json!({
            "packing": self.packing.to_string(),
            "images": self.images,
            "key_bits": self.key_bits,
            "stages": stages.map(stage).collect::<Vec<_>>(),
            "total": figures(&self.total()),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let left = ["stage", "method"].map(|heading| (heading, Align::Left));
        let right = [
            "slots",
            "up",
            "size up",
            "down",
            "size down",
            "products",
            "squarings",
            "inversions",
        ];
        let right = right.map(|heading| (heading, Align::Right));
        let mut table = Table::new(left.into_iter().chain(right));
        let mut row = |name: &str, method: String, slots: String, of: &Figures| {
            table.row([
                name.to_string(),
                method,
                slots,
                count(of.up),
                size(self.bytes(of.up)),
                count(of.down),
                size(self.bytes(of.down)),
                count(of.products),
                count(of.squarings),
                count(of.inversions),
            ]);
        };
        for (name, work) in &self.stages {
            let slots = count(work.slots as u64);
            row(name, work.method.to_string(), slots, &Figures::of(work));
        }
        row("total", String::new(), String::new(), &self.total());
        let images = match self.images {
            1 => "1 image".to_string(),
            many => format!("{} images", count(many as u64)),
        };
        format!(
            "{images}, packed for {}, key of {} bits\n{}",
            self.packing,
            count(self.key_bits.into()),
            table.text().trim_end()
        )
    }
}
