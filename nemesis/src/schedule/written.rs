//! A fault as it stands in a plan: every field of every kind, most of them left out.

use std::time::Duration;

use keyquake_rollout::{
    Call, FlagChange, KekFile, MemberChange, Send, SidecarPath, Switch, Tamper,
};
use serde::{Deserialize, Serialize};

use super::{Details, PlannedFault};
use crate::catalogue::FaultName;
use crate::faults;
use crate::moment::{Moment, When};
use crate::operator::{CallRequest, Roll};
use crate::rollout::Expect;
use crate::target::Target;
use crate::until::Until;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_seconds"
    )]
    at: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Moment>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_seconds"
    )]
    after: Option<Duration>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_seconds"
    )]
    within: Option<Duration>,
    #[serde(
        rename = "for",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_seconds"
    )]
    hold: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Until>,
    fault: FaultName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encryption: Option<Switch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flag: Option<Switch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kek: Option<KekFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sidecar: Option<SidecarPath>,
    #[serde(
        rename = "rotate-on-startup",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    rotate_on_startup: Option<Switch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tamper: Vec<Tamper>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<MemberChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    send: Option<Send>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_seconds"
    )]
    deadline: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<Expect>,
}

impl TryFrom<Written> for PlannedFault {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let fault = written.fault;
        let hold = written.hold()?;
        let (at, when) = written.begins()?;
        let details = written.details()?;
        let expect = written.expect.clone().unwrap_or_default();
        if !expect.is_empty() && !fault.info().step {
            return Err(format!(
                "`{fault}` has no `expect`: that is for what an operator does"
            ));
        }
        let target = match (written.target, fault) {
            (Some(target), _) => target,
            (None, FaultName::Admin) => Target::Leader,
            (None, _) => {
                return Err(format!(
                    "missing field `target`: whom `{fault}` is aimed at"
                ));
            }
        };
        faults::check_target(fault, &target)?;
        if let Some(until) = written.until {
            until.check(fault, &target)?;
        }
        Ok(PlannedFault {
            at,
            when,
            hold,
            until: written.until,
            fault,
            target,
            details,
            expect,
        })
    }
}

impl Written {
    /// When it begins, and the moment that counts from.
    fn begins(&self) -> Result<(Duration, Option<When>), String> {
        let fault = self.fault;
        let within = self.within;
        match (self.at, &self.when, self.after) {
            (Some(_), Some(_), _) => Err(format!(
                "`{fault}` begins `at` a time or `when` something happens, not both"
            )),
            (_, None, Some(_)) => Err(format!(
                "`after` of `{fault}` counts from its `when`, and there is none"
            )),
            (_, None, _) if within.is_some() => Err(format!(
                "`within` of `{fault}` says how long its `when` is waited for, and there is none"
            )),
            (Some(at), None, None) => Ok((at, None)),
            (None, None, None) => Err(format!(
                "missing field `at`: when `{fault}` begins (or `when`: the moment it waits for)"
            )),
            (None, Some(Moment::During(call)), _) if within.is_some() => Err(format!(
                "`during` waits until `{call}` is answered, so it can't have `within`"
            )),
            (None, Some(_), _) if within.is_some_and(|within| within.is_zero()) => {
                Err(format!("`within` of `{fault}` must be some time"))
            }
            (None, Some(moment), after) => {
                let moment = moment.clone();
                let when = When { moment, within };
                Ok((after.unwrap_or_default(), Some(when)))
            }
        }
    }

    fn hold(&self) -> Result<Duration, String> {
        let fault = self.fault;
        match (self.hold, fault.info().step) {
            (None, true) => Ok(Duration::ZERO),
            (Some(_), true) => Err(format!("`{fault}` stays, so it can't have `for`")),
            (None, false) => Err(format!("missing field `for`: how long `{fault}` is held")),
            (Some(hold), false) if hold.is_zero() => {
                Err(format!("`{fault}` must be held for some time (`for`)"))
            }
            (Some(hold), false) => Ok(hold),
        }
    }

