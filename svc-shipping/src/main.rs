//! The process of svc-shipping.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_shipping::service())
}
