//! The dashboard: a page that shows how nodes are, and the API behind it.
//!
//! One address serves both. What nodes tell (`Report`) is numbered and kept ([`Told`]); how that leaves them is `state`; the page
//! asks for the state once and then follows the events. A client that comes back after a while says which event it saw last and is given
//! all since, or is told which of them are gone.
//!
//! The page and everything in it are in the program: nothing is fetched from elsewhere. The API's document, `dashboard/openapi.json`, is made of the
//! types here by a test, and the page's types are made of the document.
//!
//! Who may ask is decided in `guard`: other sites may not, by whatever name they call this machine; and where the address can be reached from
//! other machines, only who has the token.

mod assets;
mod feed;
mod guard;
mod money;
#[cfg(test)]
mod openapi;
mod owner;
mod server;
mod state;
mod steps;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::invite::Invite;
use crate::report::{Report, hex};
use feed::Feed;
use guard::Guard;
use money::Treasury;

pub use feed::{Missed, Told};
pub use guard::Token;
pub use money::{Account, Contract, Money, Sent};
pub use owner::{Change, Limit, Line};
pub use state::{Audit, Checked, Deed, Exam, Node, Opened, Paid, Point, Samples, State as Nodes, Vitals};
pub use steps::Step;

/// Connections at once, and how long one is kept on which nothing moves.
const SEATS: usize = 64;
const PATIENCE: Duration = Duration::from_mins(1);

/// A page that shows how nodes are, served until this is dropped.
#[derive(Debug)]
pub struct Dashboard {
    feed: Feed,
    site: Arc<Site>,
    address: SocketAddr,
    token: Option<Token>,
    task: JoinHandle<()>,
}

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct Site {
    feed: Feed,
    guard: Guard,
    treasury: Treasury,
    /// Where each node keeps what is its own.
    homes: Mutex<Vec<(String, PathBuf)>>,
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dashboard {
    /// Begins to serve at an address. What is told is kept in the folder, and goes on where it was.
    ///
    /// Where others can reach the address, a token is made that they have to show.
    pub async fn start(folder: &Path, address: SocketAddr) -> Result<Dashboard> {
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let feed = Feed::open(&folder.join("feed"))?;
        feed.state_mut(state::State::begin);
        let token = (!address.ip().is_loopback()).then(Token::new);
        let site = Arc::new(Site {
            feed: feed.clone(),
            guard: Guard::new(address, token.clone()),
            treasury: Treasury::default(),
            homes: Mutex::new(Vec::new()),
        });
        let task = tokio::spawn(server::serve(listener, site.clone()));
        Ok(Dashboard { feed, site, address, token, task })
    }

    /// What to open in a browser.
    pub fn url(&self) -> String {
        let token = self.token.as_ref().map_or_else(String::new, |token| format!("#token={token}"));
        let mut address = self.address;
        if address.ip().is_unspecified() {
            // Where every address of the machine is listened on, this one is sure to be its own.
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}/{token}")
    }

    /// What is being done, while nothing is there yet that could tell.
    pub fn say(&self, words: &str) {
        self.tell("", Report::Said { words: words.to_owned() });
    }

    /// The swarm that it is about, which chain it is on, and how others join it.
    pub fn about(&self, invite: &Invite) {
        self.site.treasury.look_at(invite.place.clone());
        self.feed.state_mut(|state| {
            state.swarm.clone_from(&invite.charter.name);
            state.invite = invite.to_string();
        });
    }

    /// A node that will tell of itself, with its home.
    pub fn adopt(&self, name: &str, home: &Path) {
        let mut homes = self.site.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.retain(|(known, _)| known != name);
        homes.push((name.to_owned(), home.to_owned()));
    }

    /// What a node tells.
    pub fn tell(&self, node: &str, report: Report) {
        self.feed.tell(node, report);
    }
}

impl Site {
    fn home(&self, name: &str) -> Option<PathBuf> {
        let homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
        homes.iter().find(|(known, _)| known == name).map(|(_, home)| home.clone())
    }
}

/// 128 bits that nobody guesses, as a word.
fn secret_word() -> String {
    hex(&net::new_secret()[..16])
}
