//! What an encrypted classification costs, stage by stage.

use serde::{Deserialize, Serialize};

use super::{Align, Table, count, duration, size};

/// The cost of one stage: the exchange for one linear layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageCost {
    /// The layer's name.
    pub stage: String,
    /// The client's encryption, in milliseconds.
    pub encrypt_ms: f64,
    /// The server's work, in milliseconds.
    pub server_ms: f64,
    /// The client's decryption, checks and activation, in milliseconds.
    pub decrypt_ms: f64,
    /// Ciphertexts from client to server.
    pub ciphertexts_up: u64,
    /// Ciphertexts from server to client.
    pub ciphertexts_down: u64,
    /// Bytes from client to server: the whole file.
    pub bytes_up: u64,
    /// Bytes from server to client: the whole file.
    pub bytes_down: u64,
    /// Products modulo n² at the server.
    pub products: u64,
    /// Squarings modulo n² at the server, not counted as products.
    pub squarings: u64,
    /// Inversions modulo n² at the server.
    pub inversions: u64,
    /// Weights and biases that the server drew.
    #[serde(default)]
    pub drawn: u64,
    /// How the server arranged its products: several where paths or queries of
    /// several sizes differ, none where a protocol has no such choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

impl StageCost {
    /// All three times, in milliseconds.
    pub fn total_ms(&self) -> f64 {
        self.encrypt_ms + self.server_ms + self.decrypt_ms
    }

    /// Adds the figures of `other`; the name stays.
    pub fn add(&mut self, other: &StageCost) {
        self.encrypt_ms += other.encrypt_ms;
        self.server_ms += other.server_ms;
        self.decrypt_ms += other.decrypt_ms;
        self.ciphertexts_up += other.ciphertexts_up;
        self.ciphertexts_down += other.ciphertexts_down;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.products += other.products;
        self.squarings += other.squarings;
        self.inversions += other.inversions;
        self.drawn += other.drawn;
        self.add_methods(&other.methods);
    }

    /// Adds the methods that it does not have, by name.
    pub fn add_methods(&mut self, methods: impl IntoIterator<Item = impl ToString>) {
        for method in methods {
            let method = method.to_string();
            if !self.methods.contains(&method) {
                self.methods.push(method);
            }
        }
    }
}

/// The cost of a run: each stage, for some number of images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Images classified.
    pub images: u64,
    /// The stages, in the order of the network.
    pub stages: Vec<StageCost>,
}

impl RunCost {
    /// Adds the cost of a stage; a stage of the same name is added to, so that
    /// images in several chunks give one row a stage.
    pub fn add(&mut self, cost: &StageCost) {
        match self.stages.iter_mut().find(|s| s.stage == cost.stage) {
            Some(stage) => stage.add(cost),
            None => self.stages.push(cost.clone()),
        }
    }

    /// The sum of all stages, called `total`.
    pub fn total(&self) -> StageCost {
        let mut total = StageCost {
            stage: "total".to_string(),
            ..StageCost::default()
        };
        self.stages.iter().for_each(|stage| total.add(stage));
        // Those of a single stage say nothing of the whole.
        total.methods.clear();
        total
    }

    /// Milliseconds for an image, all stages and both sides.
    pub fn ms_per_image(&self) -> f64 {
        self.total().total_ms() / self.images as f64
    }

    /// A row for each stage and one for their sum, in a person's units.
    pub fn table(&self) -> Table {
        let headings = [
            "encrypt",
            "server",
            "decrypt",
            "up",
            "size up",
            "down",
            "size down",
            "products",
            "squarings",
            "inversions",
        ];
        self.rows(headings, duration, count, size)
    }

    /// The same rows with plain numbers and the names of [`StageCost`]'s
    /// fields, for other programs.
    pub fn plain_table(&self) -> Table {
        let headings = [
            "encrypt_ms",
            "server_ms",
            "decrypt_ms",
            "ciphertexts_up",
            "bytes_up",
            "ciphertexts_down",
            "bytes_down",
            "products",
            "squarings",
            "inversions",
        ];
        let plain = |number: u64| number.to_string();
        self.rows(headings, |ms| format!("{ms:.3}"), plain, plain)
    }

    fn rows(
        &self,
        headings: [&str; 10],
        time: impl Fn(f64) -> String,
        number: impl Fn(u64) -> String,
        bytes: impl Fn(u64) -> String,
    ) -> Table {
        let numbers = headings.map(|heading| (heading, Align::Right));
        let ends = [("stage", Align::Left), ("method", Align::Left)];
        let [stage, method] = ends.map(|end| [end].into_iter());
        let mut table = Table::new(stage.chain(numbers).chain(method));
        for cost in self.stages.iter().chain([&self.total()]) {
            table.row([
                cost.stage.clone(),
                time(cost.encrypt_ms),
                time(cost.server_ms),
                time(cost.decrypt_ms),
                number(cost.ciphertexts_up),
                bytes(cost.bytes_up),
                number(cost.ciphertexts_down),
                bytes(cost.bytes_down),
                number(cost.products),
                number(cost.squarings),
                number(cost.inversions),
                cost.methods.join("; "),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str) -> StageCost {
        StageCost {
            stage: name.to_string(),
            encrypt_ms: 1.5,
            server_ms: 120.0,
            decrypt_ms: 4.0,
            ciphertexts_up: 25,
            ciphertexts_down: 6,
            bytes_up: 25 * 512,
            bytes_down: 6 * 512,
            products: 1234,
            squarings: 56,
            inversions: 1,
            drawn: 0,
            methods: vec!["tables".to_string()],
        }
    }

    #[test]
    fn the_total_is_the_sum() {
        let mut run = RunCost {
            images: 2,
            ..RunCost::default()
        };
        run.add(&stage("conv1"));
        run.add(&stage("conv2"));
        run.add(&stage("conv1"));
        assert_eq!(run.stages.len(), 2);
        let total = run.total();
        assert_eq!(total.products, 3 * 1234);
        assert_eq!(run.stages[0].methods, ["tables"], "each once");
        assert!(total.methods.is_empty());
        assert_eq!(total.bytes_up, 3 * 25 * 512);
        assert_eq!(total.total_ms(), 3.0 * 125.5);
        assert_eq!(run.ms_per_image(), 3.0 * 125.5 / 2.0);
    }

    #[test]
    fn tables_have_a_row_for_each_stage_and_the_total() {
        let mut run = RunCost {
            images: 1,
            ..RunCost::default()
        };
        run.add(&stage("conv1"));
        let text = run.table().text();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.contains("12.5 KiB") && text.contains("1,234"),
            "{text}"
        );
        let csv = run.plain_table().csv();
        let last = csv.lines().last().unwrap();
        assert_eq!(last, "total,1.500,120.000,4.000,25,12800,6,3072,1234,56,1,");
    }

    #[test]
    fn json_and_back() {
        let mut run = RunCost {
            images: 1,
            ..RunCost::default()
        };
        run.add(&stage("conv1"));
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<RunCost>(&json).unwrap(), run);
    }
}
