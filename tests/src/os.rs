//! The few system calls that Rust's library does not offer: all the unsafe code of this package.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Signals, as the system numbers them.
pub(crate) type Signal = libc::c_int;

/// Lets the kernel send `signal` to the child when the *thread* that spawns it ends.
///
/// The trap: the thread, not the process. Spawn from a thread that lives as long as the program.
#[expect(unsafe_code, reason = "pre_exec is the only place between fork and exec")]
pub(crate) fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = std::process::id();
    // SAFETY: between fork and exec the closure may only make async-signal-safe calls and must not allocate:
    // prctl and getppid are plain system calls, and from_raw_os_error allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, signal) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the prctl: then nobody would ever send the signal.
            if u32::try_from(libc::getppid()) != Ok(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Sends a signal to a process that the caller has not reaped yet (so the number is still its own).
#[expect(unsafe_code, reason = "std sends nothing but SIGKILL")]
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two numbers and touches no memory of ours.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to the process group that an unreaped process leads.
#[expect(unsafe_code, reason = "std knows no process groups")]
pub(crate) fn send_group(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: killpg takes two numbers and touches no memory of ours.
    if unsafe { libc::killpg(pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Calls `hook` when this program returns from `main` or calls `exit`.
#[expect(unsafe_code, reason = "Rust drops no statics, and libtest ends the program itself")]
pub(crate) fn at_exit(hook: extern "C" fn()) {
    // SAFETY: the hook is a plain function that lives as long as the program. Registering can fail only for
    // want of memory; then the next start removes what is left.
    let _ = unsafe { libc::atexit(hook) };
}

/// Who runs this program.
#[expect(unsafe_code, reason = "std does not tell the user id")]
pub(crate) fn user_id() -> u32 {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}
