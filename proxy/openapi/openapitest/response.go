package openapitest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// responseFaults lists what is wrong with the response of an operation.
func (d *document) responseFaults(op operation, x exchange) []error {
	status := x.resp.StatusCode
	if status == http.StatusNotFound && !d.pathMatches(op) {
		// A path value such as "..%2f.." may never have reached the route.
		return d.unroutedFaults(x, http.StatusNotFound, "RouteNotFound")
	}
	responses, _ := d.child(op.node, "responses")
	response, ok := d.child(responses, strconv.Itoa(status))
	if !ok {
		return []error{fmt.Errorf("status %d is not documented for %s", status, op.id)}
	}
	return d.matchResponse(response, x)
}

// pathMatches tells whether the path values of an operation match their
// schemas.
func (d *document) pathMatches(op operation) bool {
	for _, p := range op.parameters {
		if p.in == "path" && d.validate(p.schemaPointer, op.pathValues[p.name]) != nil {
			return false
		}
	}
	return true
}

// unrouted names the responses in the document's components that come before a
// route is chosen, or whatever it is.
var unrouted = map[int]string{
	http.StatusBadRequest:                  "BadRequest",
	http.StatusUnauthorized:                "Unauthorized",
	http.StatusRequestTimeout:              "RequestTimeout",
	http.StatusRequestEntityTooLarge:       "RequestEntityTooLarge",
	http.StatusTooManyRequests:             "TooManyRequests",
	http.StatusRequestHeaderFieldsTooLarge: "RequestHeaderFieldsTooLarge",
	http.StatusInternalServerError:         "InternalServerError",
	http.StatusServiceUnavailable:          "ServiceUnavailable",
}

// unroutedFaults lists what is wrong with the response to a request that the
// document has no operation for: expected is the status, and component the
// response, that says so.
func (d *document) unroutedFaults(x exchange, expected int, component string) []error {
	status := x.resp.StatusCode
	if isPreflight(x.req) && status/100 == 2 {
		return nil
	}
	if status != expected {
		component = unrouted[status]
	}
	response, ok := d.at(pointer("/components/responses", component))
	if component == "" || !ok {
		return []error{fmt.Errorf("no operation is documented here, so that the status must be %d and not %d", expected, status)}
	}
	return d.matchResponse(response, x)
}

// isPreflight tells whether a request is a CORS preflight (Fetch standard,
// section 3.3.2). Only a server with CORS configured answers it otherwise than
// any undocumented method.
func isPreflight(req *http.Request) bool {
	return req.Method == http.MethodOptions && req.Header.Get("Origin") != "" &&
		req.Header.Get("Access-Control-Request-Method") != ""
}

// matchResponse compares a response with its documented form.
func (d *document) matchResponse(response node, x exchange) []error {
	var faults []error
	headers, _ := d.child(response, "headers")
	documented := d.children(headers)
	for _, name := range sortedKeys(documented) {
		if err := d.headerFault(name, documented[name], x.resp.Header); err != nil {
			faults = append(faults, err)
		}
	}
	if coding := x.resp.Header.Get("Content-Encoding"); coding != "" || x.resp.Uncompressed {
		if !listed(x.resp.Header.Values("Vary"), "Accept-Encoding") {
			faults = append(faults, errors.New("a compressed response lacks Vary: Accept-Encoding"))
		}
	}
	if err := d.responseBodyFault(response, x); err != nil {
		faults = append(faults, err)
	}
	return faults
}

// headerFault checks one documented response header.
func (d *document) headerFault(name string, header node, got http.Header) error {
	values := got.Values(name)
	if len(values) == 0 {
		if required, _ := header.object["required"].(bool); required {
			return fmt.Errorf("header %s is missing", name)
		}
		return nil
	}
	text := strings.Join(values, ", ")
	if err := d.validate(pointer(header.pointer, "schema"), parseText(text, d.isNumeric(header))); err != nil {
		return fmt.Errorf("header %s: %w", name, err)
	}
	return nil
}

// responseBodyFault checks the body and content type of a response. A response
// without documented content, and any response to HEAD, must have no body.
func (d *document) responseBodyFault(response node, x exchange) error {
	content, hasContent := d.child(response, "content")
	isHead := x.req.Method == http.MethodHead
	if (!hasContent || isHead) && len(x.respBody) > 0 {
		return fmt.Errorf("the response has a body of %d bytes where none is documented", len(x.respBody))
	}
	if !hasContent {
		return nil
	}
	media, err := d.mediaType(content, x.resp.Header)
	if err != nil || isHead || !x.complete || isEventStream(x.resp) {
		return err
	}
	body, err := decodeBody(x.resp.Header.Get("Content-Encoding"), x.respBody)
	if err != nil {
		return err
	}
	return d.bodyFault(media, body)
}

// listed tells whether a comma-separated header names a token, in any case.
func listed(values []string, token string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}
