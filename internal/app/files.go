package app

import (
	"crypto/tls"
	"os"

	"milepost/internal/checkpoint"
	"milepost/internal/config"
)

// files are what the configuration names and the start needs.
type files struct {
	tls     *tls.Config         // nil: plain HTTP
	catalog *checkpoint.Catalog // nil: experts.mode is "open"
}

// Check reads the files that a configuration names. An error is of type
// config.Faults and has all that is wrong with them.
func Check(cfg *config.Config) error {
	_, err := readFiles(cfg)
	return err
}

func readFiles(cfg *config.Config) (files, error) {
	var (
		f      files
		faults config.Faults
	)
	fault := func(file, path, message string) {
		faults = append(faults, config.Fault{Where: config.Where{Name: file}, Path: path, Message: message})
	}
	read := func(file, path string) []byte {
		b, err := os.ReadFile(file)
		if err != nil {
			fault(file, path, err.Error())
		}
		return b
	}
	if c := cfg.Server; c.TLSCert != "" {
		cert, key := read(c.TLSCert, "server.tls_cert"), read(c.TLSKey, "server.tls_key")
		if len(faults) == 0 {
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				fault(c.TLSCert, "server.tls_cert", "is no certificate for server.tls_key, "+c.TLSKey+": "+err.Error())
			}
			f.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		}
	}
	if cfg.Experts.Mode == "catalog" {
		file := cfg.Experts.Catalog
		if b := read(file, "experts.catalog"); b != nil {
			var err error
			if f.catalog, err = checkpoint.ParseCatalog(b); err != nil {
				fault(file, "experts.catalog", err.Error())
			}
		}
	}
	if faults != nil {
		return files{}, faults
	}
	return f, nil
}
