# syntax=docker/dockerfile:1
#checkov:skip=CKV_DOCKER_2:Vertex AI asks by HTTP (its probes); a HEALTHCHECK would need a shell or curl in the image
# `serve-model`, the prediction container of Vertex AI endpoints.
#
#   docker build -f infra/images/serve-model.Dockerfile .

ARG RUST=1.95-bookworm

FROM rust:${RUST} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package millstream-serve-model --features cloud \
    && cp target/release/serve-model /usr/local/bin/serve-model

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/serve-model /usr/local/bin/serve-model
USER nonroot:nonroot
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/serve-model"]
