# One image, one process: `causeway serve`. Three stages: the web parts, the binary, what runs.

FROM node:24-bookworm-slim AS web
WORKDIR /src
COPY package.json package-lock.json ./
COPY client/package.json client/
COPY web-demo/package.json web-demo/
# Tests' tools (a browser driver, linters) are not needed to build.
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY tsconfig*.json ./
COPY client client
COPY web-demo web-demo
COPY crates/protocol/fixtures crates/protocol/fixtures
RUN npm run build

FROM rust:1-slim-bookworm AS binary
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY loadtest loadtest
COPY turn turn
COPY signal signal
COPY --from=web /src/web-demo/dist web-demo/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p causeway && cp target/release/causeway /causeway

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --home-dir /data causeway && install -d -o causeway -g causeway -m 700 /data
COPY --from=binary /causeway /usr/local/bin/causeway
COPY LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/causeway/
USER causeway
WORKDIR /data
VOLUME /data
ENV CAUSEWAY_NODE__DATA_DIR=/data
# 8080: demo, API, WebSocket. 3478 and 5349: STUN and TURN; relayed addresses use 49152-65535/udp. Publishing that
# range freezes container engines: use the host's network, as compose.yaml does.
EXPOSE 8080 3478/udp 3478/tcp 5349/udp 5349/tcp
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s --retries=3 CMD ["causeway", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["causeway"]
CMD ["serve"]
