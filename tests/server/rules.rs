//! Policies from a directory, changed while they are in force.

use std::fs;
use std::path::Path;
use std::time::Duration;

use thoth::server::rulebook::{Rulebook, Sources, watch};
use thoth::server::{App, Parts};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::live::Enforcer;

fn write(directory: &Path, name: &str, id: &str) {
    let text = format!("[policy]\nid = \"{id}\"\nversion = 1\ndefault = \"block\"\n");
    fs::write(directory.join(name), text).unwrap();
}

/// Waits until it is so.
async fn until(app: &App, is_so: impl Fn(&Rulebook) -> bool) {
    let waiting = async {
        while !is_so(&app.rules) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_mins(1), waiting).await.unwrap();
}

fn ids(rules: &Rulebook) -> Vec<String> {
    let book = rules.current();
    book.set.policies().iter().map(|policy| policy.reference().id.clone()).collect()
}

#[tokio::test]
async fn policies_change_as_a_whole_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "b.toml", "second");
    write(path, "a.toml", "first");
    fs::write(path.join(".a.toml.swp.toml"), "not a policy").unwrap();
    fs::write(path.join("notes.txt"), "not a policy").unwrap();
    let sources = Sources::new(vec![path.to_owned()]);
    let rules = Rulebook::new(sources.book().unwrap());
    let enforcer = Enforcer::with(|parts| Parts { rules, ..parts }).await;
    let app = enforcer.app.clone();
    assert_eq!(ids(&app.rules), ["first", "second"], "in the order of their names");
    let revision = app.rules.current().revision.clone();
    let watching = tokio::spawn({
        let app = app.clone();
        async move { watch(&app, sources, Duration::from_millis(5), &Notify::new()).await }
    });

    // Broken: what was in force stays, and it is said.
    fs::write(path.join("b.toml"), "[policy]\nid = ").unwrap();
    until(&app, |rules| rules.problem().is_some()).await;
    assert_eq!(app.rules.current().revision, revision);
    assert!(app.rules.problem().unwrap().contains("b.toml"));
    assert!(app.metrics.text().contains("thoth_policy_reloads_total{outcome=\"failed\"} 1"));
    let (status, told) = enforcer.send(axum::http::Method::GET, "/readyz", None, None).await;
    assert_eq!((status.as_u16(), &told["policies"]["outdated"]), (200, &true.into()));

    // Mended as it was.
    write(path, "b.toml", "second");
    until(&app, |rules| rules.problem().is_none()).await;
    assert_eq!(app.rules.current().revision, revision);

    // Changed, and one less.
    write(path, "b.toml", "third");
    until(&app, |rules| ids(rules) == ["first", "third"]).await;
    assert_ne!(app.rules.current().revision, revision);
    fs::remove_file(path.join("a.toml")).unwrap();
    until(&app, |rules| ids(rules) == ["third"]).await;

    // All gone: an empty directory is no permission.
    fs::remove_file(path.join("b.toml")).unwrap();
    until(&app, |rules| rules.problem().is_some()).await;
    assert_eq!(ids(&app.rules), ["third"]);
    app.stop.cancel();
    watching.await.unwrap();
}

#[test]
fn a_revision_is_of_what_the_files_say_and_of_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let revision = |names: &[&str]| {
        Sources::new(names.iter().map(|name| path.join(name)).collect()).book().unwrap().revision
    };
    write(path, "a.toml", "first");
    write(path, "b.toml", "second");
    write(path, "c.toml", "first");
    assert_eq!(
        revision(&["a.toml", "b.toml"]),
        revision(&["c.toml", "b.toml"]),
        "names do not count"
    );
    assert_ne!(revision(&["a.toml", "b.toml"]), revision(&["b.toml", "a.toml"]));
    assert_ne!(revision(&["a.toml"]), revision(&["b.toml"]));
}
