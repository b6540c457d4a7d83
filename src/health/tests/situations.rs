//! Every situation a machine can be in, and what it comes to: the whole of the judgement.

use super::*;
use crate::health::friction::{Lost, Spool};
use Code::*;
use Status::{Degraded, Healthy, Unhealthy};

/// A situation's name, its facts, and what they come to.
pub(super) type Row = (&'static str, Facts, Status, &'static [Code]);

/// A managed machine, changed.
pub(super) fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = managed();
    change(&mut facts);
    facts
}

/// One whose enforcer was probed, and shows a certificate that ends in so many days.
pub(super) fn certified(days: i64, chain: Result<(), &str>, pinned: bool) -> Facts {
    let chain = chain.map_err(str::to_owned);
    probed(shown(Certificate { expires_at: Some(in_days(days)), chain, pinned }))
}

/// One that nobody probed, and whose sidecar noted this.
pub(super) fn recorded(reachable: Option<bool>, pin_ok: Option<bool>) -> Facts {
    with(|facts| {
        facts.enforcer.as_mut().unwrap().probed = None;
        let contact = facts.sidecars[0].enforcer.as_mut().unwrap();
        (contact.reachable, contact.pin_ok) = (reachable, pin_ok);
    })
}

/// Every situation.
pub(super) fn all() -> Vec<Row> {
    let mut rows = starting();
    rows.extend(servers());
    rows.extend(enforcer());
    rows.extend(keys());
    rows.extend(registration());
    rows.extend(directives());
    rows.extend(friction());
    rows
}

fn starting() -> Vec<Row> {
    vec![
        ("a fresh machine", fresh(), Healthy, &[]),
        ("a managed machine", managed(), Healthy, &[]),
        ("a bad setting", troubled(Unsound::Configuration), Unhealthy, &[ConfigurationInvalid]),
        ("a bad managed file", troubled(Unsound::Managed), Unhealthy, &[ManagedInvalid]),
        ("an open managed file", troubled(Unsound::ManagedFile), Unhealthy, &[ManagedUnsafe]),
        ("preflight refuses", troubled(Unsound::Preflight), Unhealthy, &[PreflightRefused]),
        ("a bad policy", troubled(Unsound::Policy), Unhealthy, &[PolicyInvalid]),
        ("a garbled state", troubled(Unsound::State), Unhealthy, &[StateUnreadable]),
        ("no home", troubled(Unsound::Homeless), Degraded, &[ClientUnreadable]),
        ("an override", troubled(Unsound::Override), Degraded, &[LockedOverride]),
    ]
}

fn troubled(kind: Unsound) -> Facts {
    let trouble = Trouble { kind, text: "it is so".into(), fix: "mend it".into() };
    with(|facts| facts.troubles.push(trouble))
}

fn servers() -> Vec<Row> {
    let broken = with(|facts| facts.coverage.files[0].unreadable = Some("line 1".into()));
    vec![
        ("drift", found(Standing::Bypassing, true), Degraded, &[ConfigDrifted]),
        ("a remote server", found(Standing::Bypassing, false), Degraded, &[ServerUngoverned]),
        ("a tampered server", found(Standing::Tampered, true), Unhealthy, &[ServerTampered]),
        ("a strange entry", found(Standing::Unreadable, false), Degraded, &[ClientUnreadable]),
        ("a broken file", broken, Degraded, &[ClientUnreadable]),
    ]
}

fn found(standing: Standing, can_be_wrapped: bool) -> Facts {
    with(|facts| facts.coverage = covering(standing, can_be_wrapped))
}

