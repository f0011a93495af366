//! `pdnn plan`: looks once for what a network's products have in common.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::{
    file::{
        folder::AnyNetwork,
        plan::{plan_path, save_plans},
    },
    protocol::two_party_dnn::Server,
    report::{count, size},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
    network,
};

const EXAMPLES: &str = "\
Examples:
  pdnn plan digits/
  pdnn inspect digits/ --bits 2048   what each layer then takes, and with which method

Writes plan.safetensors into the folder. Whoever serves the network finds it there. It holds no key
and serves all keys; it follows from the weights, so keep it as they are kept. Without it, or after
the weights have changed, results are the same and take more products.";

/// Look once for the fewest products of a network's layers, and keep the plan beside the model.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The network: a folder with model.safetensors and profile.json.
    #[arg(value_name = "FOLDER")]
    network: PathBuf,
}

/// Looks for plans and writes them.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let AnyNetwork::Fixed(network) = network::network(Some(&args.network), console)? else {
        bail!(
            "{}: a Bayesian network's weights are drawn anew for every query, so nothing can be \
             found beforehand; expected a network of fixed weights",
            args.network.display()
        );
    };
    let path = plan_path(&args.network).explain()?;
    let mut server = Server::new(network.clone());
    let plans = {
        let bar = console.progress("looking for common products");
        let units = bar.units();
        server.find_plans(&mut |done, all| units(done, all))
    };
    save_plans(&args.network, &network, &plans).about_file(&path)?;
    let bytes = fs::metadata(&path).about_file(&path)?.len();
    let value = json!({ "file": path, "plans": plans.len(), "bytes": bytes });
    console.result(&value, || {
        format!(
            "wrote {} ({} for layers and packings, {})",
            path.display(),
            count(plans.len() as u64),
            size(bytes)
        )
    })
}
