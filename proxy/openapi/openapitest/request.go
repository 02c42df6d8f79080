package openapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// requestFaults lists what is wrong with a request that the server accepted.
func (d *document) requestFaults(op operation, x exchange) []error {
	var faults []error
	if len(op.credentials) > 0 && !slices.ContainsFunc(op.credentials, func(c credential) bool { return c.isIn(x.req) }) {
		faults = append(faults, errors.New("accepted without a bearer key or what may stand in for it"))
	}
	for _, p := range op.parameters {
		values := p.valuesIn(op, x.req)
		if len(values) == 0 && p.required {
			faults = append(faults, fmt.Errorf("accepted without the %s parameter %q", p.in, p.name))
		}
		for _, text := range values {
			if err := d.validate(p.schemaPointer, parseText(text, p.numeric)); err != nil {
				faults = append(faults, fmt.Errorf("accepted with the %s parameter %s=%q: %w", p.in, p.name, text, err))
			}
		}
	}
	if body, ok := d.child(op.node, "requestBody"); ok {
		content, _ := d.child(body, "content")
		media, err := d.mediaType(content, x.req.Header)
		if err == nil {
			err = d.bodyFault(media, x.reqBody)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("accepted with a body that does not match: %w", err))
		}
	}
	return faults
}

// isIn tells whether a request has the credential.
func (c credential) isIn(req *http.Request) bool {
	return c.bearer && strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") ||
		c.query != "" && req.URL.Query().Get(c.query) != ""
}

// valuesIn returns the texts that a request gives for a parameter.
func (p parameter) valuesIn(op operation, req *http.Request) []string {
	switch p.in {
	case "path":
		return []string{op.pathValues[p.name]}
	case "query":
		return req.URL.Query()[p.name]
	case "header":
		return req.Header.Values(p.name)
	}
	return nil
}

// parseText turns the text of a parameter or header into a JSON value: a number
// where the schema asks for one and the text is one, otherwise a string.
func parseText(text string, numeric bool) any {
	if numeric && json.Valid([]byte(text)) {
		return json.Number(text)
	}
	return text
}

// mediaType returns the documented media type that a content type names.
func (d *document) mediaType(content node, header http.Header) (node, error) {
	contentType := header.Get("Content-Type")
	name, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return node{}, fmt.Errorf("content type %q: %w", contentType, err)
	}
	media, ok := d.child(content, name)
	if !ok {
		return node{}, fmt.Errorf("content type %q is none of %q", name, sortedKeys(content.object))
	}
	return media, nil
}

// bodyFault checks a body, free of content codings, against a media type: one of
// JSON as a value, any other as text.
func (d *document) bodyFault(media node, body []byte) error {
	var value any = string(body)
	if strings.HasSuffix(media.pointer, pointer("", "application/json")) {
		var err error
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("body is no JSON: %w", err)
		}
	}
	return d.validate(pointer(media.pointer, "schema"), value)
}
