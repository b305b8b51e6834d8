# proxy-alb in an image of nothing else: one static binary, the CA certificates, and the names of its user.
#
#   docker build -t proxy-alb .            for this machine
#   make image                             for linux/amd64 and linux/arm64

ARG GO_VERSION=1.26

FROM --platform=$BUILDPLATFORM docker.io/library/golang:${GO_VERSION}-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
ARG RELEASE=dev
RUN make rootfs ROOTFS=/rootfs ARCH=$TARGETARCH RELEASE=$RELEASE

FROM scratch
ARG RELEASE=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="proxy-alb" \
      org.opencontainers.image.description="L7 load balancer with Envoy's configuration and interfaces" \
      org.opencontainers.image.source="https://github.com/penguintechinc/marchproxy-alb" \
      org.opencontainers.image.licenses="AGPL-3.0" \
      org.opencontainers.image.version="${RELEASE}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=build /rootfs /

# The defaults of the binary, written out so that `docker inspect` shows what there is to set. VERSION is the module's
# version towards MarchProxy, not the release of the image. LOG_LEVEL is left out, because it would outrank
# ENVOY_LOG_LEVEL; so are CLUSTER_API_KEY and LICENSE_KEY, which are accepted and unused.
ENV MODULE_ID=alb-1 \
    VERSION=v1.0.0 \
    ENVOY_CONFIG_PATH=/etc/envoy/envoy.yaml \
    ENVOY_ADMIN_ADDRESS=0.0.0.0 \
    ENVOY_ADMIN_PORT=9901 \
    ENVOY_ADMIN_READ_ONLY=false \
    ENVOY_ADMIN_TLS_CERT="" \
    ENVOY_ADMIN_TLS_KEY="" \
    ENVOY_ADMIN_TLS_CLIENT_CA="" \
    ENVOY_LISTEN_PORT=10000 \
    ENVOY_LOG_LEVEL=info \
    XDS_SERVER=api-server:18000 \
    XDS_NODE_ID=alb-node \
    XDS_CLUSTER=marchproxy-cluster \
    XDS_CONNECT_TIMEOUT=5s \
    GRPC_ADDRESS=0.0.0.0 \
    GRPC_PORT=50051 \
    GRPC_MAX_CONN_AGE=30m \
    GRPC_TLS_CERT="" \
    GRPC_TLS_KEY="" \
    GRPC_TLS_CLIENT_CA="" \
    METRICS_ADDRESS=0.0.0.0 \
    METRICS_PORT=9090 \
    HEALTH_ADDRESS=0.0.0.0 \
    HEALTH_PORT=8080 \
    SHUTDOWN_TIMEOUT=30s \
    RELOAD_GRACE_PERIOD=5s

# The number of the user of Envoy's image, so that volumes made for it fit.
USER 101:101
EXPOSE 10000 9901 50051 9090 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["/proxy-alb", "healthcheck"]
ENTRYPOINT ["/proxy-alb"]
