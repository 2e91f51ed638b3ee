# syntax=docker/dockerfile:1
#checkov:skip=CKV_DOCKER_2:Cloud Run asks by HTTP (its probes); a HEALTHCHECK would need a shell or curl in the image
# `millstream` for Cloud Run: the cloud's adapters only, without the embedded warehouse.
#
#   docker build -f infra/images/millstream.Dockerfile .

ARG RUST=1.95-bookworm
# What this image's extract-source can read: leave out what you do not use. `odbc` (DB2) needs its driver in the image too.
ARG SOURCES=postgres,mysql,sqlserver,mongodb,cassandra,snowflake,excel

FROM rust:${RUST} AS build
ARG SOURCES
WORKDIR /src
COPY . .
# Both caches outlive the layer, so that a change of one crate compiles one crate. The program is copied out of the cache,
# which is no part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package millstream --no-default-features --features "cloud,${SOURCES}" \
    && target/release/millstream recipe tabular --help >/dev/null \
    && cp target/release/millstream /usr/local/bin/millstream

# glibc and CA certificates and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/millstream /usr/local/bin/millstream
USER nonroot:nonroot
# Cloud Run names the port; the root file system may be read-only.
ENTRYPOINT ["/usr/local/bin/millstream"]
CMD ["--help"]
