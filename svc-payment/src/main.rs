//! The process of svc-payment.

fn main() -> std::process::ExitCode {
    nats::service::main(svc_payment::service())
}
