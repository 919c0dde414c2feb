//! The process of svc-order.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_order::service())
}
