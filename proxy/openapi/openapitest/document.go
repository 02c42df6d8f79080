package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// document is a parsed OpenAPI description: its tree as JSON values, and the
// compiled schemas in it.
//
// The schemas go to the JSON Schema library directly and not through
// kin-openapi's filters, because those compile a schema again at each use, fall
// back without a word to their rules for OpenAPI 3.0 when a schema does not
// compile, and look neither at HEAD nor at 304.
type document struct {
	root map[string]any

	mu       sync.Mutex // guards the two below
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// documentURL is the base that references in the document resolve against. It
// is never fetched.
const documentURL = "https://milepost.invalid/openapi.json"

// parseDocument reads a description in YAML. Its references must all stay
// within it.
func parseDocument(data []byte) (*document, error) {
	var tree any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("cannot parse the description: %w", err)
	}
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("cannot read the description as JSON: %w", err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return nil, fmt.Errorf("cannot read the description as JSON: %w", err)
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the description is %T and not an object", value)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(documentURL, root); err != nil {
		return nil, fmt.Errorf("cannot take the description as a schema resource: %w", err)
	}
	return &document{root: root, compiler: compiler, schemas: map[string]*jsonschema.Schema{}}, nil
}

// node is an object in the document, after references, with the JSON pointer
// (RFC 6901) of the place where it stands.
type node struct {
	object  map[string]any
	pointer string
}

// pointer joins keys to a JSON pointer below base.
func pointer(base string, keys ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for _, key := range keys {
		base += "/" + escape.Replace(key)
	}
	return base
}

// at returns the object at a JSON pointer, and whether there is one.
func (d *document) at(ptr string) (node, bool) {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	n := node{object: d.root}
	for _, key := range strings.Split(ptr, "/")[1:] {
		var ok bool
		if n, ok = d.child(n, unescape.Replace(key)); !ok {
			return node{}, false
		}
	}
	return n, true
}

// child returns the object under key in n, and whether there is one.
func (d *document) child(n node, key string) (node, bool) {
	object, ok := n.object[key].(map[string]any)
	if !ok {
		return node{}, false
	}
	return d.resolve(node{object, pointer(n.pointer, key)})
}

// resolve follows n if it is a reference. A reference that leads nowhere is no
// object.
func (d *document) resolve(n node) (node, bool) {
	ref, ok := n.object["$ref"].(string)
	if !ok {
		return n, true
	}
	return d.at(strings.TrimPrefix(ref, "#"))
}

// children returns the objects in n by their keys.
func (d *document) children(n node) map[string]node {
	found := map[string]node{}
	for key := range n.object {
		if c, ok := d.child(n, key); ok {
			found[key] = c
		}
	}
	return found
}

// validate checks a JSON value against the schema at a JSON pointer.
func (d *document) validate(ptr string, value any) error {
	schema, err := d.schema(ptr)
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return describe(err)
	}
	return nil
}

// schema returns the compiled schema at a JSON pointer.
func (d *document) schema(ptr string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if schema, ok := d.schemas[ptr]; ok {
		return schema, nil
	}
	fragment := url.URL{Fragment: ptr}
	schema, err := d.compiler.Compile(documentURL + fragment.String())
	if err != nil {
		return nil, fmt.Errorf("cannot compile the schema at %q: %w", ptr, err)
	}
	d.schemas[ptr] = schema
	return schema, nil
}

// sortedKeys returns the keys of m in order, so that faults come in order.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
