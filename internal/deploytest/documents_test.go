package deploytest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

const troubleshooting = "docs/troubleshooting.md"

// Every series of ours is explained, and no other.
func TestTroubleshootingExplainsEverySeries(t *testing.T) {
	text := read(t, troubleshooting)
	all := registry(t)
	for name := range all {
		if ours.MatchString(name) && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s does not explain %s", troubleshooting, name)
		}
	}
	for _, name := range regexp.MustCompile(`\bmilepost_[a-z0-9_]+[a-z0-9]`).FindAllString(text, -1) {
		if _, ok := all[name]; !ok {
			t.Errorf("%s names %s, which is no series", troubleshooting, name)
		}
	}
}

func TestTroubleshootingExplainsEveryAlert(t *testing.T) {
	text := read(t, troubleshooting)
	for _, g := range alerts(t).Groups {
		for _, r := range g.Rules {
			if !strings.Contains(text, "`"+r.Alert+"`") {
				t.Errorf("%s does not explain %s", troubleshooting, r.Alert)
			}
		}
	}
}

// Every reason that the source gives for an error stands in the table, and the
// table's reasons in the source.
func TestTroubleshootingExplainsEveryError(t *testing.T) {
	text := read(t, troubleshooting)
	source := reasons(t)
	if len(source) < 20 {
		t.Fatalf("found only %d reasons in the source: %v", len(source), source)
	}
	for reason := range source {
		if !strings.Contains(text, "`"+reason+"`") {
			t.Errorf("%s does not explain %q", troubleshooting, reason)
		}
	}
	for _, row := range regexp.MustCompile(`(?m)^\| [45]\d\d \|([^|]*)\|`).FindAllStringSubmatch(text, -1) {
		for _, quoted := range regexp.MustCompile("`([A-Z][^`]* [^`]*[^`…])`").FindAllStringSubmatch(row[1], -1) {
			if !source[quoted[1]] {
				t.Errorf("%s explains %q, which no error says", troubleshooting, quoted[1])
			}
		}
	}
}

// reasons are the texts of the errors that the source of proxy and
// proxy/upstream declares: the field reason of an apiError, the second of a
// refusal, and the upstream's sentinels, which begin a sentence.
func reasons(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	add := func(e ast.Expr, capital bool) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		if capital {
			text = strings.ToUpper(text[:1]) + text[1:]
		}
		found[text] = true
	}
	for _, dir := range []string{"proxy", "proxy/upstream"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			sentinels := dir == "proxy/upstream" && filepath.Base(file) == "errors.go"
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					kind, _ := n.Type.(*ast.Ident)
					if kind == nil {
						break
					}
					for i, e := range n.Elts {
						switch pair, keyed := e.(*ast.KeyValueExpr); {
						case kind.Name == "refusal" && !keyed && i == 1:
							add(e, false)
						case kind.Name == "apiError" && keyed && pair.Key.(*ast.Ident).Name == "reason":
							add(pair.Value, false)
						}
					}
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && sentinels && f.Sel.Name == "New" {
						add(n.Args[0], true)
					}
				}
				return true
			})
		}
	}
	return found
}

// documents are those that operators read.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return append(files, filepath.Join(root, "README.md"))
}

// A key of the configuration that a document names exists.
func TestDocumentsNameKeysThatExist(t *testing.T) {
	var example map[string]any
	if err := toml.Unmarshal([]byte(read(t, "config.example.toml")), &example); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:server|store|cache|stream|experts|prices|upstream|log)\\.[a-z_]+)(?: = [^`]*)?`")
	count := 0
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(b), -1) {
			count++
			section, key, _ := strings.Cut(m[1], ".")
			table, _ := example[section].(map[string]any)
			if _, ok := table[key]; !ok {
				t.Errorf("%s names %s, which is no key", filepath.Base(file), m[1])
			}
		}
	}
	if count == 0 {
		t.Error("no keys found")
	}
}

// A link of a document leads to a file, and to a heading if it names one.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]*)(#[^)\s]*)?\)`)
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			to := file
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(file), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(file), m[1], err)
				continue
			}
			if m[2] == "" {
				continue
			}
			target, err := os.ReadFile(to)
			if err != nil {
				t.Fatal(err)
			}
			if !anchors(string(target))[m[2]] {
				t.Errorf("%s links to %s%s: no such heading", filepath.Base(file), m[1], m[2])
			}
		}
	}
}

// anchors are the headings of a document as links name them.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		found["#"+strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}
