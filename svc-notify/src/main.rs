//! The process of svc-notify.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_notify::service())
}
