package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNothingPrintsASecret(t *testing.T) {
	const secret = "0123456789abcdef-secret"
	sum := sha256.Sum256([]byte(secret))
	c := mustLoad(t, "[upstream]\napi_key = \""+secret+"\"\n[[auth.keys]]\nname = \"a\"\nsecret = \""+secret+"\""+goodKey,
		"MILEPOST_API_KEY="+secret)
	if c.APIKey.Reveal() != secret || c.Upstream.APIKey.Reveal() != secret || c.Auth.Keys[0].Hash != sum {
		t.Fatal("the secrets did not arrive")
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, c, *c, c.APIKey, &c.APIKey)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("start", "config", c, "key", c.APIKey, "upstream", c.Upstream)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))), fmt.Sprint([]byte(secret))} {
		if strings.Contains(out.String(), form) {
			t.Errorf("printed %s in\n%s", form, out.String())
		}
	}
}

func TestKeys(t *testing.T) {
	const secret = "0123456789abcdef"
	sum := sha256.Sum256([]byte(secret))
	for _, given := range []string{
		`secret = "` + secret + `"`,
		`secret_sha256 = "` + hex.EncodeToString(sum[:]) + `"`,
		`secret_sha256 = "` + strings.ToUpper(hex.EncodeToString(sum[:])) + `"`,
		`secret_env = "S"`,
	} {
		c := mustLoad(t, "[[auth.keys]]\nname = \"runtime\"\n"+given+goodKey, "S="+secret)
		want := Key{Name: "runtime", Hash: sum, OrganizationID: "abcdefghijklmnopqrstuvwx", ApplicationID: "abcdefghijklmnopqrstuvwx", Read: true}
		if c.Auth.Keys[0] != want {
			t.Errorf("%s: got %#v", given, c.Auth.Keys[0])
		}
	}
}
