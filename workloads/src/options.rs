//! What can be chosen about a workload, as it stands in a plan.
//!
//! TOML with kebab-case names; what is left out takes the workload's own default:
//!
//! ```toml
//! [[workload]]
//! name = "register"
//! protocol = "resp"
//! rate = 300.0
//! op-timeout = "1s"
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::Capabilities;

/// The workloads there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadName {
    /// Reads, writes and swaps of registers; every written value is unique.
    Register,
    /// List-append transactions.
    Append,
}

/// How clients talk to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Redis' protocol.
    Resp,
}

/// Which nodes clients talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Any node, drawn from the seed for every operation.
    Any,
    /// The leader where it is known, else any.
    Leader,
    /// Client i always talks to node i modulo the number of nodes.
    Each,
}

/// Everything that can be chosen about one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct WorkloadOptions {
    /// Which workload.
    pub name: WorkloadName,
    /// How its clients talk to the store.
    pub protocol: Protocol,
    /// Which nodes they talk to.
    pub target: Target,
    /// Operations that arrive per second, whether or not earlier ones are done.
    pub rate: f64,
    /// Logical clients: at most this many operations are open at once.
    pub clients: u32,
    /// Keys in use at any moment.
    pub keys: u32,
    /// An operation without an answer after this is `info`.
    pub op_timeout: Duration,
    /// `register` only: also compare-and-set with the last value the client saw.
    pub cas: bool,
    /// `append` only: a key with this many appends is replaced by a fresh one.
    pub appends_per_key: u32,
}

/// Why options can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A number out of its range.
    #[error("workload {workload}: {option} is {found}, but must be {range}")]
    OutOfRange {
        /// The workload.
        workload: WorkloadName,
        /// The option, as it is written.
        option: &'static str,
        /// What was given.
        found: String,
        /// What may be given.
        range: &'static str,
    },
    /// An option of another workload.
    #[error("workload {workload} has no option {option:?}: it belongs to workload {owner}")]
    NotItsOption {
        /// The workload.
        workload: WorkloadName,
        /// The option, as it is written.
        option: &'static str,
        /// The workload that has it.
        owner: WorkloadName,
    },
    /// The store can't do it over this protocol.
    #[error(
        "workload {workload} cannot run over {protocol}: there is no {missing} call; choose another protocol (resp has it){hint}"
    )]
    NotOverProtocol {
        /// The workload.
        workload: WorkloadName,
        /// The protocol.
        protocol: Protocol,
        /// What is missing.
        missing: &'static str,
        /// What else would help.
        hint: &'static str,
    },
    /// A name that is none.
    #[error("unknown {what} {found:?}: there are {known}")]
    Unknown {
        /// What was named.
        what: &'static str,
        /// What was given.
        found: String,
        /// What may be given.
        known: &'static str,
    },
}

impl WorkloadOptions {
    /// The defaults of a workload.
    pub fn of(name: WorkloadName) -> Self {
        let (rate, clients, keys) = match name {
            WorkloadName::Register => (300.0, 12, 8),
            WorkloadName::Append => (150.0, 8, 6),
        };
        Self {
            name,
            protocol: Protocol::Resp,
            // A client of a node that is cut off or paused waits; with `Any`, all
            // clients would soon wait for that node, and nobody would see what the rest does.
            target: Target::Each,
            rate,
            clients,
            keys,
            op_timeout: Duration::from_secs(1),
            cas: false,
            appends_per_key: 64,
        }
    }

    /// Refuses numbers that make no sense.
    pub fn check(&self) -> Result<(), OptionsError> {
        let bad = |option, found: String, range| {
            Err(OptionsError::OutOfRange {
                workload: self.name,
                option,
                found,
                range,
            })
        };
        if !(self.rate > 0.0 && self.rate <= 1e9) {
            return bad("rate", self.rate.to_string(), "above 0 and at most 1e9");
        }
        if !(1..=10_000).contains(&self.clients) {
            return bad("clients", self.clients.to_string(), "1 to 10000");
        }
        if !(1..=100_000).contains(&self.keys) {
            return bad("keys", self.keys.to_string(), "1 to 100000");
        }
        let timeout = self.op_timeout;
        if timeout < Duration::from_millis(1) || timeout > Duration::from_secs(3600) {
            return bad(
                "op-timeout",
                humantime::format_duration(timeout).to_string(),
                "1ms to 1h",
            );
        }
        if !(1..=100_000).contains(&self.appends_per_key) {
            return bad(
                "appends-per-key",
                self.appends_per_key.to_string(),
                "1 to 100000",
            );
        }
        Ok(())
    }

    /// Refuses what the store can't do over the protocol chosen.
    pub fn check_against(&self, capabilities: Capabilities) -> Result<(), OptionsError> {
        self.check()?;
        let missing = |missing, hint| {
            Err(OptionsError::NotOverProtocol {
                workload: self.name,
                protocol: self.protocol,
                missing,
                hint,
            })
        };
        match self.name {
            WorkloadName::Append if !capabilities.transactions => missing("multi-key", ""),
            WorkloadName::Register if self.cas && !capabilities.compare_and_set => {
                missing("compare-and-set", " or leave out cas")
            }
            _ => Ok(()),
        }
    }
}

/// The options as a person writes them: everything but the name may be left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    name: WorkloadName,
    protocol: Option<Protocol>,
    target: Option<Target>,
    rate: Option<f64>,
    clients: Option<u32>,
    keys: Option<u32>,
    #[serde(default, with = "optional_duration")]
    op_timeout: Option<Duration>,
    cas: Option<bool>,
    appends_per_key: Option<u32>,
}

