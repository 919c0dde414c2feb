//! Directories that go away: with the value, at the latest with the program, after a `kill -9` with the next one.
//!
//! Each program has one directory, named by its process number, and holds a lock on the file beside it, so that
//! others can tell the dead from the living even when numbers are used again.
//!
//! Where: `ARGOSY_SCRATCH` if it is set, else the machine's RAM disk when it has room for it (a database is made
//! of 300 small files, which some file systems need 300 ms to write), else `target/stack`.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::error::Doing;
use crate::{Result, StackError, cleanup, os, tools};

const RAM_DISK: &str = "/dev/shm";
/// In KiB: several times what a run of all tests takes.
const ROOM: u64 = 2 * 1024 * 1024;

/// A directory of its own; dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty directory. `label` makes it findable: "postgres".
    pub fn new(label: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = own()?.join(format!("{}-{label}", NEXT.fetch_add(1, Ordering::Relaxed)));
        make(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a process of ours is still writing goes at the end of the program.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// This program's directory, and the lock that says it lives.
struct Own {
    path: PathBuf,
    _alive: File,
}

static OWN: Mutex<Option<Own>> = Mutex::new(None);

fn own() -> Result<PathBuf> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(own) = &*own {
        return Ok(own.path.clone());
    }
    let base = base()?;
    // Held only while looking for the dead and taking our own place: nobody may mistake us for one of them.
    let _door = lock(&base.join("door"))?;
    sweep(&base);
    let pid = std::process::id();
    let free = (0_u32..).map(|n| base.join(if n == 0 { format!("{pid}") } else { format!("{pid}-{n}") }));
    let path = free.into_iter().find(|path| !path.exists()).unwrap_or_else(|| base.join("own"));
    let alive = lock(&path.with_extension("alive"))?;
    make(&path)?;
    cleanup::arm();
    *own = Some(Own { path: path.clone(), _alive: alive });
    Ok(path)
}

/// Where the programs' directories are.
fn base() -> Result<PathBuf> {
    static BASE: OnceLock<Result<PathBuf>> = OnceLock::new();
    let find = || match std::env::var_os("ARGOSY_SCRATCH") {
        Some(place) => reachable(Path::new(&place)),
        None if has_room(RAM_DISK) => shared(&Path::new(RAM_DISK).join(format!("argosy-{}", os::user_id()))),
        None => on_disk(),
    };
    BASE.get_or_init(find).clone()
}

/// Where things may be kept that outlive a program: templates.
pub(crate) fn on_disk() -> Result<PathBuf> {
    reachable(&tools::root().join("target/stack"))
}

/// Whether the RAM disk may grow by this much, and there is twice the memory for it.
fn has_room(ram_disk: &str) -> bool {
    let first_number = |text: &str| text.split_whitespace().find_map(|word| word.parse::<u64>().ok());
    let df = std::process::Command::new("df").args(["-k", "--output=avail", ram_disk]).output();
    let disk = df.ok().and_then(|df| first_number(&String::from_utf8_lossy(&df.stdout)));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| first_number(line.strip_prefix("MemAvailable:")?));
    disk.is_some_and(|free| free >= ROOM) && memory.is_some_and(|free| free >= 2 * ROOM)
}

/// Removes the directories of programs that are gone.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let alive = entry.path();
        if alive.extension().is_none_or(|extension| extension != "alive") {
            continue;
        }
        if let Ok(file) = OpenOptions::new().write(true).open(&alive)
            && !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
        {
            let _ = std::fs::remove_dir_all(alive.with_extension(""));
            let _ = std::fs::remove_file(&alive);
        }
    }
}

/// Removes this program's directory.
pub(crate) fn remove_own() {
    if let Some(own) = OWN.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = std::fs::remove_dir_all(&own.path);
        let _ = std::fs::remove_file(own.path.with_extension("alive"));
    }
}

/// Waits for an exclusive lock on a file; it is given back when the file is dropped, or the program dies.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.doing(|| format!("write {}", path.display()))?;
    file.lock().doing(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// A place that the servers can reach, made if it is not there: `preferred`, or one under `/var/tmp`.
///
/// PostgreSQL refuses to run as root; when we do, it runs as the user `postgres`, who must be able to pass
/// through every directory above its data: not so in a repository under `/root`. The answer is the same each
/// time, so what was kept there is found again; `make clean` removes it.
pub fn reachable(preferred: &Path) -> Result<PathBuf> {
    make(preferred)?;
    let open = |place: &Path| place.metadata().is_ok_and(|place| place.mode() & 0o001 != 0);
    if os::user_id() != 0 || preferred.ancestors().all(open) {
        return Ok(preferred.to_path_buf());
    }
    let mut hasher = DefaultHasher::new();
    preferred.hash(&mut hasher);
    shared(&PathBuf::from(format!("/var/tmp/argosy-{:016x}", hasher.finish())))
}

/// A directory of ours in a place where anybody may write: what another user put there is not ours to use.
fn shared(place: &Path) -> Result<PathBuf> {
    let made = DirBuilder::new().mode(0o711).create(place);
    let found = place.symlink_metadata().doing(|| format!("make the directory {}", place.display()))?;
    if made.is_err() && (found.uid() != os::user_id() || !found.is_dir()) {
        return Err(StackError::new(format!("{} belongs to somebody else: remove it", place.display())));
    }
    Ok(place.to_path_buf())
}

fn make(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .doing(|| format!("make the directory {}", path.display()))
}
