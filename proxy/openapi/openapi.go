// Package openapi holds the OpenAPI 3.1 description of the API that milepost
// serves, and promises that it is the one the tests hold the server to: every
// exchange of the HTTP tests is checked against it by package openapitest.
package openapi

import _ "embed"

// ContentType is the media type of YAML (RFC 9512), under which GET
// /openapi.yaml serves the description.
const ContentType = "application/yaml"

// YAML is the description as GET /openapi.yaml serves it, about 78 KB. It must
// not be changed.
//
//go:embed openapi.yaml
var YAML []byte
