//! The sessions of the listener: those with a name, and those that messages without one share.
//!
//! # Invariants
//!
//! - One session, one governed session, one server.
//! - There are never more than [`Bounds::sessions`], those that are ending included: each still has a
//!   server.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use hyper::HeaderMap;
use tokio::task::JoinSet;

use super::headers::{self, Mismatch};
use super::message::Message;
use super::secret;
use super::session::Session;
use super::{Bounds, Open};
use crate::mirror::Parameters;

/// All sessions.
pub(super) struct Sessions<O> {
    opener: Rc<O>,
    bounds: Bounds,
    named: RefCell<HashMap<String, Rc<Session>>>,
    /// Those of the era without sessions: any message goes to any of them.
    lanes: RefCell<Vec<Rc<Session>>>,
    /// What those are known to take in headers.
    parameters: Rc<RefCell<Parameters>>,
    tasks: RefCell<JoinSet<()>>,
    /// Whether none begins any more.
    is_over: Cell<bool>,
}

/// There are too many sessions, or there will be no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoRoom;

// === impl Sessions ===

impl<O: Open> Sessions<O> {
    pub(super) fn new(opener: Rc<O>, bounds: Bounds) -> Self {
        Self {
            opener,
            bounds,
            named: RefCell::default(),
            lanes: RefCell::default(),
            parameters: Rc::default(),
            tasks: RefCell::default(),
            is_over: Cell::new(false),
        }
    }

    /// Begins a session, and gives it a name.
    pub(super) fn begin(&self) -> Result<(String, Rc<Session>), NoRoom> {
        let session = self.open(None).inspect_err(|_| Self::clear(&self.lanes.borrow()))?;
        let name = secret::token();
        self.named.borrow_mut().insert(name.clone(), Rc::clone(&session));
        Ok((name, session))
    }

    /// The session of this name, where it has not ended.
    pub(super) fn named(&self, name: &str) -> Option<Rc<Session>> {
        let mut named = self.named.borrow_mut();
        named.retain(|_, session| session.is_open());
        named.get(name).cloned()
    }

    /// A session in which this message can be told from all that wait there. Its server has only been
    /// spoken to in this version: some take the first they hear for the only one.
    pub(super) fn lane(&self, message: &Message) -> Result<Rc<Session>, NoRoom> {
        let mut lanes = self.lanes.borrow_mut();
        lanes.retain(|lane| lane.is_open());
        let version = &message.parts.version;
        let fits = |lane: &&Rc<Session>| lane.version() == *version && lane.has_room_for(message);
        if let Some(lane) = lanes.iter().find(fits) {
            return Ok(Rc::clone(lane));
        }
        let opened = self.open(Some(Rc::clone(&self.parameters)));
        let lane = opened.inspect_err(|_| Self::clear(&lanes))?;
        lane.agree_on(version.clone());
        lanes.push(Rc::clone(&lane));
        Ok(lane)
    }

    /// Holds the headers of a message without a session against its body, and what is known of the
    /// tools.
    pub(super) fn check(&self, headers: &HeaderMap, message: &Message) -> Result<(), Mismatch> {
        headers::check(headers, &message.parts, &self.parameters.borrow())
    }

    /// Ends all sessions, and waits until they have. None begins from here on.
    ///
    /// Cancel safe: those that have not ended by then end as they are dropped.
    pub(super) async fn end(&self) {
        self.is_over.set(true);
        let named = self.named.take();
        named.values().chain(&*self.lanes.take()).for_each(|session| session.end());
        let mut tasks = self.tasks.take();
        while tasks.join_next().await.is_some() {}
    }

    /// Ends the lanes in which nothing is under way, so that there is room for who comes again: each may
    /// be kept from a message by nothing but its version, or an id that was given up.
    fn clear(lanes: &[Rc<Session>]) {
        lanes.iter().filter(|lane| lane.is_idle()).for_each(|lane| lane.end());
    }

    fn open(&self, parameters: Option<Rc<RefCell<Parameters>>>) -> Result<Rc<Session>, NoRoom> {
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        if self.is_over.get() || tasks.len() >= self.bounds.sessions {
            return Err(NoRoom);
        }
        let (session, run) = Session::new(Rc::clone(&self.opener), parameters, &self.bounds);
        tasks.spawn_local(run);
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::listener::{Input, Output};

    /// Sessions that last until they are asked to end.
    struct Patient;

    impl Open for Patient {
        async fn hold(&self, _: Input, _: Output, stop: CancellationToken) -> Result<(), String> {
            stop.cancelled().await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn there_are_so_many_and_none_after_the_end() {
        let bounds = Bounds { sessions: 2, ..Bounds::default() };
        let sessions = Sessions::new(Rc::new(Patient), bounds);
        let all = async {
            let (name, first) = sessions.begin().unwrap();
            sessions.begin().unwrap();
            assert_eq!(sessions.begin().unwrap_err(), NoRoom);
            assert!(sessions.named(&name).is_some() && first.is_open());
            sessions.end().await;
            assert!(sessions.named(&name).is_none() && !first.is_open());
            assert_eq!(sessions.begin().unwrap_err(), NoRoom, "nobody would end it");
        };
        LocalSet::new().run_until(all).await;
    }

    #[tokio::test]
    async fn an_idle_lane_makes_room_and_one_in_use_does_not() {
        let message = |version: &str| {
            let meta = format!(r#"{{"io.modelcontextprotocol/protocolVersion":"{version}"}}"#);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#
            );
            Message::read(body.as_bytes()).unwrap()
        };
        let (one, other) = (message("2026-07-28"), message("2027-01-01"));
        let sessions = Sessions::new(Rc::new(Patient), Bounds { sessions: 1, ..Bounds::default() });
        let all = async {
            let lane = sessions.lane(&one).unwrap();
            let place = lane.ask(&one, false).await.unwrap();
            assert_eq!(sessions.lane(&other).unwrap_err(), NoRoom);
            assert!(lane.is_open());
            drop(place);
            assert_eq!(sessions.lane(&one).unwrap_err(), NoRoom, "its id was just given up");
            assert!(!lane.is_open());
            while sessions.lane(&other).is_err() {
                tokio::task::yield_now().await;
            }
        };
        LocalSet::new().run_until(all).await;
    }
}
