# cargo-chef for arm64, cross-compiled: installing it under the emulator, as the
# first design did, takes longer than all that is measured.
FROM --platform=$BUILDPLATFORM rust:1.93-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross
RUN if command -v rustup >/dev/null; then rustup target add aarch64-unknown-linux-gnu; fi
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
    CARGO_PROFILE_RELEASE_LTO=off
RUN cargo install cargo-chef --locked --version 0.1.78 --target aarch64-unknown-linux-gnu --root /usr/local

FROM scratch
COPY --from=build /usr/local/bin/cargo-chef /cargo-chef
