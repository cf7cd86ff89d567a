//! Whether the memory of a server stays as it is, however many requests it has served.

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::admission::Programs;
use crate::error::BenchError;
use crate::load::{Account, register};
use crate::server::{Cores, findings, resident_kibibytes};
use crate::wire::Wire;

const USERS: u32 = 1_000;
/// After how many requests the memory is looked at.
const LOOKS: [u32; 4] = [0, 100_000, 500_000, 1_000_000];
const CONNECTIONS: u32 = 16;

/// The requests whose effect on the server's memory is looked at.
#[derive(Args)]
pub(crate) struct Steady {
    /// The server's origin
    #[arg(long)]
    base: String,
    /// The server's process
    #[arg(long)]
    server: u32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) users: u32,
    pub(crate) looks: Vec<Look>,
}

/// How much memory the server had after so many requests.
#[derive(Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) requests: u32,
    pub(crate) kibibytes: u32,
}

pub(crate) async fn measure(programs: &Programs) -> Result<Memory, BenchError> {
    let redis = programs.redis().await?;
    let stack = programs.stack(Some(&redis)).await?;
    let (base, id) = (stack.origin(), stack.id.to_string());
    let arguments = ["steady", "--base", &base, "--server", &id];
    findings(&std::env::current_exe()?, &arguments, Cores::OTHERS).await
}

impl Steady {
    pub(crate) async fn run(self) -> Result<Memory, BenchError> {
        let accounts = register(&self.base, USERS).await?;
        let mut connections = vec![];
        for number in 0..CONNECTIONS {
            let own = accounts.iter().skip(number as usize);
            let own = own.step_by(CONNECTIONS as usize);
            let requests: Vec<Vec<u8>> = own.map(Account::me).collect();
            connections.push((Wire::connect(&self.base).await?, requests));
        }
        let mut looks = vec![];
        let mut served = 0;
        for requests in LOOKS {
            let each = (requests - served) / CONNECTIONS;
            let mut asking = JoinSet::new();
            for (mut wire, own) in connections.drain(..) {
                asking.spawn(async move {
                    for request in own.iter().cycle().take(each as usize) {
                        wire.ask(request).await?;
                    }
                    Ok::<_, BenchError>((wire, own))
                });
            }
            while let Some(asked) = asking.join_next().await {
                connections.push(asked.map_err(|lost| BenchError::Network(lost.into()))??);
            }
            served = requests;
            looks.push(Look {
                requests,
                kibibytes: resident_kibibytes(self.server)?,
            });
        }
        Ok(Memory {
            users: USERS,
            looks,
        })
    }
}
