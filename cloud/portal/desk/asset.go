package desk

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed assets
var assetFiles embed.FS

// assetNames are the names under which assets are served, and assetContents what
// is served under them.
var assetNames, assetContents = func() (map[string]string, map[string][]byte) {
	names, contents := map[string]string{}, map[string][]byte{}
	files, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		content, err := assetFiles.ReadFile(file)
		if err != nil {
			panic(err) // it was listed
		}
		base := path.Base(file)
		names[base] = servedName(base, content)
		contents[names[base]] = content
	}
	return names, contents
}()

// servedName has a part of the content's hash in it, so that browsers may keep
// the content for ever.
func servedName(base string, content []byte) string {
	sum := sha256.Sum256(content)
	ext := path.Ext(base)
	return base[:len(base)-len(ext)] + "." + hex.EncodeToString(sum[:6]) + ext
}

func assetPath(name string) (string, error) {
	served, ok := assetNames[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/assets/" + served, nil
}

// serve adds something of the brand's own and returns its address; nothing has
// none.
func (d *Desk) serve(base string, content []byte) string {
	if len(content) == 0 {
		return ""
	}
	name := servedName(base, content)
	d.assets[name] = content
	return "/assets/" + name
}

// Asset serves the file named in the path.
func (d *Desk) Asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, ok := assetContents[name]
	if !ok {
		content, ok = d.assets[name]
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(content) // the browser is gone if this fails
}