fn enforcer() -> Vec<Row> {
    let silent = || probed(Probe::Silent("refused".into()));
    let stepping_up = Facts { outage: Outage::StepUp, ..silent() };
    let allowing = |facts| Facts { outage: Outage::Allow, ..facts };
    let alone = |facts| Facts { policies: Vec::new(), ..allowing(facts) };
    let plain = probed(Probe::Reached { latency: Duration::ZERO, certificate: None });
    let expired = certified(-1, Err("expired"), true);
    let untrusted = certified(15, Err("unknown issuer"), true);
    let another = recorded(Some(false), Some(false));
    vec![
        ("nobody looked", recorded(None, None), Healthy, &[]),
        ("silence", silent(), Degraded, &[EnforcerUnreachable]),
        ("recorded silence", recorded(Some(false), None), Degraded, &[EnforcerUnreachable]),
        ("silence steps up", stepping_up, Degraded, &[EnforcerUnreachable]),
        ("silence allows", alone(silent()), Unhealthy, &[FailingOpen]),
        ("silence allowed", alone(recorded(Some(false), None)), Unhealthy, &[FailingOpen]),
        ("it allows, rules remain", allowing(silent()), Degraded, &[EnforcerUnreachable]),
        ("another certificate", certified(15, Ok(()), false), Unhealthy, &[PinMismatch]),
        ("another, recorded", another, Unhealthy, &[PinMismatch]),
        ("an untrusted one", untrusted, Unhealthy, &[CertificateUntrusted]),
        ("an expired one", expired, Unhealthy, &[CertificateExpired]),
        ("13 days left", certified(13, Ok(()), true), Degraded, &[CertificateExpiring]),
        ("14 days left", certified(14, Ok(()), true), Healthy, &[]),
        ("no TLS", plain, Healthy, &[]),
    ]
}

fn keys() -> Vec<Row> {
    let held = |state| with(|facts| facts.credentials = vec![key(state)]);
    let ending = |end| with(|facts| facts.credentials[0].expires_at = Some(end));
    let without = |change: fn(&mut Facts)| {
        with(|facts| {
            facts.credentials.clear();
            facts.sidecars.clear();
            change(facts);
        })
    };
    let rejected = |source: &str, now: &str| {
        with(|facts| {
            let standing =
                credential::Standing { source: source.into(), ..key(KeyState::Rejected) };
            facts.sidecars[0].credentials = vec![standing];
            facts.credentials[0].fingerprint = Some(now.into());
        })
    };
    let token = with(|facts| {
        let name = "govapi_bearer_token".into();
        facts.credentials.push(credential::Standing { name, ..key(KeyState::Rejected) });
    });
    let shown = |state| {
        with(|facts| {
            let name = "upstream_token".into();
            let standing = credential::Standing { name, ..key(state) };
            facts.sidecars[0].credentials.push(standing);
        })
    };
    let printed = |change: fn(&mut credential::Standing)| {
        with(|facts| {
            let unused = credential::Standing {
                source: "command".into(),
                generation: 0,
                fingerprint: None,
                ..key(KeyState::Missing)
            };
            facts.sidecars[0].credentials = vec![unused.clone()];
            facts.credentials = vec![unused];
            change(&mut facts.sidecars[0].credentials[0]);
        })
    };
    let elsewhere = with(|facts| facts.credentials.clear());
    vec![
        ("no key", without(|_| ()), Unhealthy, &[ApiKeyMissing]),
        ("a developer's", without(|it| it.environment = Environment::Dev), Healthy, &[]),
        ("no key, no enforcer", without(|it| it.enforcer = None), Healthy, &[]),
        ("only a sidecar has one", elsewhere, Healthy, &[]),
        ("an empty source", held(KeyState::Missing), Unhealthy, &[ApiKeyMissing]),
        ("a rejected key", held(KeyState::Rejected), Unhealthy, &[ApiKeyRejected]),
        ("a revoked key", held(KeyState::Revoked), Unhealthy, &[ApiKeyRevoked]),
        ("a stale key", held(KeyState::Stale), Degraded, &[ApiKeyStale]),
        ("an expired key", ending(ago(1)), Unhealthy, &[ApiKeyExpired]),
        ("a key that will expire", ending(in_days(1)), Healthy, &[]),
        ("refused", rejected("file", "sha256:ba7816bf"), Unhealthy, &[ApiKeyRejected]),
        ("refused, replaced since", rejected("file", "sha256:00000000"), Healthy, &[]),
        ("refused for good", rejected("THOTH_API_KEY", "sha256:0"), Unhealthy, &[ApiKeyRejected]),
        ("a program's key", printed(|_| ()), Healthy, &[]),
        (
            "the same, used",
            printed(|it| it.state = KeyState::Rejected),
            Unhealthy,
            &[ApiKeyRejected],
        ),
        ("a bad token", token, Degraded, &[GovapiCredential]),
        ("a server's token", shown(KeyState::Ok), Healthy, &[]),
        ("a server's, refused", shown(KeyState::Rejected), Degraded, &[UpstreamCredential]),
    ]
}

