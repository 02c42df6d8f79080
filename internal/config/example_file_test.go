package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write config.example.toml and the golden files anew")

const examplePath = "../../config.example.toml"

const exampleHead = `# Configuration of Milepost: every key with its default and the reason for it.
#
#     milepost serve --config milepost.toml
#     milepost check-config --config milepost.toml
#
# Nothing here has to be set. An environment variable beats this file and a flag
# beats both; a variable is named after its key: MILEPOST_SERVER_LISTEN is listen
# of [server]. Lists are written there with commas between.
#
# An unknown key is an error. Durations are like "250ms", "15s", "1h30m"; sizes
# like "64MiB" (binary) or "64MB" (decimal).
#
# Keys marked (reload) are taken over on SIGHUP; the others need a new start.
`

const exampleKey = `# [[auth.keys]]
# # How logs call the key; unique.
# name = "runtime"
# # The secret as SHA-256. Instead, secret = "…" holds it in clear (16 characters
# # or more), and secret_env = "RUNTIME_KEY" takes it from that variable.
# secret_sha256 = "…64 hexadecimal digits…"
# # The organization that owns what the key writes, and sees nothing else.
# organization_id = "…24 characters a-z and 0-9…"
# # The application that is recorded with it.
# application_id = "…24 characters a-z and 0-9…"
# # "read", "write", or both. A dashboard only needs "read".
# scopes = ["read", "write"]
`

const examplePrice = `# [[prices.experts]]
# # The key of an expert, or its name for all versions, or "*" for all others.
# expert = "@acme/writer"
# # Per million tokens. cached_input and reasoning are of the input and output
# # that they are counted among, and may be left out: then they cost the same.
# input = 3.00
# output = 15.00
# cached_input = 0.30
# reasoning = 15.00
`

// TestExampleFile holds config.example.toml equal to the structs: every key, its
// default, and its comment as the reason.
func TestExampleFile(t *testing.T) {
	want := exampleFile(t)
	if *update {
		if err := os.WriteFile(examplePath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("config.example.toml does not match config.go; run: go test ./internal/config -run TestExampleFile -update")
	}
}

func TestExampleFileIsTheDefault(t *testing.T) {
	c, err := Load(examplePath, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("got  %+v\nwant %+v", c, Default())
	}
}

// TestExampleKey makes sure that the lines of the example key are right but for
// the placeholders, and that nobody runs with those by accident.
func TestExampleKey(t *testing.T) {
	text := strings.TrimPrefix(strings.ReplaceAll("\n"+exampleKey, "\n# ", "\n"), "\n")
	if faults := faultsOf(t, text, nil, nil); len(faults) != 3 {
		t.Errorf("as it stands, got %q", faults)
	}
	text = strings.ReplaceAll(text, "…64 hexadecimal digits…", strings.Repeat("5a", 32))
	text = strings.ReplaceAll(text, "…24 characters a-z and 0-9…", strings.Repeat("abc123", 4))
	k := mustLoad(t, text).Auth.Keys[0]
	if k.Name != "runtime" || !k.Read || !k.Write || k.Hash[0] != 0x5a {
		t.Errorf("got %+v", k)
	}
}

// exampleFile writes the file from the comments of config.go and Default.
func exampleFile(t *testing.T) string {
	docs := fieldDocs(t)
	b := &strings.Builder{}
	b.WriteString(exampleHead)
	section := ""
	for _, f := range fields {
		name, key, _ := strings.Cut(f.path, ".")
		if name != section {
			section = name
			fmt.Fprintf(b, "\n%s", comment(t, docs, name, ""))
			if f.path != keysPath {
				fmt.Fprintf(b, "[%s]\n", name)
			}
		}
		mark := ""
		if f.reload {
			mark = " (reload)"
		}
		fmt.Fprintf(b, "\n%s", comment(t, docs, f.path, mark))
		if f.path == keysPath {
			b.WriteString("#\n" + exampleKey)
			continue
		}
		if f.path == pricesPath {
			b.WriteString("#\n" + examplePrice)
			continue
		}
		fmt.Fprintf(b, "%s = %s\n", key, literal(f.of(Default()).Interface()))
	}
	return b.String()
}

func literal(v any) string {
	switch v := v.(type) {
	case int:
		return strconv.Itoa(v)
	case []string:
		return "[]"
	case Secret:
		return strconv.Quote(v.Reveal())
	}
	return strconv.Quote(fmt.Sprint(v))
}

func comment(t *testing.T, docs map[string]string, path, mark string) string {
	doc := strings.TrimSpace(docs[path])
	if doc == "" {
		t.Fatalf("%s has no comment", path)
	}
	return "# " + strings.ReplaceAll(doc+mark, "\n", "\n# ") + "\n"
}

// fieldDocs reads the comments of the fields of Config and of its sections, by
// path.
func fieldDocs(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		spec := gen.Specs[0].(*ast.TypeSpec)
		section := ""
		if spec.Name.Name != "Config" {
			section = strings.ToLower(spec.Name.Name)
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			tag, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			docs[join(section, reflect.StructTag(tag).Get("toml"))] = f.Doc.Text()
		}
	}
	return docs
}
