//! Levels by name, and what anomalies rule out.

use elle_rs::levels::{Level, Ruled};

#[test]
fn every_level_has_a_name_that_stands_for_it() {
    for level in Level::all() {
        assert_eq!(level.name().parse(), Ok(level));
    }
    assert_eq!("PL-SI".parse(), Ok(Level::SnapshotIsolation));
    assert_eq!("PL-2.99".parse(), Ok(Level::RepeatableRead));
}

#[test]
fn a_misspelt_level_names_the_nearest() {
    let error = "serialisable".parse::<Level>().unwrap_err().to_string();
    assert!(error.contains("did you mean serializable?"), "{error}");
    let error = "snapshot_isolation"
        .parse::<Level>()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("did you mean snapshot-isolation?"),
        "{error}"
    );
}

#[test]
fn a_level_that_is_known_but_not_decided_names_one_that_is() {
    let error = "cursor-stability".parse::<Level>().unwrap_err().to_string();
    assert!(error.contains("snapshot-isolation implies it"), "{error}");
    let error = "prefix".parse::<Level>().unwrap_err().to_string();
    assert!(error.contains("snapshot-isolation implies it"), "{error}");
}

#[test]
fn elles_names_of_levels_are_known() {
    use Level::{
        ReadCommitted, ReadUncommitted, RepeatableRead, Serializable, StrictSerializable,
        StrongReadCommitted, StrongSessionReadUncommitted,
    };
    for (name, level) in [
        ("PL-1", ReadUncommitted),
        ("PL-2", ReadCommitted),
        ("PL-2.99", RepeatableRead),
        ("PL-3", Serializable),
        ("conflict-serializable", Serializable),
        ("PL-SS", StrictSerializable),
        ("strong-serializable", StrictSerializable),
        ("strong-PL-2", StrongReadCommitted),
        ("strong-session-PL-1", StrongSessionReadUncommitted),
    ] {
        assert_eq!(name.parse(), Ok(level), "{name}");
    }
    for (name, stronger) in [
        ("PL-2+", "snapshot-isolation"),
        ("PL-CS", "snapshot-isolation"),
        ("PL-FCV", "snapshot-isolation"),
        ("PL-MSR", "snapshot-isolation"),
        ("PL-2L", "snapshot-isolation"),
        ("PL-3U", "serializable"),
        ("view-serializable", "serializable"),
    ] {
        let error = name.parse::<Level>().unwrap_err().to_string();
        assert!(error.contains(&format!("{stronger} implies it")), "{error}");
    }
}

#[test]
fn anomalies_rule_levels_out() {
    let ruled = Ruled::by(["G2-item"]);
    assert_eq!(ruled.not, ["repeatable-read"]);
    assert!(ruled.also_not.contains(&"strict-serializable".to_owned()));
    assert!(
        ruled
            .may_hold
            .contains(&"strong-snapshot-isolation".to_owned())
    );

    let ruled = Ruled::by(["G-single-realtime"]);
    assert_eq!(ruled.not, ["strong-snapshot-isolation"]);
    assert_eq!(ruled.also_not, ["strict-serializable"]);
    assert_eq!(
        ruled.may_hold,
        ["strong-session-serializable", "strong-read-committed"]
    );

    assert_eq!(Ruled::by(["G0"]).not, ["read-uncommitted"]);
    assert_eq!(Ruled::by(["G1a"]).not, ["read-committed"]);
    assert_eq!(Ruled::by([]).may_hold, ["strict-serializable"]);
}