fn registration() -> Vec<Row> {
    let registered = |ok| with(|facts| facts.state.registration_ok = ok);
    let none = with(|facts| {
        facts.govapi = None;
        facts.state = State::default();
    });
    let checked_in = |seconds, change: fn(&mut Facts)| {
        with(|facts| {
            facts.state.last_check_in = Some(ago(seconds));
            change(facts);
        })
    };
    let just_started = checked_in(999, |it| it.sidecars[0].started_at = ago(180));
    let idle = checked_in(999, |it| it.sidecars.clear());
    let slower = checked_in(181, |it| {
        it.state.directives.heartbeat_interval_seconds = Some(61);
    });
    let since = with(|facts| facts.state.last_check_in = None);
    let peer = |probe| with(|facts| facts.govapi.as_mut().unwrap().probed = Some(probe));
    let silent = peer(Probe::Silent("refused".into()));
    let certificate = Certificate { expires_at: None, chain: Ok(()), pinned: false };
    vec![
        ("never registered", registered(None), Degraded, &[NotRegistered]),
        ("not registered", registered(Some(false)), Degraded, &[RegistrationFailed]),
        ("no GovAPI", none, Healthy, &[]),
        ("three intervals", checked_in(180, |_| ()), Healthy, &[]),
        ("more than three", checked_in(181, |_| ()), Degraded, &[CheckInOverdue]),
        ("none since the registration", since, Degraded, &[CheckInOverdue]),
        ("the GovAPI asks for less", slower, Healthy, &[]),
        ("late, and nothing runs", idle, Healthy, &[]),
        ("late, and it just started", just_started, Healthy, &[]),
        ("a silent GovAPI", silent, Degraded, &[GovapiUnreachable]),
        ("a false GovAPI", peer(shown(certificate)), Unhealthy, &[PinMismatch]),
    ]
}

fn directives() -> Vec<Row> {
    let told = |change: fn(&mut Directives)| with(|facts| change(&mut facts.state.directives));
    let minimum = |version: &str| {
        with(|facts| facts.state.directives.minimum_version = Some(version.to_owned()))
    };
    let mixed = with(|facts| facts.sidecars[0].version = "1.1.0".into());
    let several = with(|facts| {
        facts.sidecars[0].version = "1.1.0".into();
        facts.coverage = covering(Standing::Bypassing, true);
        facts.state.directives.quarantined = true;
    });
    vec![
        ("quarantine", told(|it| it.quarantined = true), Unhealthy, &[Quarantined]),
        ("other keys", told(|it| it.revoked_key_ids.push("k-9".into())), Healthy, &[]),
        ("below the minimum", minimum("1.2.1"), Degraded, &[VersionBelowMinimum]),
        ("at the minimum", minimum("1.2.0"), Healthy, &[]),
        ("no version at all", minimum("soon"), Healthy, &[]),
        ("an old sidecar", mixed, Degraded, &[MixedVersions]),
        ("all at once", several, Unhealthy, &[Quarantined, ConfigDrifted, MixedVersions]),
    ]
}

/// Telemetry never makes a machine unhealthy.
fn friction() -> Vec<Row> {
    let spooled = |lost| {
        with(|facts| {
            let place = "https://u:p@c.example".to_owned();
            facts.friction.spools.push(Spool { place, waiting_bytes: 1 << 30, lost });
        })
    };
    let telling = |dropped, change: fn(&mut sidecar::Sink)| {
        with(|facts| {
            let place = "https://c.example".to_owned();
            let (delivered, trouble) = (Some(0), None);
            let mut sink = sidecar::Sink { place, written: 2, dropped: 0, delivered, trouble };
            change(&mut sink);
            let sinks = vec![sink];
            facts.sidecars[0].friction = Some(sidecar::Friction { events: 2, dropped, sinks });
        })
    };
    let none = Lost::default();
    vec![
        ("much waits, nothing is lost", spooled(none), Healthy, &[]),
        ("evicted", spooled(Lost { evicted: 1, ..none }), Degraded, &[FrictionLost]),
        ("refused", spooled(Lost { refused: 1, ..none }), Degraded, &[FrictionLost]),
        ("damaged", spooled(Lost { damaged: 1, ..none }), Degraded, &[FrictionLost]),
        ("all is told", telling(0, |_| ()), Healthy, &[]),
        ("not all is told", telling(1, |_| ()), Degraded, &[FrictionDropped]),
        ("a full disk", telling(0, |sink| sink.dropped = 3), Degraded, &[FrictionDropped]),
        (
            "a silent collector",
            telling(0, |sink| sink.trouble = Some("there is no connection".into())),
            Degraded,
            &[FrictionWaiting],
        ),
    ]
}
