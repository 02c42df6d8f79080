# docker build --build-arg VERSION=1.2.3 -t milepost .
# docker run -p 127.0.0.1:8080:8080 -v milepost-data:/data milepost
#
# The first start prints the API key that it makes, once (docker logs); with
# -e MILEPOST_API_KEY=… it is yours. A directory of the host in place of the
# volume must belong to user 65532.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /out/milepost ./cmd/milepost \
 && mkdir /out/data

# No shell and no C library: the program is all there is. Its user is 65532.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/milepost /usr/bin/milepost
# A new volume takes its owner from here.
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /data
# Loopback would be the container's own. The admin listener stays there, for
# "docker exec … milepost backup /data/…"; to scrape metrics set
# MILEPOST_SERVER_ADMIN_LISTEN=:9090 and keep that port on a private network.
ENV MILEPOST_SERVER_LISTEN=:8080 \
    MILEPOST_STORE_DIR=/data
VOLUME /data
EXPOSE 8080
# The program asks its own admin listener; there is no shell for another way.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["/usr/bin/milepost", "health"]
ENTRYPOINT ["/usr/bin/milepost"]
CMD ["serve"]
