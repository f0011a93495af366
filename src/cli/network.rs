//! Which network a call is about: the one that is named, or the built-in one.

use std::path::Path;

use crate::{
    file::{
        container::hex,
        folder::{AnyNetwork, load_any, load_profile},
        model::model_from_bytes,
        plan::{PLAN_FILE, SavedPlan, load_plans, plans_from_bytes},
    },
    network::{Network, NetworkError, Profile},
    protocol::two_party_dnn::Server,
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
};

// The built-in network's two halves: a client needs the first, a server both.
const PROFILE: &str = include_str!("../../models/lenet5/profile.json");
const MODEL: &[u8] = include_bytes!("../../models/lenet5/model.safetensors");

// What `pdnn plan` makes of it.
const PLAN: &[u8] = include_bytes!("../../models/lenet5/plan.safetensors");

/// What a client knows of the network that `named` names: a profile file, a
/// folder with one, or without a name the built-in network.
pub(crate) fn profile(named: Option<&Path>, console: &Console) -> CliResult<Profile> {
    let profile = match named {
        Some(path) => load_profile(path).explain()?,
        None => built_in_profile()?,
    };
    say(named, &profile, console);
    Ok(profile)
}

/// The profile for a message that says by fingerprint which network it is for:
/// the one that `named` names, or the built-in one if it is that.
pub(crate) fn profile_for(
    fingerprint: &[u8; 32],
    named: Option<&Path>,
    console: &Console,
) -> CliResult<Profile> {
    let profile = profile(named, console)?;
    if named.is_none() && profile.fingerprint() != *fingerprint {
        bail!(
            "the reply is for network {}, not for the built-in {}; name with --network the \
             profile that the query was made with",
            &hex(fingerprint)[..16],
            profile.name
        );
    }
    // Of a network that was named, the protocol says what does not fit.
    Ok(profile)
}

/// Profile and weights of the network that `named` names, of either kind: a
/// folder, or without a name the built-in network.
pub(crate) fn network(named: Option<&Path>, console: &Console) -> CliResult<AnyNetwork> {
    let network = match named {
        Some(path) => load_any(path).explain()?,
        None => {
            let profile = built_in_profile()?;
            AnyNetwork::Fixed(model_from_bytes(MODEL, &profile).about("the built-in model")?)
        }
    };
    say(named, network.profile(), console);
    Ok(network)
}

/// A server of this network, which [`network`] gave for the same name, with the
/// plans that are kept beside the model. Those that cannot be used are said to
/// be so: results are the same without.
pub(crate) fn server(named: Option<&Path>, network: Network, console: &Console) -> Server {
    let plans: Result<Vec<SavedPlan>, String> = match named {
        Some(path) => load_plans(path, &network).map_err(|e| e.to_string()),
        None => plans_from_bytes(PLAN, &network).map_err(|e| e.to_string()),
    };
    let mut server = Server::new(network);
    let given = plans.and_then(|plans| server.give_plans(plans).map_err(|e| e.to_string()));
    if let Err(problem) = given {
        // What a file's error advises, to fetch it again, is not what helps here.
        let problem = problem.split("; ").next().unwrap_or(&problem);
        console.warn(&format!(
            "{PLAN_FILE} is not used, so that more is multiplied: {problem}; make it anew with \
             pdnn plan"
        ));
    }
    server
}

/// As [`network`], for a protocol that draws no weights.
pub(crate) fn fixed(named: Option<&Path>, console: &Console) -> CliResult<Network> {
    match network(named, console)? {
        AnyNetwork::Fixed(network) => Ok(network),
        AnyNetwork::Bayesian(_) => Err(NetworkError::Bayesian).explain(),
    }
}

fn built_in_profile() -> CliResult<Profile> {
    Profile::from_json(PROFILE).about("the built-in profile")
}

fn say(named: Option<&Path>, profile: &Profile, console: &Console) {
    let from = named.map_or("built in".to_string(), |path| path.display().to_string());
    console.debug(&format!(
        "network {} ({from}), fingerprint {}",
        profile.name,
        hex(&profile.fingerprint())
    ));
}
