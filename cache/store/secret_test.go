package store

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A secret is made once, is another for each name and store, and is part of
// what a backup has and a power failure leaves.
func TestSecret(t *testing.T) {
	secret := func(s *Store, name string) []byte {
		t.Helper()
		v, err := s.Secret(name)
		if err != nil || len(v) != secretLen {
			t.Fatalf("%d bytes, %v", len(v), err)
		}
		return v
	}
	fs := vfs.NewCrashableMem()
	s := openStore(t, fs)
	first := secret(s, "a")
	if bytes.Equal(first, secret(s, "b")) || bytes.Equal(first, secret(openStore(t, vfs.NewMem()), "a")) {
		t.Error("two secrets are one")
	}
	if !bytes.Equal(first, secret(s, "a")) || !bytes.Equal(first, secret(openStore(t, fs.CrashClone(vfs.CrashCloneCfg{})), "a")) {
		t.Error("the secret did not stay")
	}
	if err := s.Backup("/copy"); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs)
	o.Dir = "/copy"
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !bytes.Equal(first, secret(c, "a")) {
		t.Error("the backup has another secret")
	}
}
