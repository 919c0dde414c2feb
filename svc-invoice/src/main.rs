//! The process of svc-invoice.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_invoice::service())
}