    fn details(&self) -> Result<Details, String> {
        let fault = self.fault;
        let (roll, admin) = (
            &[FaultName::Roll, FaultName::Member][..],
            &[FaultName::Admin][..],
        );
        let stray = [
            ("release", self.release.is_some(), roll),
            ("encryption", self.encryption.is_some(), roll),
            ("flag", self.flag.is_some(), roll),
            ("kek", self.kek.is_some(), roll),
            ("sidecar", self.sidecar.is_some(), roll),
            ("rotate-on-startup", self.rotate_on_startup.is_some(), roll),
            ("tamper", !self.tamper.is_empty(), &[FaultName::Roll]),
            ("change", self.change.is_some(), &[FaultName::Member]),
            ("call", self.call.is_some(), admin),
            ("send", self.send.is_some(), admin),
            ("deadline", self.deadline.is_some(), admin),
            ("epoch", self.epoch.is_some(), admin),
        ];
        if let Some((field, ..)) = stray
            .iter()
            .find(|(_, there, of)| *there && !of.contains(&fault))
        {
            return Err(format!("`{fault}` has no `{field}`"));
        }
        match fault {
            FaultName::Roll if self.roll() == Roll::default() => Err(
                "`roll` changes nothing: give `release`, `encryption` (\"on\" or \"off\") or another flag, or `tamper`"
                    .to_owned(),
            ),
            FaultName::Roll => Ok(Details::Roll(self.roll())),
            FaultName::Admin => self.request().map(Details::Admin),
            FaultName::Member => {
                let change = self.change.ok_or_else(|| {
                    format!(
                        "missing field `change`: what `member` does, one of {}",
                        MemberChange::ALL.map(MemberChange::as_str).join(", ")
                    )
                })?;
                let roll = self.roll();
                if !change.adds() && roll != Roll::default() {
                    return Err(format!(
                        "`{change}` starts nobody, so it can't have a release or flags"
                    ));
                }
                Ok(Details::Member(change, roll))
            }
            _ => Ok(Details::None),
        }
    }
}

impl Written {
    fn roll(&self) -> Roll {
        Roll {
            release: self.release.clone(),
            flags: FlagChange {
                encryption: self.encryption,
                flag: self.flag,
                kek: self.kek,
                sidecar: self.sidecar,
                rotate_on_startup: self.rotate_on_startup,
            },
            tampers: self.tamper.clone(),
        }
    }

    fn request(&self) -> Result<CallRequest, String> {
        let call = self.call.ok_or_else(|| {
            format!(
                "missing field `call`: what `admin` does, one of {}",
                Call::ALL.map(Call::as_str).join(", ")
            )
        })?;
        if self.epoch.is_some() && call != Call::RegisterWriter {
            return Err(format!(
                "`{call}` has no `epoch`; that is for register-writer"
            ));
        }
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err(format!("`{call}` needs some time (`deadline`)"));
        }
        Ok(CallRequest {
            call,
            send: self.send.unwrap_or_default(),
            deadline: self.deadline,
            epoch: self.epoch,
        })
    }
}

impl From<PlannedFault> for Written {
    fn from(planned: PlannedFault) -> Self {
        let change = match planned.details {
            Details::Member(change, _) => Some(change),
            _ => None,
        };
        let (roll, request) = match planned.details {
            Details::None => (Roll::default(), None),
            Details::Roll(roll) | Details::Member(_, roll) => (roll, None),
            Details::Admin(request) => (Roll::default(), Some(request)),
        };
        let flags = roll.flags;
        let send = request.as_ref().map(|request| request.send);
        // A call goes to the leader, which needs no saying.
        let unsaid = planned.fault == FaultName::Admin && planned.target == Target::Leader;
        Written {
            at: planned.when.is_none().then_some(planned.at),
            after: planned.when.is_some().then_some(planned.at),
            within: planned.when.as_ref().and_then(|when| when.within),
            when: planned.when.map(|when| when.moment),
            hold: (!planned.hold.is_zero()).then_some(planned.hold),
            until: planned.until,
            fault: planned.fault,
            target: (!unsaid).then_some(planned.target),
            release: roll.release,
            encryption: flags.encryption,
            flag: flags.flag,
            kek: flags.kek,
            sidecar: flags.sidecar,
            rotate_on_startup: flags.rotate_on_startup,
            tamper: roll.tampers,
            change,
            call: request.as_ref().map(|request| request.call),
            send: send.filter(|&send| send != Send::Once),
            deadline: request.as_ref().and_then(|request| request.deadline),
            epoch: request.and_then(|request| request.epoch),
            expect: Some(planned.expect).filter(|expect| !expect.is_empty()),
        }
    }
}

/// Durations as people write them, to a tenth of a second and finer.
mod seconds {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}s", duration.as_secs_f64()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "`{text}` is no time ({error}); write \"2.5s\" or \"1m 30s\""
            ))
        })
    }
}

/// The same, where there may be none.
mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::seconds::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::seconds::deserialize(deserializer).map(Some)
    }
}
