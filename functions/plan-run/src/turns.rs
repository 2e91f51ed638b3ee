//! Turns at extracting: one run at a time extracts into a table, each from where the last loaded extraction had come to.
//!
//! The ledger knows who has the turn; that it has ended is read in that run's own history. Taking a turn is one conditional
//! write, and the run's record of it is derived from what was written: a crash in between is made up for by the next look.

use millstream_events::{
    history::{Record, Turn},
    names::RunId,
};
use millstream_pipeline::plan::{Plan, TurnEnd, TurnWanted, turn_end};
use millstream_ports::{PortResult, TurnHolder};

use crate::PlanRun;

impl PlanRun {
    /// Takes the turns that the run waits for, where those before have ended; whether it took any.
    pub(crate) async fn take_turns(&self, run: &RunId, plan: &Plan) -> PortResult<bool> {
        let mut taken = false;
        for wanted in &plan.turns {
            taken |= self.take_turn(run, wanted).await?;
        }
        Ok(taken)
    }

    async fn take_turn(&self, run: &RunId, wanted: &TurnWanted) -> PortResult<bool> {
        let (before, seen) = self.ports.ledger.turn(&wanted.table).await?.unzip();
        let holder = match before {
            Some(holder) if holder.run == *run && holder.claim == wanted.claim => holder,
            before => {
                let Some(next) = self.next_holder(run, wanted, before).await? else { return Ok(false) };
                // Whoever was faster has it now; the next look waits for that one.
                if !self.ports.ledger.take_turn(&wanted.table, next.clone(), seen).await? {
                    return Ok(false);
                }
                next
            }
        };
        let since =
            holder.loaded.filter(|(of, _)| *of == wanted.of && !wanted.full_refresh).map(|(_, bookmark)| bookmark);
        let turn = Turn { table: wanted.table.clone(), number: holder.number, sequence: holder.sequence, since };
        tracing::info!(%run, table = %turn.table, turn = turn.number, everything = turn.since.is_none(), "takes its turn");
        self.ports.ledger.record(run, Record::Turn(turn)).await?;
        Ok(true)
    }

    /// Who has the turn after `before`; `None` while that one's goes on.
    async fn next_holder(
        &self,
        run: &RunId,
        wanted: &TurnWanted,
        before: Option<TurnHolder>,
    ) -> PortResult<Option<TurnHolder>> {
        // Later than any upload of the table that it may have had before, and than the turn before.
        let now = u64::try_from(self.ports.clock.now().timestamp_micros()).unwrap_or_default();
        let (number, sequence, loaded) = match before {
            None => (1, now, None),
            Some(before) => {
                let snapshot = self.ports.ledger.snapshot(&before.run).await?;
                let loaded = match turn_end(&snapshot.history, snapshot.open.is_some(), &wanted.table, before.number) {
                    TurnEnd::NotYet => return Ok(None),
                    TurnEnd::Loaded(bookmark) => Some((before.of, bookmark)),
                    TurnEnd::GivenUp => before.loaded,
                };
                (before.number.saturating_add(1), now.max(before.sequence + 1), loaded)
            }
        };
        Ok(Some(TurnHolder { number, sequence, run: run.clone(), claim: wanted.claim, of: wanted.of.clone(), loaded }))
    }
}
