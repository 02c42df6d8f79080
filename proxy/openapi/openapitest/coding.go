package openapitest

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// decodeBody undoes a content coding (RFC 9110, section 8.4.1).
func decodeBody(coding string, body []byte) (decoded []byte, err error) {
	switch coding {
	case "":
		return body, nil
	case "gzip":
		decoded, err = gunzip(body)
	case "br":
		decoded, err = brotli.Decompress(body)
	case "zstd":
		decoded, err = unzstd(body)
	default:
		return nil, fmt.Errorf("content coding %q is none of gzip, br, zstd", coding)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot decode the %s body: %w", coding, err)
	}
	return decoded, nil
}

func gunzip(body []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func unzstd(body []byte) ([]byte, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.DecodeAll(body, nil)
}
