//! `pdnn encrypt`: images become the first query.

use std::path::PathBuf;

use crate::{
    file::key::Key,
    protocol::{
        Protocol, bayhenn,
        session::{Record, Session},
        two_party_dnn::{Client, ClientKeys},
    },
};

use super::{
    ahead::{AheadOption, TableOption},
    console::Console,
    error::{CliResult, Explain, bail},
    images::Source,
    keys, masked,
    messages::{self, Output},
    network,
    options::{ImageOptions, Layout, ProfileOption, ProtocolOption, StoreOption},
    random,
};

const EXAMPLES: &str = "\
Examples:
  pdnn encrypt --key alice.pub.json 7.png -o query.pdnn
  pdnn encrypt --key alice.key.json scans/ -o query.pdnn      the owner of a key encrypts faster
  pdnn encrypt --key alice.pub.json t10k-images-idx3-ubyte.gz --range 0..100 -o query.pdnn
  pdnn encrypt --key alice.pub.json 7.png --session monday    starts the session folder monday/
  pdnn encrypt --key alice.pub.json --network models/covid-symptoms rows.csv -o query.pdnn
  pdnn encrypt --key alice.key.json --randomisers ahead 7.png -o query.pdnn

A network with a list of features takes CSV tables instead of images: a heading with the features'
names, in any order, then a row a line. A column called label is passed over; any other that is no
feature is refused.

The server learns how many images there are, for which network and layer, and the key's fingerprint;
neither what is on the images nor their names.";

/// Encrypt images into a query for the server.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whose key encrypts: NAME.pub.json, or faster NAME.key.json.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    #[command(flatten)]
    network: ProfileOption,

    #[command(flatten)]
    images: ImageOptions,

    #[command(flatten)]
    protocol: ProtocolOption,

    #[command(flatten)]
    store: StoreOption,

    #[command(flatten)]
    ahead: AheadOption,

    #[command(flatten)]
    tables: TableOption,

    /// Where to write the query; - is standard output.
    #[arg(long, short, value_name = "FILE", required_unless_present = "session")]
    out: Option<PathBuf>,

    /// Start a session in this folder, which must not hold one yet.
    #[arg(long, value_name = "FOLDER", conflicts_with = "out")]
    session: Option<PathBuf>,

    /// How values share ciphertexts.
    #[arg(long, value_enum, default_value_t)]
    layout: Layout,
}

/// Where the query goes.
enum To {
    File(Output),
    Session(PathBuf),
}

impl To {
    fn new(out: Option<PathBuf>, session: Option<PathBuf>) -> CliResult<To> {
        if let Some(folder) = session {
            Session::at(&folder).must_be_new().explain()?;
            return Ok(To::Session(folder));
        }
        // clap demands one of the two.
        let out = out.unwrap_or_else(|| PathBuf::from("-"));
        Ok(To::File(Output::new(out, messages::QUERY)?))
    }
}

/// Encrypts the images.
pub(crate) fn run(args: Args, console: &Console) -> CliResult {
    let to = To::new(args.out, args.session)?;
    let keys = match keys::either(&args.key, console)? {
        Key::Public(key) => ClientKeys::Public(key),
        Key::Secret(key) => ClientKeys::Owner(key),
    };
    let profile = network::profile(args.network.network.as_deref(), console)?;
    let terms = args.protocol.or_default(&profile)?;
    let public = match &keys {
        ClientKeys::Public(key) => key,
        ClientKeys::Owner(key) => key.public(),
    };
    let ahead = args.ahead.open(args.tables, public, terms.protocol)?;
    let images = Source::open(&args.images, &profile, console)?.all();
    let client = match terms.protocol {
        Protocol::TwoPartyDnn => Client::new(profile, keys),
        Protocol::Bayhenn => bayhenn::client(profile, keys, terms.samples).explain()?,
        Protocol::Masked => {
            let client = masked::client(profile, &keys, &args.store)?;
            let To::File(output) = to else {
                bail!("the masked protocol has no sessions; give -o instead of --session");
            };
            return masked::encrypt(&client, &images.values, &output, console);
        }
    };
    args.store.must_be_none(terms.protocol)?;
    let client = ahead.equip(client);
    let bar = console.progress("encrypting");
    let query = client
        .query_with(
            &images.values,
            args.layout.into(),
            &mut random::system()?,
            &bar.units(),
        )
        .explain()?;
    drop(bar);

    let written = match to {
        To::File(output) => output.write(&query.to_bytes(), console)?,
        To::Session(folder) => {
            let record = Record::new(&query, images.names);
            Session::start(&folder, &record, client.profile(), &query).explain()?
        }
    };
    messages::report_query(&client, &query, &written, &ahead, console)
}
