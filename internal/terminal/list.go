package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// pageSize is the largest take of a list.
const pageSize = 100

// Meta is what a list says of itself.
type Meta struct {
	Total int `json:"total"`
	Take  int `json:"take"`
	Skip  int `json:"skip"`
}

// Page reads one page of a job's checkpoints and calls each with one after the
// other, in the bytes that the server gave; no more than one is held.
func (c *Client) Page(ctx context.Context, job string, query url.Values, each func(json.RawMessage) error) (Meta, error) {
	resp, err := c.ask(ctx, http.MethodGet, checkpoints(job)+"?"+query.Encode(), nil, nil)
	if err != nil {
		return Meta{}, err
	}
	defer resp.Body.Close()
	return readPage(resp.Body, "checkpoints", each)
}

// All calls each with every checkpoint of a job, in order. A page that is cut
// is asked for again from where it was cut, up to a few times in a row.
func (c *Client) All(ctx context.Context, job string, each func(json.RawMessage) error) error {
	const attempts = 8
	var (
		backoff Backoff
		failed  int
		refused error // by each
	)
	for done := 0; ; {
		before := done
		meta, err := c.Page(ctx, job, url.Values{"take": {strconv.Itoa(pageSize)}, "skip": {strconv.Itoa(done)}},
			func(raw json.RawMessage) error {
				if refused = each(raw); refused != nil {
					return refused
				}
				done++
				return nil
			})
		switch {
		case refused != nil:
			return refused
		case err == nil:
			if done >= meta.Total || done == before {
				return nil
			}
		case !Temporary(err) || ctx.Err() != nil:
			return err
		}
		if done > before {
			failed = 0
			backoff.Reset()
		}
		if err == nil {
			continue
		}
		if failed++; failed >= attempts {
			return err
		}
		if err := backoff.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// readPage reads {"data":{name:[…]},"meta":{…}}.
func readPage(r io.Reader, name string, each func(json.RawMessage) error) (meta Meta, err error) {
	d := json.NewDecoder(r)
	found := false
	err = object(d, func(key string) error {
		switch key {
		case "meta":
			return d.Decode(&meta)
		case "data":
			return object(d, func(key string) error {
				if key != name {
					return d.Decode(new(json.RawMessage))
				}
				found = true
				return array(d, each)
			})
		}
		return d.Decode(new(json.RawMessage))
	})
	if err == nil && !found {
		err = errors.New("the answer holds no " + name + ": is the target a Milepost?")
	}
	return meta, err
}

func object(d *json.Decoder, member func(key string) error) error {
	if err := open(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return cut(err)
		}
		key, _ := t.(string)
		if err := member(key); err != nil {
			return cut(err)
		}
	}
	_, err := d.Token()
	return cut(err)
}

func array(d *json.Decoder, each func(json.RawMessage) error) error {
	if err := open(d, '['); err != nil {
		return err
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return cut(err)
		}
		if err := each(raw); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return cut(err)
}

func open(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return cut(err)
	}
	if t != want {
		return fmt.Errorf("the answer has %v where %v was expected", t, want)
	}
	return nil
}

// cut tells an answer that ended too soon from one that is complete.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the answer was cut: %w", io.ErrUnexpectedEOF)
	}
	return err
}