impl TryFrom<Written> for WorkloadOptions {
    type Error = OptionsError;

    fn try_from(written: Written) -> Result<Self, OptionsError> {
        let default = Self::of(written.name);
        let stranger = match written.name {
            WorkloadName::Append => written.cas.map(|_| ("cas", WorkloadName::Register)),
            WorkloadName::Register => written
                .appends_per_key
                .map(|_| ("appends-per-key", WorkloadName::Append)),
        };
        if let Some((option, owner)) = stranger {
            return Err(OptionsError::NotItsOption {
                workload: written.name,
                option,
                owner,
            });
        }
        let options = Self {
            name: written.name,
            protocol: written.protocol.unwrap_or(default.protocol),
            target: written.target.unwrap_or(default.target),
            rate: written.rate.unwrap_or(default.rate),
            clients: written.clients.unwrap_or(default.clients),
            keys: written.keys.unwrap_or(default.keys),
            op_timeout: written.op_timeout.unwrap_or(default.op_timeout),
            cas: written.cas.unwrap_or(default.cas),
            appends_per_key: written.appends_per_key.unwrap_or(default.appends_per_key),
        };
        options.check()?;
        Ok(options)
    }
}

impl From<WorkloadOptions> for Written {
    fn from(options: WorkloadOptions) -> Self {
        let register = options.name == WorkloadName::Register;
        Self {
            name: options.name,
            protocol: Some(options.protocol),
            target: Some(options.target),
            rate: Some(options.rate),
            clients: Some(options.clients),
            keys: Some(options.keys),
            op_timeout: Some(options.op_timeout),
            cas: register.then_some(options.cas),
            appends_per_key: (!register).then_some(options.appends_per_key),
        }
    }
}

/// Durations as `"3s"`, `"250ms"`.
mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.collect_str(&humantime::format_duration(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Some).map_err(|error| {
            D::Error::custom(format!(
                "{text:?} is no duration ({error}); write for example \"3s\" or \"250ms\""
            ))
        })
    }
}

/// `Display` and `FromStr` by the names that stand in plans.
macro_rules! named {
    ($type:ty, $what:literal, $known:literal, $($variant:ident => $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(match self { $(Self::$variant => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = OptionsError;

            fn from_str(text: &str) -> Result<Self, OptionsError> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(OptionsError::Unknown {
                        what: $what,
                        found: text.to_owned(),
                        known: $known,
                    }),
                }
            }
        }
    };
}

named!(WorkloadName, "workload", "register, append", Register => "register", Append => "append");
named!(Protocol, "protocol", "grpc, resp", Grpc => "grpc", Resp => "resp");
named!(Target, "target", "any, leader, each", Any => "any", Leader => "leader", Each => "each");

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WorkloadOptions, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| error.to_string())
    }

    #[test]
    fn what_is_left_out_takes_the_workloads_default() {
        assert_eq!(
            parse("name = \"append\"").unwrap(),
            WorkloadOptions::of(WorkloadName::Append)
        );
        let options =
            parse("name = \"register\"\nop-timeout = \"250ms\"\ncas = true\ntarget = \"each\"")
                .unwrap();
        assert_eq!(options.op_timeout, Duration::from_millis(250));
        assert!(options.cas);
        assert_eq!(options.target, Target::Each);
        assert_eq!(options.rate, 300.0);
    }

    #[test]
    fn what_is_written_reads_back() {
        for name in [WorkloadName::Register, WorkloadName::Append] {
            let options = WorkloadOptions::of(name);
            let text = toml::to_string(&options).unwrap();
            assert!(text.contains("op-timeout = \"1s\""), "{text}");
            assert_eq!(parse(&text).unwrap(), options);
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, expected) in [
            ("name = \"bank\"", "unknown variant `bank`"),
            ("name = \"register\"\nratio = 3", "unknown field `ratio`"),
            ("name = \"register\"\nrate = 0.0", "rate is 0"),
            ("name = \"register\"\nrate = nan", "rate is NaN"),
            ("name = \"register\"\nclients = 0", "clients is 0"),
            ("name = \"append\"\nkeys = 0", "keys is 0"),
            (
                "name = \"append\"\nop-timeout = \"soon\"",
                "\"soon\" is no duration",
            ),
            ("name = \"append\"\nop-timeout = \"0s\"", "op-timeout is 0s"),
            (
                "name = \"append\"\ncas = true",
                "it belongs to workload register",
            ),
            (
                "name = \"register\"\nappends-per-key = 3",
                "it belongs to workload append",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!("bank".parse::<WorkloadName>().is_err());
        assert_eq!("resp".parse::<Protocol>().unwrap(), Protocol::Resp);
    }

    #[test]
    fn a_protocol_that_lacks_a_call_is_refused() {
        let plain = Capabilities {
            swap: false,
            compare_and_set: false,
            transactions: false,
        };
        let mut options = WorkloadOptions::of(WorkloadName::Append);
        options.protocol = Protocol::Grpc;
        let error = options.check_against(plain).unwrap_err().to_string();
        assert!(error.contains("append cannot run over grpc"), "{error}");
        assert!(error.contains("no multi-key call"), "{error}");

        let mut options = WorkloadOptions::of(WorkloadName::Register);
        assert!(options.check_against(plain).is_ok());
        options.cas = true;
        assert!(options.check_against(plain).is_err());
    }
}
