// Package viewer holds the pages that people look at jobs with: plain HTML, CSS
// and ES modules that are served as they stand, under /ui/. It promises that
// every file has a media type, an entity tag that changes with its content, and
// that PolicyHeader lets a page load nothing but these files and talk to no
// other server.
package viewer

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Prefix is the path under which the files are served.
const Prefix = "/ui/"

// PolicyHeader is the Content-Security-Policy of every file: scripts, styles and
// requests of the server itself alone, images from data: URLs besides, nothing
// inline, and no frame around it.
const PolicyHeader = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// File is one static file. It must not be changed.
type File struct {
	// Name is its path below Prefix; the page itself is index.html.
	Name string
	// ContentType is its media type.
	ContentType string
	// Tag is the opaque part of its entity tag (RFC 9110, section 8.8.3): no
	// quotes, letters and digits only.
	Tag  string
	Body []byte
}

//go:embed static
var static embed.FS

// contentTypes has every extension that a file may have: the system's own table
// of types differs from machine to machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

var files = read()

// read panics for a file without a type: that is known when the program is built.
func read() map[string]*File {
	all := make(map[string]*File)
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		contentType := contentTypes[path.Ext(name)]
		if contentType == "" {
			return fmt.Errorf("no media type for %s", name)
		}
		sum := sha256.Sum256(body)
		name = strings.TrimPrefix(name, "static/")
		all[name] = &File{Name: name, ContentType: contentType, Tag: hex.EncodeToString(sum[:8]), Body: body}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return all
}

// Find returns the file of a request's path, nil if there is none. Prefix itself
// is the page.
func Find(requestPath string) *File {
	name, ok := strings.CutPrefix(requestPath, Prefix)
	if !ok {
		return nil
	}
	if name == "" {
		name = "index.html"
	}
	return files[name]
}

// Files returns all files by name. The map must not be changed.
func Files() map[string]*File { return files }
