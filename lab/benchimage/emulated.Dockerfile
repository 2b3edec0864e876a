# The build as the pipeline's first design had it: every stage runs on the
# platform that it builds for. Only cargo-chef is not installed by it, which is
# in its favour.
FROM rust:1.93-bookworm AS chef
COPY --from=cargo-chef cargo-chef /usr/local/bin/
WORKDIR /app

FROM chef AS deps
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS cook
COPY --from=deps /app/recipe.json recipe.json
RUN cargo chef cook --release --recipe-path recipe.json -p clawft-cli

FROM cook AS build
COPY . .
RUN cargo build --release -p clawft-cli \
    && strip --strip-all target/release/weft

FROM debian:bookworm-slim AS libraries
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3 libgcc-s1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --no-create-home --shell /usr/sbin/nologin weft

FROM libraries AS runtime
COPY --from=build /app/target/release/weft /usr/local/bin/weft
RUN mkdir -p /home/weft/.clawft && chown weft:weft /home/weft/.clawft
VOLUME ["/home/weft/.clawft"]
USER weft
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/weft"]
CMD ["gateway"]
