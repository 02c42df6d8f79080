package openapitest

import (
	"net/url"
	"strings"
)

// operation is a method at a path of the document.
type operation struct {
	node
	id          string
	parameters  []parameter
	pathValues  map[string]string // decoded, by parameter name
	credentials []credential      // one of them is needed, if there are any
}

// credential is a security scheme that an operation takes: a bearer key, or
// the query parameter of that name.
type credential struct {
	bearer bool
	query  string
}

// parameter is a documented parameter of an operation. The pointer is that of
// its schema.
type parameter struct {
	name, in      string
	required      bool
	numeric       bool
	schemaPointer string
}

// methods are the keys of a path item that are operations (OpenAPI 3.1,
// section 4.8.9.1).
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// findPath returns the path template that an escaped URL path matches, with
// the values of its parameters, or "" if there is none. The template with the
// fewest parameters wins. A path that lacks only its last slash matches, as the
// collection answers without it.
func (d *document) findPath(path string) (template string, values map[string]string) {
	for _, candidate := range []string{path, path + "/"} {
		for _, t := range sortedKeys(d.root["paths"].(map[string]any)) {
			v, ok := matchPath(t, candidate)
			if ok && (template == "" || len(v) < len(values)) {
				template, values = t, v
			}
		}
		if template != "" {
			break
		}
	}
	return template, values
}

// matchPath matches an escaped path segment by segment. A parameter takes one
// segment, which must not be empty.
func matchPath(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	values := map[string]string{}
	for i, segment := range want {
		decoded, err := url.PathUnescape(got[i])
		if err != nil {
			return nil, false
		}
		name, isParameter := strings.CutPrefix(segment, "{")
		switch {
		case isParameter && got[i] != "":
			values[strings.TrimSuffix(name, "}")] = decoded
		case segment != decoded:
			return nil, false
		}
	}
	return values, true
}

// findOperation returns the operation of a method at a path template, and
// whether the document has it.
func (d *document) findOperation(method, template string) (operation, bool) {
	item, ok := d.at(pointer("/paths", template))
	if !ok {
		return operation{}, false
	}
	n, ok := d.child(item, strings.ToLower(method))
	if !ok {
		return operation{}, false
	}
	op := operation{node: n}
	op.id, _ = n.object["operationId"].(string)
	security, ok := n.object["security"].([]any)
	if !ok {
		security, _ = d.root["security"].([]any)
	}
	op.credentials = d.credentialsOf(security)
	op.parameters = append(d.parametersOf(item), d.parametersOf(n)...)
	return op, true
}

// credentialsOf reads a list of alternative security requirements, each of one
// scheme.
func (d *document) credentialsOf(security []any) []credential {
	var found []credential
	for _, alternative := range security {
		for _, name := range sortedKeys(alternative.(map[string]any)) {
			scheme, _ := d.at(pointer("/components/securitySchemes", name))
			c := credential{bearer: scheme.object["scheme"] == "bearer"}
			if scheme.object["in"] == "query" {
				c.query, _ = scheme.object["name"].(string)
			}
			found = append(found, c)
		}
	}
	return found
}

// parametersOf reads the list of parameters of a path item or an operation.
func (d *document) parametersOf(n node) []parameter {
	list, _ := n.object["parameters"].([]any)
	var found []parameter
	for _, entry := range list {
		object, _ := entry.(map[string]any)
		at, ok := d.resolve(node{object: object})
		if !ok {
			continue
		}
		p := parameter{schemaPointer: pointer(at.pointer, "schema")}
		p.name, _ = at.object["name"].(string)
		p.in, _ = at.object["in"].(string)
		p.required, _ = at.object["required"].(bool)
		p.numeric = d.isNumeric(at)
		if schema, _ := d.child(at, "schema"); schema.object["type"] == "array" {
			// The parameter is given once for each element.
			p.schemaPointer = pointer(schema.pointer, "items")
		}
		found = append(found, p)
	}
	return found
}

// isNumeric tells whether the text of a parameter or header stands for a
// number.
func (d *document) isNumeric(n node) bool {
	schema, _ := d.child(n, "schema")
	t, _ := schema.object["type"].(string)
	return t == "integer" || t == "number"
}
