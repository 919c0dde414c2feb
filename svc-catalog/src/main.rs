//! The process of svc-catalog.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_catalog::service())
}
