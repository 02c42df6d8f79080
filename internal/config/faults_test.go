package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestAllFaultsAtOnce loads a file in which nearly everything is wrong; the
// golden file beside it is what an operator reads.
func TestAllFaultsAtOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/faults.toml")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"MILEPOST_SERVER_LISTN=1", "MILEPOST_CACHE_SIZE=huge", "MILEPOST_API_KEY=tiny", "MILEPOST_AUTH_KEYS=x"}
	got := strings.Join(faultsOf(t, string(data), env, map[string]string{"listen": "here", "lissen": "x"}), "\n") + "\n"
	golden := "testdata/faults.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for _, secret := range []string{"short", "tiny", "a-secret"} {
		if strings.Contains(got, secret) {
			t.Errorf("the faults show the secret %q", secret)
		}
	}
}

const goodKey = `
organization_id = "abcdefghijklmnopqrstuvwx"
application_id = "abcdefghijklmnopqrstuvwx"
scopes = ["read"]
`

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		text  string
		env   []string
		flags map[string]string
		want  []string
	}{
		{
			rule: "a fault of the syntax has a position",
			text: "[server]\nlisten = \n",
			want: []string{"milepost.toml:2:10: unexpected character U+000A at start of value"},
		},
		{
			rule: "a key must not stand twice",
			text: "[cache]\nsize = 1\nsize = 2\n",
			want: []string{`milepost.toml:3:1: key size is already defined`},
		},
		{
			rule: "without a readable file, variables and flags are still checked on their own",
			text: "[server\ntls_key = \"k\"\n",
			env:  []string{"MILEPOST_SERVER_TLS_CERT=c", "MILEPOST_CACHE_SIZE=x", "MILEPOST_MAYBE_A_SECRET=x"},
			want: []string{
				"milepost.toml:1:8: expected ']' to close table name",
				`MILEPOST_CACHE_SIZE: cache.size: must be a size such as "64MiB", "64MB" or plain bytes, got "x"`,
			},
		},
		{
			rule: "a value that a flag overrides must be right all the same",
			text: "[server]\nlisten = \"x\"\n",
			env:  []string{"MILEPOST_SERVER_LISTEN=y"},
			flags: map[string]string{
				"listen": ":8080",
			},
			want: []string{
				`milepost.toml:2:10: server.listen: must be host:port or unix:/path, got "x"`,
				`MILEPOST_SERVER_LISTEN: server.listen: must be host:port or unix:/path, got "y"`,
			},
		},
		{
			rule: "tls_cert needs tls_key",
			text: "[server]\ntls_cert = \"c\"\n",
			want: []string{"milepost.toml:2:12: server.tls_cert: needs server.tls_key, too"},
		},
		{
			rule: "tls_key needs tls_cert",
			env:  []string{"MILEPOST_SERVER_TLS_KEY=k"},
			want: []string{"MILEPOST_SERVER_TLS_KEY: server.tls_key: needs server.tls_cert, too"},
		},
		{
			rule:  "the two listeners differ",
			flags: map[string]string{"listen": "127.0.0.1:9090"},
			want:  []string{"--listen: server.admin_listen: must differ from server.listen"},
		},
		{
			rule: "the largest body must fit into all bodies together",
			text: "[server]\nmax_body = \"512MiB\"\n",
			want: []string{"milepost.toml:2:12: server.max_body_bytes: must be at least server.max_body, 512MiB, got 256MiB"},
		},
		{
			rule: "what is spooled is delivered with a key of the sidecar's own",
			text: "[upstream]\nurl = \"http://x\"\nwrites = \"spool\"\n",
			want: []string{`milepost.toml:3:10: upstream.writes: cannot be "spool" without auth "local": a caller's own credential would have to lie on disk`},
		},
		{
			rule: "catalog mode needs a catalog",
			text: "[experts]\nmode = \"catalog\"\n",
			want: []string{`milepost.toml:2:8: experts.catalog: is required with mode "catalog"`},
		},
		{
			rule: "a catalog needs catalog mode",
			text: "[experts]\ncatalog = \"c.json\"\n",
			want: []string{`milepost.toml:2:11: experts.catalog: is of no use without mode "catalog"`},
		},
		{
			rule:  "the sidecar is not there yet",
			flags: map[string]string{"upstream": "localhost"},
			want:  []string{"--upstream: upstream.url: must be http://host or https://host, with a port if need be and nothing behind it, got \"localhost\""},
		},
		{
			rule: "a secret_env is set and long enough",
			text: "[[auth.keys]]\nname = \"a\"\nsecret_env = \"MISSING\"" + goodKey + "[[auth.keys]]\nname = \"b\"\nsecret_env = \"SHORT\"" + goodKey,
			env:  []string{"SHORT=123"},
			want: []string{
				"milepost.toml:3:14: auth.keys[0].secret_env: names a variable that is not set",
				"milepost.toml:9:14: auth.keys[1].secret_env: names a variable whose value must have at least 16 characters",
			},
		},
		{
			rule: "two keys with one secret are a fault, however it is given",
			text: "[[auth.keys]]\nname = \"a\"\nsecret = \"0123456789abcdef\"" + goodKey + "[[auth.keys]]\nname = \"b\"\nsecret_env = \"S\"" + goodKey,
			env:  []string{"S=0123456789abcdef"},
			want: []string{"milepost.toml:9:14: auth.keys[1]: has the same secret as auth.keys[0]"},
		},
		{
			rule: "auth.keys is an array of tables",
			text: "[auth.keys]\nname = \"a\"\n",
			want: []string{"milepost.toml:1:7: auth.keys: must be an array of tables, each under [[auth.keys]], got a table"},
		},
		{
			rule: "a key's entry is a table",
			text: "auth.keys = [\"a\"]\n",
			want: []string{"milepost.toml:1:14: auth.keys[0]: must be a table, got a string"},
		},
		{
			rule: "a section is a table",
			text: "server = 1\n",
			want: []string{"milepost.toml:1:10: server: must be a table, got a number"},
		},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := faultsOf(t, tt.text, tt.env, tt.flags); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestUnreadableFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	if _, err := Load(missing, nil, nil); err == nil || !strings.HasPrefix(err.Error(), missing+": cannot read the configuration: ") {
		t.Errorf("missing: %v", err)
	}
	large := write(t, strings.Repeat("#", maxFile+1))
	if _, err := Load(large, nil, nil); err == nil || !strings.Contains(err.Error(), "is larger than 1MiB") {
		t.Errorf("too large: %v", err)
	}
	deep := write(t, "a = "+strings.Repeat("[", maxFile-10))
	if _, err := Load(deep, nil, nil); err == nil {
		t.Error("a file of open brackets: no fault")
	}
}

func TestBounds(t *testing.T) {
	for _, f := range fields {
		for name, bound := range map[string]any{"min": f.min, "max": f.max} {
			if bound == nil {
				continue
			}
			if err := f.check(bound); err != nil {
				t.Errorf("%s: its own %s is refused: %v", f.path, name, err)
			}
		}
		if v := f.of(Default()).Interface(); f.path != keysPath && f.typ.Kind() != reflect.Slice {
			if err := f.check(v); err != nil {
				t.Errorf("%s: its own default is refused: %v", f.path, err)
			}
		}
	}
}
