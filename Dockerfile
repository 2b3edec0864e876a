# The gateway image, for linux/amd64 and linux/arm64 in one build.
#
# The context is the gateway's source, not this repository: a git URL at a tag,
# or a checkout. Every stage that runs something runs on the machine that builds
# and cross-compiles, so neither platform needs an emulator:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --file "$PWD/Dockerfile" \
#     --build-arg VERSION=0.6.19 https://github.com/weave-logic-ai/clawft.git#v0.6.19
#
# No syntax line: the frontend would be one more image to pull and to trust.

ARG RUST_IMAGE=rust:1.93-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim


# The compiler; cargo-chef, which tells dependencies from sources; and
# cargo-auditable, which writes into the binary what crates it is made of.
FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS toolchain
# rust-toolchain.toml asks for "1.93", which rustup takes for another toolchain
# than the image's own and would download. The image's ENV names its own, and
# goes before this ARG.
ARG RUST_VERSION
ENV RUSTUP_TOOLCHAIN=${RUST_VERSION} \
    CARGO_TERM_COLOR=never
# All of cargo's home is one cache mount in the steps below, not its registry
# alone: the lock that keeps the two platforms' steps apart lies beside that.
ENV CARGO_HOME=/cargo
ARG CARGO_CHEF_VERSION=0.1.78
ARG CARGO_AUDITABLE_VERSION=0.7.7
# Not optimized: they run for a second, and take minutes to optimize.
RUN --mount=type=cache,target=/cargo \
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off && \
    cargo install cargo-chef --locked --version "${CARGO_CHEF_VERSION}" --root /usr/local && \
    cargo install cargo-auditable --locked --version "${CARGO_AUDITABLE_VERSION}" --root /usr/local
WORKDIR /src


# What the dependencies are built from. A change of the source alone leaves the
# recipe as it is, and with it the layers that are made from it.
FROM toolchain AS recipe
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json


# A source without the crate, or of another version than the release, is refused
# before anything is compiled.
FROM toolchain AS about
COPY . .
ARG VERSION=dev
RUN <<'SHELL'
set -eu
id=$(cargo pkgid --package clawft-cli) || {
    echo "the build context has no crate clawft-cli with a Cargo.lock: is it the gateway's source?" >&2
    exit 1
}
actual=${id##*[#@]}
if [ "$VERSION" != dev ] && [ "$VERSION" != "$actual" ]; then
    echo "VERSION is $VERSION, but the source is version $actual: build the tag that belongs to the version" >&2
    exit 1
fi
mkdir -p /about
cp LICENSE* /about/
SHELL


# The linker and OpenSSL of the target, and the environment that makes cargo,
# the cc crate and pkg-config use them.
FROM toolchain AS cross
ARG BUILDARCH
ARG TARGETARCH
RUN <<'SHELL'
set -eu
case "$TARGETARCH" in
    amd64) triple=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu package=x86-64-linux-gnu ;;
    arm64) triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu package=aarch64-linux-gnu ;;
    *) echo "platform linux/$TARGETARCH is not supported: want linux/amd64 or linux/arm64" >&2; exit 1 ;;
esac
set -- libssl-dev pkg-config
if [ "$TARGETARCH" != "$BUILDARCH" ]; then
    dpkg --add-architecture "$TARGETARCH"
    # Both architectures by name: apt then keeps their versions the same.
    set -- "$@" "libssl-dev:$TARGETARCH" "gcc-$package" "g++-$package"
