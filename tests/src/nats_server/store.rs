//! What may happen to a server's JetStream store: wiped, set back to an earlier state, damaged.
//!
//! The trap: only the copy may be taken from a server that lives (it is held meanwhile); all else needs one that is dead.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::NatsServer;
use crate::error::Doing;
use crate::scratch::Scratch;
use crate::{Result, StackError};

/// A store as it was at one moment.
#[derive(Debug)]
pub struct Snapshot {
    scratch: Scratch,
}

/// What may happen to a file on a disk that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The end of the newest block of messages is missing; this many bytes, or half of a block that is shorter.
    Truncated(u64),
    /// One bit in the middle of the newest block of messages is another one.
    Flipped,
}

impl NatsServer {
    /// Throws away everything a dead server ever stored.
    pub fn wipe_store(&self) -> Result<()> {
        self.must_be_dead()?;
        std::fs::remove_dir_all(&self.store).doing(|| format!("remove {}", self.store.display()))?;
        std::fs::create_dir_all(&self.store).doing(|| format!("make {}", self.store.display()))
    }

    /// A copy of the store: what a machine that loses power at this moment may find later. The server is held while it
    /// is taken.
    pub fn copy_store(&self) -> Result<Snapshot> {
        let scratch = Scratch::new("nats-store")?;
        self.process.pause()?;
        let copied = copy(&self.store, scratch.path());
        self.process.resume()?;
        copied.map(|()| Snapshot { scratch })
    }

    /// Gives a dead server the store it had when the snapshot was taken.
    pub fn set_store_back(&self, snapshot: &Snapshot) -> Result<()> {
        self.wipe_store()?;
        copy(snapshot.scratch.path(), &self.store)
    }

    /// A copy of the messages of one stream, and not of what its consumers have read.
    pub fn copy_messages(&self, stream: &str) -> Result<Snapshot> {
        let scratch = Scratch::new("nats-messages")?;
        copy(&messages(&self.store, stream)?, scratch.path()).map(|()| Snapshot { scratch })
    }

    /// Gives a stream of a dead server the messages it had when the copy was taken; its consumers stay as they are.
    pub fn set_messages_back(&self, stream: &str, snapshot: &Snapshot) -> Result<()> {
        self.must_be_dead()?;
        let messages = messages(&self.store, stream)?;
        std::fs::remove_dir_all(&messages).doing(|| format!("remove {}", messages.display()))?;
        std::fs::create_dir(&messages).doing(|| format!("make {}", messages.display()))?;
        copy(snapshot.scratch.path(), &messages)
    }

    /// Damages the newest block of a stream's messages, while the server is dead.
    pub fn damage_store(&self, stream: &str, damage: Damage) -> Result<()> {
        self.must_be_dead()?;
        let block = newest_block(&self.store, stream)?;
        let mut bytes = std::fs::read(&block).doing(|| format!("read {}", block.display()))?;
        match damage {
            Damage::Truncated(missing) => {
                let missing = usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len() / 2);
                bytes.truncate(bytes.len().saturating_sub(missing));
            }
            Damage::Flipped => {
                let middle = bytes.len() / 2;
                let byte = bytes.get_mut(middle);
                *byte.ok_or_else(|| StackError::new(format!("{} holds nothing to damage", block.display())))? ^= 1;
            }
        }
        std::fs::write(&block, bytes).doing(|| format!("write {}", block.display()))
    }

    fn must_be_dead(&self) -> Result<()> {
        if self.process.is_running() {
            return Err(StackError::new("nats-server is running: kill it before touching its store"));
        }
        Ok(())
    }
}

/// Where a stream's messages are: `<store>/jetstream/<account>/streams/<stream>/msgs`.
fn messages(store: &Path, stream: &str) -> Result<PathBuf> {
    let accounts = std::fs::read_dir(store.join("jetstream")).into_iter().flatten().flatten();
    let mut places = accounts.map(|account| account.path().join("streams").join(stream).join("msgs"));
    let place = places.find(|place| place.is_dir());
    place.ok_or_else(|| StackError::new(format!("{} holds no stream {stream}", store.display())))
}

/// The block of messages with the highest number: `<number>.blk`.
fn newest_block(store: &Path, stream: &str) -> Result<PathBuf> {
    let place = messages(store, stream)?;
    let files = std::fs::read_dir(&place).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |file: &PathBuf| -> Option<u64> { file.file_name()?.to_str()?.strip_suffix(".blk")?.parse().ok() };
    let newest = files.filter_map(|file| Some((number(&file)?, file))).max();
    newest.map(|(_, file)| file).ok_or_else(|| StackError::new(format!("{} holds no messages", place.display())))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("copy {} to {}", from.display(), to.display());
    let output = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).output().doing(what)?;
    if output.status.success() {
        return Ok(());
    }
    Err(StackError::new(format!("could not {}: {}", what(), String::from_utf8_lossy(&output.stderr).trim())))
}
