//! What may be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The state layer for backend services: sessions, limits, caches, on one directory or outgrown to more.
#[derive(Debug, Parser)]
#[command(name = "statehold", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// Configuration file; else $STATEHOLD_CONFIG, else ./statehold.toml, else defaults
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory; ./statehold-data unless configured
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Namespace; `default` unless said
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Talk to the server at this address instead of the data directory
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// File that holds the API key to show the server
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Answer with exactly one JSON document on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a directory with a configuration and fresh secrets
    Init {
        /// Where; the present directory unless said
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
    },
    /// Run the server
    Serve {
        /// Address to listen on; 127.0.0.1:7600 unless configured
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
    },
    /// Check, print or describe the configuration, or have a running server read it again
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Ask how the server or the data directory is
    Health {
        /// Which question
        #[arg(value_enum, default_value = "ready")]
        probe: Probe,
    },
    /// Show version, features, stores and warnings
    Status,
    /// Make, list, revoke and rotate keys
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Make, list and delete namespaces
    #[command(subcommand)]
    Ns(NsVerb),
    /// Count, list and revoke sessions
    #[command(subcommand)]
    Sessions(SessionsVerb),
    /// Remove what has expired
    Sweep,
    /// Look for trouble in the data directory and the configuration
    Doctor,
    /// Measure the engines on this machine, each beside its floor
    Bench {
        /// Which workloads (G3, G4, G7, G8, G9, G16); all unless said
        #[arg(value_name = "GOAL")]
        goals: Vec<String>,
        /// Pairs of runs for each workload
        #[arg(long, default_value_t = 5)]
        pairs: usize,
        /// Where the files of the runs are put; a temporary directory unless said
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Report every mistake at once
    Check,
    /// Show every effective value and where it comes from; secrets are masked
    Print,
    /// Show every key with its type, default and bounds as JSON Schema
    Schema,
    /// Have the running server read its configuration again
    Reload,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Probe {
    /// Does the process respond
    Live,
    /// Can it serve
    Ready,
    /// Has it started
    Startup,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Keys that applications show the server
    #[command(subcommand)]
    Api(ApiKeysVerb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeysVerb {
    /// Make a key; its secret is shown this once
    Create {
        /// What people call it
        #[arg(long)]
        name: String,
        /// What it may do, such as cache:write; several with commas
        #[arg(long, value_delimiter = ',', required_unless_present = "operator")]
        scopes: Vec<String>,
        /// Everything, in every namespace
        #[arg(long, conflicts_with_all = ["scopes", "namespaces"])]
        operator: bool,
        /// The namespaces it reaches, several with commas; `*` for all; --namespace unless said
        #[arg(long, value_delimiter = ',')]
        namespaces: Vec<String>,
        /// How long it lives, such as 90d; 365d unless said
        #[arg(long)]
        ttl: Option<String>,
        /// The networks it may be used from (CIDR), several with commas; anywhere unless said
        #[arg(long, value_delimiter = ',')]
        allowed_cidrs: Vec<String>,
    },
    /// List all keys, without secrets
    List,
    /// Revoke a key, at once and for ever
    Revoke {
        /// The key's id
        id: String,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
    /// Give a key a new secret; the old one stays valid for the overlap
    Rotate {
        /// The key's id
        id: String,
        /// How long the old secret stays valid, such as 24h
        #[arg(long)]
        overlap: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NsVerb {
    /// Make a namespace
    Create {
        /// Its name
        name: String,
    },
    /// List all namespaces
    List,
    /// Delete a namespace: marked now, its data removed after seven days
    Delete {
        /// Its name
        name: String,
        /// The name once more, against slips
        #[arg(long, value_name = "NAME")]
        yes: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsVerb {
    /// Count live sessions
    Count {
        /// Of one kind: user, node or service
        #[arg(long)]
        kind: Option<String>,
    },
    /// List an owner's live sessions, newest first
    List {
        /// user, node or service
        #[arg(long)]
        kind: String,
        /// Whose
        #[arg(long)]
        owner: String,
    },
    /// Revoke one of an owner's sessions, or all
    Revoke {
        /// user, node or service
        #[arg(long)]
        kind: String,
        /// Whose
        #[arg(long)]
        owner: String,
        /// One session; all unless said
        #[arg(long)]
        session: Option<String>,
        /// Really do it
        #[arg(long)]
        yes: bool,
    },
}