fi
apt-get update
apt-get install --yes --no-install-recommends "$@"
rm -rf /var/lib/apt/lists/*
# An image without rustup has the standard library of both targets.
if command -v rustup >/dev/null; then rustup target add "$triple"; fi

under=$(echo "$triple" | tr - _)
cat >/cross.env <<ENVIRONMENT
export TRIPLE=$triple LINKER=$gnu-gcc
export CARGO_TARGET_$(echo "$under" | tr a-z A-Z)_LINKER=$gnu-gcc
export CC_$under=$gnu-gcc CXX_$under=$gnu-g++ AR_$under=$gnu-ar
export PKG_CONFIG_ALLOW_CROSS=1
export PKG_CONFIG_LIBDIR_$under=/usr/lib/$gnu/pkgconfig:/usr/share/pkgconfig
ENVIRONMENT
SHELL


# The health check: asks the gateway in the same container, needs no curl, and
# gives up before the engine's timeout, so that the engine sees the reason.
FROM cross AS health
COPY <<'RUST' /health.rs
use std::env;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::exit;
use std::thread;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3);

fn main() {
    thread::spawn(|| {
        thread::sleep(LIMIT);
        fail("no answer within 3 s");
    });
    let port = env::var("PORT").unwrap_or_else(|_| "8080".into());
    match ask(&port) {
        Err(error) => fail(&format!("port {port}: {error}")),
        Ok(answer) => match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.") && head.get(9..12) == Some("200") && is_ok(body) => {
                println!("ok")
            }
            Some((head, body)) => fail(&format!("{}: {body}", head.lines().next().unwrap_or_default())),
            None => fail("the answer is not HTTP"),
        },
    }
}

fn ask(port: &str) -> Result<String, String> {
    let port: u16 = port.parse().map_err(|_| "want a number from 1 to 65535".to_string())?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|e| e.to_string())?;
    // HTTP/1.0: the answer is neither chunked nor followed by another one.
    stream
        .write_all(b"GET /api/health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        .map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    stream.take(64 << 10).read_to_end(&mut answer).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_ok(body: &str) -> bool {
    let compact: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    compact.contains(r#""status":"ok""#)
}

fn fail(reason: &str) -> ! {
    println!("unhealthy: {reason}");
    exit(1)
}
RUST
RUN . /cross.env && rustc --edition 2021 --target "$TRIPLE" -C "linker=$LINKER" \
    -C opt-level=s -C panic=abort -C lto -C strip=symbols -o /weft-health /health.rs


# The gateway: its dependencies in a layer of their own, then its source.
FROM cross AS build
COPY --from=recipe /recipe.json /recipe.json
RUN --mount=type=cache,target=/cargo \
    . /cross.env && cargo chef cook --release --locked --target "$TRIPLE" --package clawft-cli --recipe-path /recipe.json
COPY . .
RUN --mount=type=cache,target=/cargo \
    . /cross.env && cargo auditable build --release --locked --target "$TRIPLE" --package clawft-cli && \
    install -D "target/$TRIPLE/release/weft" /out/weft


# The target's libraries, unpacked and not installed, and the account.
FROM --platform=$BUILDPLATFORM ${DEBIAN_IMAGE} AS libraries
ARG BUILDARCH
ARG TARGETARCH
WORKDIR /packages
RUN <<'SHELL'
set -eu
if [ "$TARGETARCH" != "$BUILDARCH" ]; then dpkg --add-architecture "$TARGETARCH"; fi
apt-get update
apt-get install --yes --no-install-recommends ca-certificates
apt-get download "libssl3:$TARGETARCH" "libgcc-s1:$TARGETARCH" ca-certificates
mkdir -p /root-of-target/var/lib/dpkg/status.d
for package in *.deb; do
    # /lib is a link into /usr in the base image, and a copied directory would
    # not go through it.
    dpkg-deb --extract "$package" /unpacked
    # Scanners learn from here what is in the image; dpkg itself does not know.
    dpkg-deb --field "$package" >"/root-of-target/var/lib/dpkg/status.d/${package%%_*}"
done
if [ -d /unpacked/lib ]; then cp -a /unpacked/lib /unpacked/usr/ && rm -r /unpacked/lib; fi
rm -rf /unpacked/usr/share/doc /unpacked/usr/share/man
cp -a /unpacked/. /root-of-target/
# What the package's script would have made of its certificates.
mkdir -p /root-of-target/etc/ssl /root-of-target/usr/lib/ssl
cp -a /etc/ssl/certs /root-of-target/etc/ssl/
ln -s /etc/ssl/certs /root-of-target/usr/lib/ssl/certs
groupadd --gid 10001 weft
useradd --uid 10001 --gid 10001 --home-dir /home/weft --no-create-home --shell /usr/sbin/nologin weft
cp -a /etc/passwd /etc/group /root-of-target/etc/
mkdir -p /root-of-target/home/weft/.clawft
chown -R 10001:10001 /root-of-target/home/weft
SHELL


FROM ${DEBIAN_IMAGE}
COPY --from=libraries /root-of-target/ /
COPY --from=health /weft-health /usr/local/bin/weft-health
COPY --from=about /about/ /usr/share/doc/clawft/
COPY --from=build /out/weft /usr/local/bin/weft

# No update check: what runs is what was deployed.
ENV HOME=/home/weft \
    WEFTOS_NO_UPDATE_CHECK=1
WORKDIR /home/weft
VOLUME ["/home/weft/.clawft"]
USER 10001:10001

ARG VERSION=dev
ARG REVISION=
ARG CREATED=
ARG SOURCE=https://github.com/weave-logic-ai/clawft
LABEL org.opencontainers.image.title="clawft gateway" \
      org.opencontainers.image.description="clawft gateway: multi-channel AI agent runtime" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

EXPOSE 8080
STOPSIGNAL SIGINT
# The first check comes one interval after the start on an engine that does not
# know a start interval.
HEALTHCHECK --interval=10s --start-interval=1s --start-period=20s --timeout=5s --retries=3 \
    CMD ["/usr/local/bin/weft-health"]
ENTRYPOINT ["/usr/local/bin/weft"]
CMD ["gateway", "--config", "/etc/clawft/config.json"]
