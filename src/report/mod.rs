//! Tables, costs and accuracy, from plain records.
//!
//! The records say nothing about where their numbers come from, and this room
//! uses no other. Each can be printed as text, Markdown or CSV ([`Table`]), or
//! serialised for `--json`.

mod accuracy;
mod cost;
mod human;
pub mod plot;
mod roc;
mod table;
mod uncertainty;

pub use accuracy::Confusion;
pub use cost::{RunCost, StageCost};
pub use human::{count, duration, percent, size, things};
pub use roc::{in_order, roc_auc};
pub use table::{Align, Table};
pub use uncertainty::{Judged, Summary, Uncertainty};
