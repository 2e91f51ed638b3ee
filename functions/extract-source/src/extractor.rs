//! One extraction, from the connection to the account.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{StreamExt, TryStreamExt, stream};
use millstream_events::{
    contract::{Contract, MaxBad},
    extract::ExtractSource,
    fact::Reason,
    fingerprint::Fingerprint,
    names::ObjectPath,
};
use millstream_ports::{ObjectStore, OpenSource, PortError, PortResult, Source, SourceColumn, Sources};
use millstream_runtime::Failure;
use millstream_tabular::{IngestError, Limits, Report};

use crate::{
    account::{Account, RangeAccount, sum_up},
    arrange::Arrangement,
    files::{self, join},
    planning::{self, Kept, of_source},
    range::{self, Budget, Rules, Stop},
    running::Tally,
};

/// Accounts of ranges that are read from the store at once.
const ACCOUNTS_AT_ONCE: usize = 32;

/// What extractions are made with.
#[derive(Debug)]
pub(crate) struct Extractor {
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) limits: Limits,
    pub(crate) scratch: PathBuf,
}

/// How a plan's rows become the table's.
#[derive(Debug)]
struct Ready {
    arrangement: Arrangement,
    rules: Rules,
    /// The account of no rows: what the columns are.
    laid_out: Report,
}

/// What every range of an extraction is read by, in one go.
#[derive(Debug)]
struct Go<'a> {
    work: &'a ExtractSource,
    kept: &'a Kept,
    ready: &'a Ready,
    tally: &'a Tally,
    number: u32,
}

impl Extractor {
    /// Extracts what the command is about, or what is left of it.
    pub(crate) async fn extract(&self, work: &ExtractSource, tally: &Tally) -> Result<Account, Failure> {
        let path = join(&work.batches, "report.json")?;
        if let Some(account) = files::kept(&*self.store, &path).await? {
            return Ok(account);
        }
        let source = self.sources.connect(&work.connection).await.map_err(of_source)?;
        let account = match self.read_all(&*source, work, tally).await {
            Ok(account) => account,
            Err(Stop::Rejected(reason)) => Account::Rejected(reason),
            Err(Stop::Failed(failure)) => return Err(failure),
        };
        Ok(files::keep(&*self.store, &path, account).await?)
    }

    async fn read_all(&self, source: &dyn Source, work: &ExtractSource, tally: &Tally) -> Result<Account, Stop> {
        let plan_path = join(&work.batches, "plan.json")?;
        let kept = match files::kept::<Kept>(&*self.store, &plan_path).await? {
            Some(kept) => kept,
            None => {
                let kept = planning::plan(source, work, async |shape| self.columns_of(work, shape).await).await?;
                // A contract that the columns do not keep is told before anything is kept or read.
                self.prepare(work, &kept)?;
                self.keep_plan(work, &plan_path, kept).await?
            }
        };
        let ready = self.prepare(work, &kept)?;
        let ranges = self.read_ranges(source, work, &kept, &ready, tally).await?;
        Ok(sum_up(work, &kept, &ready.laid_out, ready.arrangement.has_deletes(), &ranges))
    }

    fn prepare(&self, work: &ExtractSource, kept: &Kept) -> Result<Ready, Stop> {
        let arrangement = Arrangement::new(work, &kept.plan, |name| planning::is_wanted(work, name));
        let rules = self.rules(work, kept, &arrangement);
        let laid_out = rules.lay_out().map_err(|error| match error {
            IngestError::Rejected(rejection) => Stop::Failed(Failure::permanent(rejection.to_string())),
            IngestError::Io(error) => PortError::internal("laying out no rows failed").caused_by(error).into(),
        })?;
        Ok(Ready { arrangement, rules, laid_out })
    }

    /// Another process may have planned at the same time: then its plan is the one.
    async fn keep_plan(&self, work: &ExtractSource, path: &ObjectPath, kept: Kept) -> PortResult<Kept> {
        let shape_path = shape_path(work, &kept.shape)?;
        files::keep(&*self.store, &shape_path, kept.source_columns()).await?;
        files::keep(&*self.store, path, kept).await
    }

    /// The columns that an earlier extraction of the source had kept under their hash.
    async fn columns_of(&self, work: &ExtractSource, shape: &Fingerprint) -> PortResult<Option<Vec<SourceColumn>>> {
        files::kept(&*self.store, &shape_path(work, shape)?).await
    }

    fn rules(&self, work: &ExtractSource, kept: &Kept, arrangement: &Arrangement) -> Rules {
        // A share is judged at the end, over all ranges.
        let max_bad = match work.contract.max_bad {
            MaxBad::Rows(most) => MaxBad::Rows(most),
            MaxBad::Share(_) => MaxBad::Share(1.0),
        };
        let at_once = usize::from(work.limits.parallel).clamp(1, kept.plan.ranges.len().max(1));
        let threads = match self.limits.threads {
            0 => std::thread::available_parallelism().map_or(1, |all| all.get()).div_ceil(at_once).min(8),
            threads => threads,
        };
        Rules {
            columns: arrangement.columns.clone(),
            contract: Contract { max_bad, ..work.contract.clone() },
            keys: work.keys.clone(),
            deletes: arrangement.has_deletes(),
            repeats: kept.is_log(work),
            limits: Limits { threads, ..self.limits.clone() },
        }
    }

