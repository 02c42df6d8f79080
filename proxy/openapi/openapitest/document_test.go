package openapitest

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"milepost/proxy/openapi"
)

// open parses the embedded description.
func open(t *testing.T) *document {
	t.Helper()
	d, err := parseOnce()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// walk visits every object of the description, without following references.
func walk(value any, ptr string, visit func(n node)) {
	switch value := value.(type) {
	case map[string]any:
		visit(node{value, ptr})
		for _, key := range sortedKeys(value) {
			if key == "example" || key == "examples" {
				continue
			}
			walk(value[key], pointer(ptr, key), visit)
		}
	case []any:
		for i, item := range value {
			walk(item, pointer(ptr, strconv.Itoa(i)), visit)
		}
	}
}

func TestDescriptionIsValidOpenAPI(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.YAML)
	if err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("version %q is not 3.1", doc.OpenAPI)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableMultiError()); err != nil {
		t.Error(err)
	}
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	d := open(t)
	walk(d.root, "", func(n node) {
		if _, ok := d.resolve(n); !ok {
			t.Errorf("%s: %v leads nowhere", n.pointer, n.object["$ref"])
		}
	})
}

func TestEveryExampleMatchesItsSchema(t *testing.T) {
	d := open(t)
	checked := 0
	check := func(schema string, value any) {
		t.Helper()
		checked++
		if err := d.validate(schema, value); err != nil {
			t.Errorf("example of %s: %v", schema, err)
		}
	}
	walk(d.root, "", func(n node) {
		if _, ok := n.object["schema"].(map[string]any); ok {
			if _, err := d.schema(pointer(n.pointer, "schema")); err != nil {
				t.Error(err)
			}
			if example, ok := n.object["example"]; ok {
				check(pointer(n.pointer, "schema"), example)
			}
		}
		examples, _ := n.object["examples"].([]any)
		for _, example := range examples {
			check(n.pointer, example)
		}
	})
	if checked < 60 {
		t.Errorf("only %d examples were found", checked)
	}
}

func TestEveryActionExampleIsOneAction(t *testing.T) {
	d := open(t)
	forms := d.root["components"].(map[string]any)["schemas"].(map[string]any)
	count := 0
	for name, schema := range forms {
		if !strings.HasSuffix(name, "Action") || name == "Action" {
			continue
		}
		count++
		for _, example := range schema.(map[string]any)["examples"].([]any) {
			if err := d.validate("/components/schemas/Action", example); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if count != 20 {
		t.Errorf("%d action forms, want 20", count)
	}
}

func TestEveryOperationHasAnExample(t *testing.T) {
	d := open(t)
	paths, _ := d.at("/paths")
	for template := range d.children(paths) {
		for _, method := range methods {
			op, ok := d.findOperation(method, template)
			if !ok {
				continue
			}
			contents := []node{}
			if body, ok := d.child(op.node, "requestBody"); ok {
				content, _ := d.child(body, "content")
				contents = append(contents, content)
			}
			responses, _ := d.child(op.node, "responses")
			response, _ := d.child(responses, "200")
			content, _ := d.child(response, "content")
			for _, content := range append(contents, content) {
				for name, media := range d.children(content) {
					if media.object["example"] == nil {
						t.Errorf("%s: %s has no example", op.id, name)
					}
				}
			}
		}
	}
}

// An error's body repeats its status, and its title is that of RFC 9110, except
// for 422 (section "Responses" of the API document).
func TestErrorBodiesFitTheirStatus(t *testing.T) {
	d := open(t)
	for _, p := range d.pairs() {
		id, code, _ := strings.Cut(p, " ")
		status, err := strconv.Atoi(code)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		if status < 400 {
			continue
		}
		title := http.StatusText(status)
		if status == http.StatusUnprocessableEntity {
			title = "Validation Failed"
		}
		body := map[string]any{"code": status, "error": title, "reason": ""}
		schema := errorSchema(t, d, id, code)
		for _, property := range []string{"code", "error"} {
			if err := d.validate(pointer(schema, "properties", property), body[property]); err != nil {
				t.Errorf("%s: %s: %v", p, property, err)
			}
		}
	}
}

// errorSchema returns the pointer of the schema of an error body.
func errorSchema(t *testing.T, d *document, operationID, status string) string {
	t.Helper()
	paths, _ := d.at("/paths")
	for template := range d.children(paths) {
		for _, method := range methods {
			op, ok := d.findOperation(method, template)
			if !ok || op.id != operationID {
				continue
			}
			n := op.node
			for _, key := range []string{"responses", status, "content", "application/json", "schema"} {
				if n, ok = d.child(n, key); !ok {
					t.Fatalf("%s %s has no %s", operationID, status, key)
				}
			}
			return n.pointer
		}
	}
	t.Fatalf("no operation %s", operationID)
	return ""
}

func TestParseDocumentRefusesWhatIsNoDescription(t *testing.T) {
	for name, data := range map[string]string{
		"no YAML":   "a: [",
		"no object": "- a",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseDocument([]byte(data)); err == nil {
				t.Error("no error")
			}
		})
	}
}
