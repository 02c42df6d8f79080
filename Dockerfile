FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/milepost ./cmd/milepost \
 && mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/milepost /usr/bin/milepost
COPY --from=build --chown=65532:65532 /out/data /data
ENV MILEPOST_SERVER_LISTEN=0.0.0.0:8080 \
    MILEPOST_STORE_DIR=/data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/usr/bin/milepost"]
CMD ["serve"]
