//! Engines that break a law on purpose.
//!
//! Each is the plain engine with one habit replaced. A law that does not catch its broken engines proves nothing.

pub(crate) mod announce;
pub(crate) mod carry;
pub(crate) mod commit;
pub(crate) mod fence;
pub(crate) mod read;
pub(crate) mod restart;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use statehold_core::{
    Address, CarryOutcome, Commit, Control, Cx, Decided, Epoch, Fence, Incarnation, Item, ItemKey, Mark,
    MarkKind, Page, Place, Range, Receipt, Result, Revision, Role, Scan, ScanPage, Space, State, Time, Topic,
    carry_rule, commit_rule, read_rule,
};

use crate::plain::{KeptBucket, Plain, View, World};
use crate::rig::Restart;
use crate::stack::{Make, made_of};

/// An engine that breaks a law.
#[derive(Clone, Copy)]
pub struct Broken {
    /// What it does wrong.
    pub name: &'static str,
    /// The plain engine's habits, one of them bad.
    pub(crate) habits: fn() -> Arc<dyn Habits>,
}

impl Broken {
    /// How it is started.
    pub fn maker(&self) -> Make {
        made_of((self.habits)())
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A list of broken engines by their types.
macro_rules! broken {
    ($($group:ident::$name:ident),+ $(,)?) => {
        &[$($crate::broken::Broken {
            name: stringify!($name),
            habits: || std::sync::Arc::new(<$crate::broken::$group::$name as Default>::default()),
        }),+]
    };
}
pub(crate) use broken;

/// Engines by what they do wrong: a type, and the habit it replaces.
macro_rules! habits {
    ($($(#[$doc:meta])* $name:ident { $($habit:item)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name;

        impl $crate::broken::Habits for $name {
            $($habit)+
        }
    )+};
}
pub(crate) use habits;

/// How the plain engine does each thing. The default bodies are sound.
pub(crate) trait Habits: fmt::Debug + Send + Sync + 'static {
    fn fetch(&self, plain: &Plain, cx: &Cx, wanted: &[Address]) -> Result<Vec<Option<Item>>> {
        plain.fetch_soundly(cx, wanted)
    }

    fn list(&self, plain: &Plain, cx: &Cx, at: &Place, ranges: &[Range]) -> Result<Vec<Page>> {
        plain.list_soundly(cx, at, ranges)
    }

    fn commit(&self, plain: &Plain, at: &Place, commit: &Commit) -> Result<Receipt> {
        plain.commit_soundly(at, commit)
    }

    fn scan(&self, plain: &Plain, scan: &Scan) -> Result<ScanPage> {
        plain.scan_soundly(scan)
    }

    fn establish(&self, plain: &Plain, space: &Space, control: &Control) -> Result<()> {
        plain.establish_soundly(space, control)
    }

    fn set_control(
        &self,
        plain: &Plain,
        space: &Space,
        bucket: statehold_core::Bucket,
        expect: Option<&Control>,
        next: &Control,
    ) -> Result<()> {
        plain.set_control_soundly(space, bucket, expect, next)
    }

    /// What the bounds say of a request.
    fn bounded(&self, checked: Result<()>) -> Result<()> {
        checked
    }

    /// Whether somebody else may come in between a decision and its writes.
    fn forgets_its_lock(&self) -> bool {
        false
    }

    fn commit_rule(&self, control: Option<&Control>, present: Incarnation, epoch: Epoch) -> Result<Fence> {
        commit_rule(control, present, epoch)
    }

    fn read_rule(&self, control: Option<&Control>, present: Incarnation) -> Result<Time> {
        read_rule(control, present)
    }

    fn next_revision(&self, bucket: &KeptBucket, fence: &Fence) -> Result<Revision> {
        Revision::new(fence.term, fence.floor.max(bucket.floor).n() + 1)
    }

    fn decide(
        &self,
        commit: &Commit,
        view: &mut View<'_>,
        fence: &Fence,
        now: Time,
        revision: Revision,
    ) -> Result<Decided> {
        Plain::evaluate(commit, view, fence, now, revision)
    }

    /// The revision to mark a written item in, while the bucket marks.
    fn mark(&self, _: &ItemKey, revision: Revision) -> Option<Revision> {
        Some(revision)
    }

    fn may_clear(&self, (revision, kind): (Revision, MarkKind), done: &Mark) -> bool {
        revision == done.revision && kind == done.kind
    }

    fn may_carry(&self, control: Option<&Control>, present: Incarnation, at: Epoch) -> Result<()> {
        Plain::may_carry_soundly(control, present, at)
    }

    fn carry_rule(&self, present: Option<&State>, incoming: &State) -> CarryOutcome {
        carry_rule(present, incoming)
    }

    /// What is kept of a state that was carried here.
    fn carried(&self, state: &State) -> Option<State> {
        Some(state.clone())
    }

    fn may_forget(&self, role: Option<Role>) -> bool {
        role == Some(Role::Away)
    }

    fn tell(&self, plain: &Plain, commit: &Commit, revision: Revision) {
        plain.tell(commit, revision);
    }

    fn hears(&self, topic: &Topic, prefix: &Topic) -> bool {
        topic.as_bytes().starts_with(prefix.as_bytes())
    }

    fn says_what_was_missed(&self) -> bool {
        true
    }

    /// What is found at a start after a stop.
    fn restarted(&self, _: &mut World, _: Restart) {}

    fn too_late(&self, deadline: Instant) -> bool {
        deadline <= Instant::now()
    }
}
