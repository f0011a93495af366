//! Randomisers from a store, and the tables with which the rest are made.

use std::{
    error::Error,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    paillier::{PublicKey, Randomisers, Stock},
    protocol::{Protocol, exchange::Client, randomisers::Store},
    report::{count, things},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
};

/// Randomisers made ahead.
#[derive(clap::Args, Debug)]
pub(crate) struct AheadOption {
    /// Take randomisers from this store, which `pdnn precompute` made for the key, and make fresh
    /// what it has not.
    #[arg(long, value_name = "STORE", requires = "key")]
    randomisers: Option<PathBuf>,
}

/// How tables of powers are looked up.
#[derive(clap::Args, Debug, Clone, Copy)]
pub(crate) struct TableOption {
    /// Read tables of powers whole for every look-up, so that a program on the same processor cannot
    /// tell from the cache what randomness a ciphertext has: slower.
    #[arg(long)]
    pub(crate) scan_tables: bool,
}

impl TableOption {
    /// Refuses the option where it would do nothing.
    pub(crate) fn must_be_off(self, protocol: Protocol) -> CliResult {
        if self.scan_tables {
            bail!("--scan-tables: no tables are used in the {protocol} protocol; leave it out");
        }
        Ok(())
    }
}

/// How a client comes by its randomisers.
pub(crate) struct Ahead {
    stock: Option<Arc<Counted>>,
    /// Whether tables are read whole.
    pub(crate) scan_tables: bool,
}

impl AheadOption {
    /// The store, which must be of `key`, for a client that speaks `protocol`.
    pub(crate) fn open(
        &self,
        tables: TableOption,
        key: &PublicKey,
        protocol: Protocol,
    ) -> CliResult<Ahead> {
        if protocol == Protocol::Masked {
            if self.randomisers.is_some() {
                bail!("--randomisers: the {protocol} protocol uses up none; leave it out");
            }
            tables.must_be_off(protocol)?;
        }
        let stock = match &self.randomisers {
            None => None,
            Some(folder) => {
                let store = Store::open(folder).explain()?;
                store.expect(key).explain()?;
                Some(Arc::new(Counted {
                    store,
                    taken: AtomicUsize::new(0),
                    ran_out: AtomicBool::new(false),
                }))
            }
        };
        Ok(Ahead {
            stock,
            scan_tables: tables.scan_tables,
        })
    }
}

impl Ahead {
    /// Has `client` do so.
    pub(crate) fn equip(&self, mut client: Client) -> Client {
        if let Some(stock) = &self.stock {
            client = client.with_stock(Arc::<Counted>::clone(stock));
        }
        client.scanning_tables(self.scan_tables)
    }

    /// Says what became of the store, if there is one.
    pub(crate) fn note(&self, console: &Console) -> CliResult {
        let Some(stock) = &self.stock else {
            return Ok(());
        };
        let (taken, ran_out) = stock.counts();
        let left = stock.store.contents().explain()?.left;
        let mut text = format!(
            "{}: {} taken, {} left",
            stock.store.folder().display(),
            things(taken, "randomiser"),
            count(left as u64)
        );
        if ran_out {
            text += "; it ran out, the rest was made fresh";
        }
        console.note(&text);
        Ok(())
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> CliResult<Option<Value>> {
        let Some(stock) = &self.stock else {
            return Ok(None);
        };
        let (taken, ran_out) = stock.counts();
        let left = stock.store.contents().explain()?.left;
        Ok(Some(
            json!({ "taken": taken, "ran_out": ran_out, "left": left }),
        ))
    }
}

/// A store, and what was taken from it here.
struct Counted {
    store: Store,
    taken: AtomicUsize,
    ran_out: AtomicBool,
}

impl Counted {
    /// How many came from the store, and whether it had too few.
    fn counts(&self) -> (usize, bool) {
        let (taken, ran_out) = (&self.taken, &self.ran_out);
        (
            taken.load(Ordering::Relaxed),
            ran_out.load(Ordering::Relaxed),
        )
    }
}

impl Stock for Counted {
    fn take(
        &self,
        key: &PublicKey,
        most: usize,
    ) -> Result<Randomisers, Box<dyn Error + Send + Sync>> {
        let taken = self.store.take(key, most)?;
        self.taken.fetch_add(taken.len(), Ordering::Relaxed);
        self.ran_out.fetch_or(taken.len() < most, Ordering::Relaxed);
        Ok(taken)
    }
}
