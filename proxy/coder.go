package proxy

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brrr "github.com/molecule-man/go-brrr"

	"milepost/cache"
)

// coder is a compressor with the buffer that it writes to. One is used again and
// again, since to make it takes more memory and longer than most answers do.
type coder struct {
	compressor
	coding cache.Coding
	out    bytes.Buffer
}

// compressor is what the libraries' encoders have in common.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

// coders are those that nobody uses, by coding.
var coders [len(codingNames)]sync.Pool

// coderMemory is what a coder holds besides what it has put out, in bytes: tables,
// window and blocks, by which it can find what a page's checkpoints repeat.
var coderMemory = [len(codingNames)]int64{cache.Zstd: 2 << 20, cache.Brotli: 4 << 20, cache.Gzip: 1 << 20}

// The windows, in bytes and as a power of two. A page of ten checkpoints of 120 KB
// came to a 34th of its size with zstd, and to a 16th with a window of 256 KiB; to
// a 37th with brotli, and to no less with its default of 22, which took 12 MB.
const (
	zstdWindow   = 1 << 20
	brotliWindow = 18
)

// takeCoder returns a coder that belongs to the caller until put.
func takeCoder(coding cache.Coding) (*coder, error) {
	if c, ok := coders[coding].Get().(*coder); ok {
		return c, nil
	}
	c := &coder{coding: coding}
	var err error
	switch coding {
	case cache.Zstd:
		c.compressor, err = zstd.NewWriter(&c.out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
	case cache.Brotli:
		c.compressor, err = brrr.NewWriterOptions(&c.out, 4, brrr.WriterOptions{LGWin: brotliWindow})
	default:
		c.compressor, err = gzip.NewWriterLevel(&c.out, gzip.BestSpeed)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// put gives a coder back, after a Close without error; one that failed, or was
// left in the middle, is left to the collector. What it has put out is gone.
func (c *coder) put() {
	c.out.Reset()
	if c.out.Cap() > maxPooledBody {
		c.out = bytes.Buffer{}
	}
	c.Reset(&c.out)
	coders[c.coding].Put(c)
}

// encodeBody returns a body in a coding.
func encodeBody(body []byte, coding cache.Coding) ([]byte, error) {
	c, err := takeCoder(coding)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(body); err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	coded := bytes.Clone(c.out.Bytes())
	c.put()
	return coded, nil
}
