# A static binary in an image with nothing else, run by a user who is not root.
FROM golang:1.26 AS build
WORKDIR /source
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -tags grpcnotrace,pebblegozstd \
      -gcflags github.com/openai/openai-go/v3/...=-l -gcflags github.com/antlr4-go/antlr/v4/...=-l -gcflags cel.dev/cel-go/parser/...=-l \
      -gcflags github.com/cockroachdb/errors/...=-l -gcflags github.com/cockroachdb/redact/...=-l -gcflags github.com/gogo/protobuf/...=-l \
      -ldflags "-s -w -X main.version=${VERSION}" -o /signalbox ./cmd/signalbox \
 && mkdir /data /certificates && chown 65532:65532 /data /certificates

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# A volume that is made on one of these folders belongs to the same user.
COPY --from=build --chown=65532:65532 /data /data
COPY --from=build --chown=65532:65532 /certificates /certificates
COPY --from=build /signalbox /signalbox
USER 65532:65532
EXPOSE 8080 8090
ENTRYPOINT ["/signalbox"]
