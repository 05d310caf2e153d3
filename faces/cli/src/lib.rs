//! The face operators meet: one file a verb.
//!
//! Each verb takes its own arguments and an [`out::Out`], and ends in an exit code: 0 done, 1 the answer
//! is no (a fault found, nothing matched), 2 it could not be asked.

mod access;
mod agent_verb;
mod agents;
mod approvals;
mod audit;
mod bar;
mod callers;
mod completions;
mod config_verb;
mod credentials;
mod demo_verb;
mod doctor;
mod failure;
mod init;
mod ledger;
mod log;
mod login_verb;
mod mask_verb;
mod out;
mod pages;
mod policy;
mod proxy_verb;
mod remote;
mod resources;
mod serve;
mod sessions;
mod terminal;
mod token;
mod told;
mod whoami;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;
use out::Out;

/// Identity, policy, masking and a record for self-hosted models.
#[derive(Parser)]
#[command(name = "portcullis", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// See the main job done, on this machine alone
    Demo(demo_verb::Demo),
    /// Write a configuration and a first policy for your own issuer and model
    Init(init::Init),
    /// Stand in the data path
    Serve(serve::Serve),
    /// Check or describe the configuration
    #[command(subcommand)]
    Config(config_verb::ConfigVerb),
    /// Check policies
    #[command(subcommand)]
    Policy(policy::PolicyVerb),
    /// List the masking rules, try them on a text, measure them on labelled samples
    #[command(subcommand)]
    Mask(mask_verb::MaskVerb),
    /// Log in, by the browser here or on another screen
    Login(Box<login_verb::Login>),
    /// Say who is logged in
    Whoami(whoami::Whoami),
    /// End a login: forget its tokens and revoke them
    Logout(whoami::Logout),
    /// Print a fresh token; or look into one: which check fails, which groups it gives
    Token(token::Token),
    /// Give tools that can't keep a token fresh a local address and key
    Proxy(Box<proxy_verb::Proxy>),
    /// List, show and replay what was recorded
    #[command(subcommand)]
    Sessions(sessions::SessionsVerb),
    /// Verify the record, and prove what is in it
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// Keep recordings past their retention
    #[command(subcommand)]
    Ledger(ledger::LedgerVerb),
    /// See what is protected, and how it stands
    #[command(subcommand)]
    Resources(resources::ResourcesVerb),
    /// Replace what opens a resource
    #[command(subcommand)]
    Credentials(credentials::CredentialsVerb),
    /// Decide what waits for consent
    #[command(subcommand)]
    Approvals(approvals::ApprovalsVerb),
    /// Block callers, let them in again, revoke their tokens
    #[command(subcommand)]
    Access(access::AccessVerb),
    /// List who was seen, and how they stand
    #[command(subcommand)]
    Callers(callers::CallersVerb),
    /// Stand beside the models, hold their credentials, and dial out to the gateway
    Agent(agent_verb::Agent),
    /// Let agents in, see how they do, put them out
    #[command(subcommand)]
    Agents(agents::AgentsVerb),
    /// Look at what a gateway or an agent needs, and whether a model can be reached around it
    Doctor(doctor::Doctor),
    /// Say why a request was allowed or refused, and what would allow it
    Why(why::Why),
    /// Print completions for a shell
    Completions(completions::Completions),
}

/// Runs the verb that `arguments` name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Nothing is left to be done when even the usage can't be printed.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let mut out = Out::stdout();
    let result = match arguments.verb {
        Verb::Demo(verb) => verb.run(&mut out),
        Verb::Init(verb) => verb.run(&mut out),
        Verb::Serve(verb) => verb.run(&mut out),
        Verb::Config(verb) => verb.run(&mut out),
        Verb::Policy(verb) => verb.run(&mut out),
        Verb::Login(verb) => verb.run(&mut out),
        Verb::Whoami(verb) => verb.run(&mut out),
        Verb::Logout(verb) => verb.run(&mut out),
        Verb::Mask(verb) => verb.run(&mut out),
        Verb::Token(verb) => verb.run(&mut out),
        Verb::Proxy(verb) => verb.run(&mut out),
        Verb::Sessions(verb) => verb.run(&mut out),
        Verb::Audit(verb) => verb.run(&mut out),
        Verb::Ledger(verb) => verb.run(&mut out),
        Verb::Resources(verb) => verb.run(&mut out),
        Verb::Credentials(verb) => verb.run(&mut out),
        Verb::Approvals(verb) => verb.run(&mut out),
        Verb::Access(verb) => verb.run(&mut out),
        Verb::Callers(verb) => verb.run(&mut out),
        Verb::Doctor(verb) => verb.run(&mut out),
        Verb::Agent(verb) => verb.run(&mut out),
        Verb::Agents(verb) => verb.run(&mut out),
        Verb::Why(verb) => verb.run(&mut out),
        Verb::Completions(verb) => verb.run(&mut out),
    };
    match result {
        Ok(code) => code,
        Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            Out::stderr().error(&failure);
            ExitCode::from(2)
        }
    }
}