    /// The accounts of all ranges in their order: those that are there, and those of the ranges that are read now.
    async fn read_ranges(
        &self,
        source: &dyn Source,
        work: &ExtractSource,
        kept: &Kept,
        ready: &Ready,
        tally: &Tally,
    ) -> Result<Vec<RangeAccount>, Stop> {
        let mut accounts = self.known_ranges(work, kept.plan.ranges.len()).await?;
        tally.expect(accounts.len());
        for known in accounts.iter().flatten() {
            tally.add(known.rows + known.bad_rows, known.bytes);
            tally.end_range();
        }
        let missing: Vec<usize> = (0..accounts.len()).filter(|index| accounts[*index].is_none()).collect();
        if !missing.is_empty() {
            let number = accounts.iter().flatten().map(|known| known.go).max().unwrap_or_default() + 1;
            let go = Go { work, kept, ready, tally, number };
            tracing::info!(ranges = missing.len(), of = accounts.len(), go = number, "reading a source");
            let open = source.open(&kept.read(work), &kept.plan).await.map_err(of_source)?;
            for (index, account) in self.read_missing(&*open, &go, missing).await? {
                accounts[index] = Some(account);
            }
        }
        Ok(accounts.into_iter().flatten().collect())
    }

    /// Reads ranges, some at once. Where one fails in a way that may pass, no other is begun and those under way are read to
    /// their end, so that the next go has less to do.
    async fn read_missing(
        &self,
        open: &dyn OpenSource,
        go: &Go<'_>,
        missing: Vec<usize>,
    ) -> Result<Vec<(usize, RangeAccount)>, Stop> {
        let failed = &AtomicBool::new(false);
        let reads = missing.into_iter().map(|index| async move {
            if failed.load(Ordering::Relaxed) {
                return None;
            }
            let read = self.read_range(open, go, index).await;
            failed.fetch_or(read.is_err(), Ordering::Relaxed);
            Some(read.map(|account| (index, account)))
        });
        let at_once = usize::from(go.work.limits.parallel).max(1);
        let mut outcomes = stream::iter(reads).buffer_unordered(at_once);
        let (mut accounts, mut failure) = (Vec::new(), None);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Some(Ok(account)) => accounts.push(account),
                Some(Err(Stop::Failed(Failure::Retry(error)))) => failure = failure.or(Some(Failure::Retry(error))),
                Some(Err(stop)) => return Err(stop),
                None => {}
            }
        }
        match failure {
            Some(failure) => Err(Stop::Failed(failure)),
            None => Ok(accounts),
        }
    }

    async fn read_range(&self, open: &dyn OpenSource, go: &Go<'_>, index: usize) -> Result<RangeAccount, Stop> {
        let Go { work, kept, ready: Ready { arrangement, rules, .. }, tally, number } = *go;
        let budget = Budget { limits: &work.limits, tally };
        let range = &kept.plan.ranges[index];
        let (ingested, scratch) = range::read(open, range, arrangement, rules.clone(), &budget, &self.scratch).await?;
        let stem = stem(index);
        let has_bad_rows = scratch.quarantine.as_file().metadata().is_ok_and(|file| file.len() > 0);
        let mut quarantine = None;
        if has_bad_rows {
            quarantine = Some(files::put(&*self.store, &scratch.quarantine, &work.quarantine, &stem, "jsonl").await?);
        }
        let report = match ingested {
            Ok(report) => report,
            Err(rejection) => {
                let kept = quarantine.into_iter().collect();
                return Err(Stop::Rejected(Reason { message: rejection.to_string(), detail: None, kept }));
            }
        };
        // A table that is replaced by nothing needs a file that says what nothing looks like.
        let is_needed = report.rows > 0 || (index == 0 && kept.plan.everything);
        let mut batch = None;
        if is_needed {
            batch = Some(files::put(&*self.store, &scratch.batch, &work.batches, &stem, "parquet").await?);
        }
        let account = RangeAccount::of_report(&report, number, batch, quarantine);
        let account = files::keep(&*self.store, &range_path(work, index)?, account).await?;
        let (done, of) = (tally.end_range(), kept.plan.ranges.len());
        tracing::info!(range = index, done, of, rows = account.rows, bad_rows = account.bad_rows, "range extracted");
        Ok(account)
    }

    async fn known_ranges(&self, work: &ExtractSource, count: usize) -> PortResult<Vec<Option<RangeAccount>>> {
        let prefix = format!("{}/range-", work.batches.name());
        let names = self.store.names(work.batches.bucket(), &prefix).await?;
        let paths = (0..count).map(|index| range_path(work, index)).collect::<PortResult<Vec<_>>>()?;
        let known = paths.into_iter().map(|path| {
            let is_there = names.binary_search(&path).is_ok();
            async move { if is_there { files::kept(&*self.store, &path).await } else { Ok(None) } }
        });
        stream::iter(known).buffered(ACCOUNTS_AT_ONCE).try_collect().await
    }
}

fn stem(index: usize) -> String {
    format!("range-{index:05}")
}

fn range_path(work: &ExtractSource, index: usize) -> PortResult<ObjectPath> {
    join(&work.batches, &format!("{}.report.json", stem(index)))
}

/// Beside the folders of all extractions of the source.
fn shape_path(work: &ExtractSource, shape: &Fingerprint) -> PortResult<ObjectPath> {
    let name = match work.batches.name().rsplit_once('/') {
        Some((parent, _)) => format!("{parent}/shape-{shape}.json"),
        None => format!("shape-{shape}.json"),
    };
    ObjectPath::new(work.batches.bucket(), name).map_err(|error| PortError::invalid(error.to_string()))
}
