//! `millstream publish`: a message on a topic.

use millstream_events::names::RunId;
use millstream_ports::{Clock, SystemClock};

use super::{Ended, named, report, session::Session, text_or_stdin, wait};
use crate::{
    project::Project,
    render::{self, Progress},
};

pub(super) async fn run(project: Project, topic: &str, data: &str, wait: bool, as_json: bool) -> anyhow::Result<Ended> {
    let began = SystemClock.now();
    let data = text_or_stdin(data)?;
    let session = Session::to_work(project).await?;
    let taken = session.publish(topic, &data).await?;
    let ended = if wait || session.works_here() {
        let runs = taken.runs.iter().map(|run| named(run)).collect::<anyhow::Result<Vec<RunId>>>()?;
        let ended = wait::until_settled(&*session, &runs, &mut Progress::new(as_json)).await?;
        report::runs(&ended, began, as_json)
    } else {
        if as_json {
            render::json(&taken);
        } else {
            render::line(&format!("Published; taken by {}", taken.runs.join(" and ")));
        }
        Ended::Well
    };
    session.close().await?;
    Ok(if wait { ended } else { Ended::Well })
}
