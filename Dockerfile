# syntax=docker/dockerfile:1

# Lamplight in a container:
#
#   docker build -t lamplight .
#   docker run --rm -p 127.0.0.1:3000:3000 -v lamplight:/data --ulimit nofile=65536 lamplight
#
# Settings are environment variables (`docker run --rm lamplight serve --help`) or /etc/lamplight/lamplight.toml.

# The chat page does not depend on the platform, so it is built once for all of them.
FROM --platform=$BUILDPLATFORM node:24-trixie-slim AS page
WORKDIR /src
COPY package.json package-lock.json ./
COPY packages/client/package.json packages/client/
COPY packages/react/package.json packages/react/
COPY apps/chat/package.json apps/chat/
COPY tests/e2e/package.json tests/e2e/
COPY tests/socketio-clients/package.json tests/socketio-clients/
COPY examples/original-client/package.json examples/original-client/
RUN --mount=type=cache,target=/root/.npm npm ci --no-fund --no-audit
COPY tsconfig.base.json ./
COPY packages packages
COPY apps apps
RUN npm run build -w apps/chat

FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY --from=page /src/apps/chat/dist apps/chat/dist
# One cache of compiled dependencies for each platform.
ARG TARGETPLATFORM
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=target-${TARGETPLATFORM} \
    cargo build --release --locked -p lamplight \
    && cp target/release/lamplight /usr/local/bin/lamplight

FROM debian:13-slim
RUN groupadd --gid 10001 lamplight \
    && useradd --uid 10001 --gid lamplight --no-create-home --home-dir /data --shell /usr/sbin/nologin lamplight \
    && install --directory --owner=lamplight --group=lamplight --mode=0700 /data \
    && install --directory /etc/lamplight
COPY --from=build /usr/local/bin/lamplight /usr/local/bin/lamplight
COPY LICENSE LICENSE-MIT LICENSE-APACHE /usr/share/doc/lamplight/
ENV LISTEN=0.0.0.0:3000 \
    DATA_DIR=/data \
    LOG_FORMAT=json
USER 10001:10001
# `lamplight serve` reads lamplight.toml from here.
WORKDIR /etc/lamplight
VOLUME /data
EXPOSE 3000
# The server closes its listener, finishes what is in flight and exits within 10 s, docker stop's own limit.
STOPSIGNAL SIGTERM
# Liveness: the process answers. Bash opens the connection, so the image needs no HTTP client.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/${LISTEN##*:}\" && printf 'GET /healthz HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["lamplight"]
CMD ["serve"]
