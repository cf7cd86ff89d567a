//! Everything that invokes event functions, from the template to the tasks that run.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{EventFunctions, Follower, run_schedule};
use crate::engine::Embedded;
use crate::stack::StartError;
use crate::template::{Schedule, StreamMapping, Template};

/// The event functions, and what invokes them.
pub(crate) struct Events {
    pub(crate) functions: Arc<EventFunctions>,
    pub(crate) followers: Vec<Arc<Follower>>,
    schedules: Vec<Schedule>,
}

impl Events {
    /// As the template says, on the streams of the embedded engine.
    pub(crate) fn of(
        template: &Template,
        embedded: &Embedded,
        functions: EventFunctions,
    ) -> Result<Self, StartError> {
        let functions = Arc::new(functions);
        let streams = template.streams.iter().map(|stream| &stream.function);
        let scheduled = template.schedules.iter().map(|schedule| &schedule.function);
        if let Some(missing) = streams.chain(scheduled).find(|name| !functions.has(name)) {
            let problem = format!("{missing} is in the template but not in the stack");
            return Err(StartError::Engine(problem));
        }
        let follower = |mapping: &StreamMapping| {
            let database = embedded.database.clone();
            Arc::new(Follower::new(
                mapping.clone(),
                Arc::clone(&functions),
                database,
            ))
        };
        Ok(Self {
            followers: template.streams.iter().map(follower).collect(),
            schedules: template.schedules.clone(),
            functions,
        })
    }

    pub(crate) fn run(self) -> Vec<JoinHandle<()>> {
        let follow = |follower: Arc<Follower>| tokio::spawn(follower.run());
        let follows = self.followers.into_iter().map(follow);
        let schedule = |schedule| {
            let functions = Arc::clone(&self.functions);
            tokio::spawn(run_schedule(schedule, functions))
        };
        follows
            .chain(self.schedules.into_iter().map(schedule))
            .collect()
    }
}
